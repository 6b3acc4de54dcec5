package keys

import (
	"bytes"
	"slices"
	"testing"

	"oauth2-server/store"
)

func TestSealedValueOpensInItsPlaceOnly(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	r := ring(t, s, ES256, keys)
	id, other := store.NewID(now), store.NewID(now)
	const expires = 1_800_000_000
	plain := []byte("a record")
	sealed := r.Seal([]byte("x"), 1, id, expires, plain)[1:]

	got, err := r.Open([]byte("y"), 1, id, expires, sealed)
	if err != nil || string(got) != "ya record" {
		t.Fatalf("got %q, %v", got, err)
	}
	f := func(name string, kind byte, id store.ID, expires int64, sealed []byte) {
		t.Helper()
		got, err := r.Open([]byte("y"), kind, id, expires, sealed)
		if err == nil || string(got) != "y" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	f("other kind", 2, id, expires, sealed)
	f("other id", 1, other, expires, sealed)
	f("other second", 1, id, expires+1, sealed)
	f("other day", 1, id, expires+daySeconds, sealed)
	f("empty", 1, id, expires, nil)
	for i := range sealed {
		f("cut", 1, id, expires, sealed[:i])
		flipped := slices.Clone(sealed)
		flipped[i] ^= 1
		f("flipped", 1, id, expires, flipped)
	}
	f("extended", 1, id, expires, append(slices.Clone(sealed), 0))

	// Another replica that knows the key as next or retiring opens it; one without it does not.
	mac := pick(t, keys, store.UseMAC, store.KeyActive)
	mac.State = store.KeyRetiring
	if _, err := ring(t, s, ES256, []store.Key{mac}).Open(nil, 1, id, expires, sealed); err != nil {
		t.Error(err)
	}
	r = NewRing(s, ES256)
	f("unknown key", 1, id, expires, sealed)
	if got := r.Seal(nil, 1, id, expires, plain); len(got) != 0 {
		t.Errorf("a ring without keys sealed %d bytes", len(got))
	}
}

func TestSealNeverRepeats(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, generate(t, s, ES256))
	a, b := r.Seal(nil, 1, store.ID{}, 1, []byte("x")), r.Seal(nil, 1, store.ID{}, 1, []byte("x"))
	if bytes.Equal(a, b) {
		t.Error("two values were sealed with one nonce")
	}
}

// Days that share a slot of the cache do not share a key.
func TestDaysOfExpiryAreKeptApart(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	r := ring(t, s, ES256, keys)
	sealed := map[int64][]byte{}
	for _, day := range []int64{-1, 0, 1, cachedAEADs, 5 * cachedAEADs} {
		sealed[day] = r.Seal(nil, 1, store.ID{}, day*daySeconds, []byte{byte(day)})
	}
	for day, value := range sealed {
		replica := ring(t, s, ES256, keys) // has seen no other day
		got, err := replica.Open(nil, 1, store.ID{}, day*daySeconds, value)
		if err != nil || len(got) != 1 || got[0] != byte(day) {
			t.Errorf("day %d: got %v, %v", day, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := secrets(f, newText)
	r := ring(f, s, HS256, generate(f, s, HS256))
	id := store.NewID(now)
	good := r.Seal(nil, 1, id, 1_800_000_000, []byte("plain"))
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:29])
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := r.Open(nil, 1, id, 1_800_000_000, sealed)
		if err == nil && (!bytes.Equal(sealed, good) || string(got) != "plain") {
			t.Errorf("a forged value opened as %q", got)
		}
	})
}
