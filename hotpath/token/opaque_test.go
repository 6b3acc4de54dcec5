package token

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// opaqueKinds is every kind whose text is authenticated by a MAC key.
var opaqueKinds = []Kind{Access, Refresh, Code, Pushed}

func TestOpaqueRoundTrip(t *testing.T) {
	ring := newRing(t, keys.HS256)
	for _, kind := range opaqueKinds {
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

// The kind is under the MAC: the text of one never passes for another, neither as it is nor under the other's prefix.
func TestOpaqueKindIsAuthenticated(t *testing.T) {
	ring := newRing(t, keys.HS256)
	for _, made := range opaqueKinds {
		text := AppendOpaque(nil, ring.ActiveMAC(), made, store.NewID(now), 1)
		for _, asked := range opaqueKinds {
			if asked == made {
				continue
			}
			if _, err := ParseOpaque(ring, asked, text); !errors.Is(err, ErrMalformed) {
				t.Errorf("%d for %d: got %v, want %v", made, asked, err, ErrMalformed)
			}
			disguised := append([]byte(asked.prefix()), text[prefixBytes:]...)
			if _, err := ParseOpaque(ring, asked, disguised); !errors.Is(err, ErrMAC) {
				t.Errorf("%d under the prefix of %d: got %v, want %v", made, asked, err, ErrMAC)
			}
		}
	}
}

// A refresh token is a pure function of key, grant and generation, all of which it tells.
func TestRefreshTellsItsGeneration(t *testing.T) {
	ring, grant := newRing(t, keys.HS256), store.NewID(now)
	for _, generation := range []uint32{1, 2, 1<<32 - 1} {
		text := AppendRefresh(nil, ring.ActiveMAC(), grant, generation)
		got, err := ParseOpaque(ring, Refresh, text)
		if err != nil || got.ID != grant || got.Generation() != generation {
			t.Errorf("got %v, %v", got, err)
		}
		if again := AppendRefresh(nil, ring.ActiveMAC(), grant, generation); string(again) != string(text) {
			t.Errorf("got %s and %s for one generation", text, again)
		}
	}
}

func FuzzParseOpaque(f *testing.F) {
	ring := goldenRing(f)
	golden := map[Kind]string{Access: goldenAccess, Refresh: goldenRefresh, Code: goldenCode, Pushed: goldenPushed}
	for _, good := range golden {
		f.Add(good)
		f.Add(good[:55])
		f.Add(good + "\n")
		for _, kind := range opaqueKinds {
			f.Add(kind.prefix() + good[4:])
		}
	}
	f.Add("oat_" + strings.Repeat("A", 52))
	f.Fuzz(func(t *testing.T, text string) {
		for kind, good := range golden {
			if _, err := ParseOpaque(ring, kind, []byte(text)); (err == nil) != (text == good) {
				t.Errorf("%q as kind %d: got %v", text, kind, err)
			}
		}
	})
}
