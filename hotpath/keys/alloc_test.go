//go:build !race

package keys

import (
	"testing"

	"oauth2-server/store"
)

func TestLookupsAllocateNothing(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, generate(t, s, ES256))
	header := r.Signer().Header()
	message, id := make([]byte, 22), store.NewID(now)
	var sum [MACBytes]byte
	buf, plain := make([]byte, 0, 512), make([]byte, 200)
	sealed := r.Seal(nil, 1, id, 1, plain)
	f := func(name string, act func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, act); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
	f("MAC", func() { r.MAC(1) })
	f("ActiveMAC", func() { r.ActiveMAC() })
	f("Signer", func() { r.Signer() })
	f("Verifier", func() { r.Verifier(header) })
	f("JWKS", func() { r.JWKS() })
	f("Sum", func() { r.ActiveMAC().Sum(&sum, message) })
	f("Seal", func() { r.Seal(buf, 1, id, 1, plain) })
	f("Open", func() {
		if _, err := r.Open(buf, 1, id, 1, sealed); err != nil {
			t.Error(err)
		}
	})
}
