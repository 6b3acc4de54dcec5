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
	f("append", func() { AppendOpaque(buf, ring.ActiveMAC(), Access, id, 1) })
	f("parse", func() { ParseOpaque(ring, Access, good) })
	f("forged", func() { ParseOpaque(ring, Access, forged) })
	f("unknown key", func() { ParseOpaque(ring, Access, unknown) })
	f("malformed", func() { ParseOpaque(ring, Access, good[1:]) })
	f("foreign JWT", func() { ParseJWT(ring, issuer, foreign, nil) })
	f("kind", func() { KindOf(good) })
}
