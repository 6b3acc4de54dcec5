package token

import (
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

const (
	issuer     = "https://issuer.example"
	secretText = "a-secret-of-at-least-32-bytes-000000"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func secrets(t testing.TB) keys.Secrets {
	t.Helper()
	s, err := keys.ParseSecrets(secretText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRing(t testing.TB, alg keys.Alg) *keys.Ring {
	t.Helper()
	all, err := keys.Generate(secrets(t), alg, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(secrets(t), alg)
	if err := ring.Apply(all); err != nil {
		t.Fatal(err)
	}
	return ring
}

func newRecord() *store.Record {
	return &store.Record{
		ID:       store.NewID(now),
		Issued:   now.Unix(),
		Expires:  now.Unix() + 3600,
		Position: 42,
		Client:   []byte("client"),
		Subject:  []byte("client"),
		Scope:    []byte("read write"),
		Audience: []byte("https://api.example"),
	}
}

func TestKindOf(t *testing.T) {
	f := func(text string, want Kind) {
		t.Helper()
		if got := KindOf([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	f("oat_x", Access)
	f("ort_x", Refresh)
	f("eyJhbGciOi", JWT)
	f("", Unknown)
	f("oat", Unknown)
	f("OAT_x", Unknown)
	f(" oat_x", Unknown)
	f("oac_x", Code)
	f("oar_x", Pushed)
	f("odc_x", Unknown)
	f("urn:ietf:params:oauth:request_uri:oar_x", Unknown)
}
