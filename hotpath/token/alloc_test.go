//go:build !race

package token

import (
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func TestOpaqueAllocatesNothing(t *testing.T) {
	ring := newRing(t, keys.HS256)
	id := store.NewID(now)
	good := AppendOpaque(nil, ring.ActiveMAC(), Access, id, 1)
	forged := append([]byte(nil), good...)
	forged[20] ^= 1
	unknown := append([]byte(nil), good...)
	unknown[4] = '_'
	foreign := []byte("eyJhbGciOiJub25lIn0.e30.")
	buf := make([]byte, 0, OpaqueLen)
	f := func(name string, act func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, act); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
	parse := func(name string, text []byte, valid bool) {
		t.Helper()
		var err error
		f(name, func() { _, err = ParseOpaque(ring, Access, text) })
		if (err == nil) != valid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	f("append", func() { AppendOpaque(buf, ring.ActiveMAC(), Access, id, 1) })
	parse("parse", good, true)
	parse("forged", forged, false)
	parse("unknown key", unknown, false)
	parse("malformed", good[1:], false)
	f("foreign JWT", func() {
		if ParseJWT(ring, issuer, foreign, nil) == nil {
			t.Error("a foreign JWT was read")
		}
	})
	f("kind", func() { KindOf(good) })
}
