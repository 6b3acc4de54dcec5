package keys

import (
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

const (
	oldText = "old-secret-of-at-least-32-bytes-0000"
	newText = "new-secret-of-at-least-32-bytes-1111"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func secrets(t testing.TB, text string) Secrets {
	t.Helper()
	s, err := ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generate(t testing.TB, s Secrets, alg Alg, existing ...store.Key) []store.Key {
	t.Helper()
	keys, err := Generate(s, alg, now, existing)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// complete is generate with the keys of id_tokens.
func complete(t testing.TB, s Secrets, alg Alg) []store.Key {
	t.Helper()
	all := generate(t, s, alg)
	signing, err := GenerateIDTokens(s, now, all)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, signing...)
}

func ring(t testing.TB, s Secrets, alg Alg, keys []store.Key) *Ring {
	t.Helper()
	r := NewRing(s, alg)
	if err := r.Apply(keys); err != nil {
		t.Fatal(err)
	}
	return r
}

// pick is the one key of a use and state.
func pick(t testing.TB, keys []store.Key, use, state string) store.Key {
	t.Helper()
	i := slices.IndexFunc(keys, func(k store.Key) bool { return k.Use == use && k.State == state })
	if i < 0 {
		t.Fatalf("no %s key is %s", use, state)
	}
	return keys[i].Clone()
}
