package token

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func TestOpaqueRoundTrip(t *testing.T) {
	ring := newRing(t, keys.HS256)
	for _, kind := range []Kind{Access, Refresh} {
		for _, expires := range []int64{0, 1, 1_800_000_000, 1<<32 - 1} {
			id := store.NewID(now)
			text := AppendOpaque([]byte("before"), ring.ActiveMAC(), kind, id, expires)
			if len(text) != len("before")+OpaqueLen || KindOf(text[6:]) != kind {
				t.Fatalf("got %d bytes of kind %d", len(text), KindOf(text[6:]))
			}
			got, err := ParseOpaque(ring, kind, text[6:])
			if want := (Opaque{id, expires, ring.ActiveMAC().Number}); err != nil || got != want {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
	}
}

// Promise P6: one byte flipped, missing or added is refused, whichever byte and whatever it becomes.
func TestOpaqueOneByteOffIsRefused(t *testing.T) {
	ring := newRing(t, keys.HS256)
	text := AppendOpaque(nil, ring.ActiveMAC(), Access, store.NewID(now), now.Unix())
	f := func(name string, i int, text []byte) {
		t.Helper()
		if _, err := ParseOpaque(ring, Access, text); err == nil {
			t.Errorf("%s at %d accepted", name, i)
		}
	}
	for i := range text {
		for c := range 256 {
			if byte(c) != text[i] {
				flipped := slices.Clone(text)
				flipped[i] = byte(c)
				f("flip", i, flipped)
			}
			f("insert", i, slices.Insert(slices.Clone(text), i, byte(c)))
		}
		f("delete", i, slices.Delete(slices.Clone(text), i, i+1))
		f("cut", i, text[:i])
	}
	for c := range 256 {
		f("append", len(text), append(slices.Clone(text), byte(c)))
	}
	for _, more := range []string{"AA", "AAA", "AAAA", "====", "\r\n"} {
		f("append", len(text), append(slices.Clone(text), more...))
	}
	f("lower case", 0, []byte(strings.ToLower(string(text))))
	f("upper case", 0, []byte("oat_"+strings.ToUpper(string(text[4:]))))
}

func TestOpaqueErrorsTellWhy(t *testing.T) {
	ring, other := newRing(t, keys.HS256), newRing(t, keys.HS256)
	id := store.NewID(now)
	text := AppendOpaque(nil, ring.ActiveMAC(), Access, id, 7)
	f := func(ring *keys.Ring, kind Kind, text []byte, want error, claimed Opaque) {
		t.Helper()
		if got, err := ParseOpaque(ring, kind, text); !errors.Is(err, want) || got != claimed {
			t.Errorf("got %v, %v, want %v, %v", got, err, claimed, want)
		}
	}
	f(ring, Access, text[1:], ErrMalformed, Opaque{})
	f(ring, Refresh, text, ErrMalformed, Opaque{})
	f(ring, Access, nil, ErrMalformed, Opaque{})
	f(other, Access, text, ErrMAC, Opaque{id, 7, 1})
	f(keys.NewRing(secrets(t), keys.HS256), Access, text, ErrUnknownKey, Opaque{id, 7, 1})
}

// The kind is under the MAC: a refresh token's body under another prefix is forged.
func TestOpaqueKindIsAuthenticated(t *testing.T) {
	ring := newRing(t, keys.HS256)
	refresh := AppendOpaque(nil, ring.ActiveMAC(), Refresh, store.NewID(now), 1)
	copy(refresh, prefixAccess)
	if _, err := ParseOpaque(ring, Access, refresh); !errors.Is(err, ErrMAC) {
		t.Errorf("got %v, want %v", err, ErrMAC)
	}
}

func FuzzParseOpaque(f *testing.F) {
	ring := goldenRing(f)
	const good = goldenAccess
	f.Add(good)
	f.Add(good[:55])
	f.Add(good + "\n")
	f.Add("oat_" + strings.Repeat("A", 52))
	f.Add("ort_" + good[4:])
	f.Add(goldenRefresh)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseOpaque(ring, Access, []byte(text)); (err == nil) != (text == good) {
			t.Errorf("%q: got %v", text, err)
		}
	})
}
