package sqlite

import (
	"testing"
	"time"

	"oauth2-server/store"
)

// An idle server polls 20 times a second.
func BenchmarkPollNothingNew(b *testing.B) {
	db := open(b, Options{Path: newFile(b), Create: true})
	none := func(*store.Change) error { return nil }
	beat, err := db.Load(b.Context(), none)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Poll(b.Context(), beat.Cursor, none); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsertTokens(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(map[int]string{1: "1", 100: "100"}[size], func(b *testing.B) {
			db := open(b, Options{Path: newFile(b), Create: true})
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				tokens := make([]store.Token, size)
				for i := range tokens {
					tokens[i] = newToken(time.Now().Add(time.Hour))
					tokens[i].Record = make([]byte, 150)
				}
				b.StartTimer()
				must(b, db.InsertTokens(b.Context(), tokens))
			}
		})
	}
}

func BenchmarkFindTokens(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(map[int]string{1: "1", 100: "100"}[size], func(b *testing.B) {
			db := open(b, Options{Path: newFile(b), Create: true})
			tokens := make([]store.Token, 10_000)
			for i := range tokens {
				tokens[i] = newToken(time.Now().Add(time.Hour))
				tokens[i].Record = make([]byte, 150)
			}
			must(b, db.InsertTokens(b.Context(), tokens))
			keys := make([]store.TokenKey, size)
			for i := range keys {
				keys[i] = tokens[i*97].TokenKey
			}
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				must(b, db.FindTokens(b.Context(), keys, func(int, []byte) { n++ }))
				if n != size {
					b.Fatalf("found %d of %d", n, size)
				}
			}
		})
	}
}
