package token

import (
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func BenchmarkAppendOpaque(b *testing.B) {
	ring := newRing(b, keys.HS256)
	id := store.NewID(now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, OpaqueLen)
		for pb.Next() {
			AppendOpaque(buf, ring.ActiveMAC(), Access, id, 1)
		}
	})
}

func BenchmarkParseOpaque(b *testing.B) {
	ring := newRing(b, keys.HS256)
	text := AppendOpaque(nil, ring.ActiveMAC(), Access, store.NewID(now), 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := ParseOpaque(ring, Access, text); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkAppendJWT(b *testing.B) {
	for _, alg := range keys.Algs() {
		ring := newRing(b, alg)
		r := newRecord()
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 0, 1024)
				for pb.Next() {
					if _, err := AppendJWT(buf, ring.Signer(), issuer, r); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkParseJWT(b *testing.B) {
	for _, alg := range keys.Algs() {
		ring := newRing(b, alg)
		text := appendJWT(b, ring, newRecord())
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var r store.Record
				for pb.Next() {
					if err := ParseJWT(ring, issuer, text, &r); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
