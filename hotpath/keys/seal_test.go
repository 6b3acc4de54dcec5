package keys

import (
	"errors"
	"strings"
	"testing"

	"oauth2-server/store"
)

func TestKeysOfAnotherSecretNameBothWaysOut(t *testing.T) {
	keys := generate(t, secrets(t, oldText), ES256)
	r := NewRing(secrets(t, newText), ES256)
	err := r.Apply(keys)
	if !errors.Is(err, ErrSealed) {
		t.Fatalf("got %v, want ErrSealed", err)
	}
	for _, want := range []string{`"new,old"`, "OAUTH2_JWT_SECRET", "keys reset", "revokes everything", keys[0].ID.String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if r.Ready() == nil || r.ActiveMAC() != nil || r.Signer() != nil {
		t.Error("a ring that opened nothing says it is ready")
	}
}

func TestSealedKeysLeaveOthersUsable(t *testing.T) {
	keys := generate(t, secrets(t, newText), ES256)
	foreign := generate(t, secrets(t, oldText), EdDSA)
	r := ring(t, secrets(t, newText), ES256, keys)
	if err := r.Apply(foreign); !errors.Is(err, ErrSealed) {
		t.Fatalf("got %v, want ErrSealed", err)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("opened keys no longer work: %v", err)
	}
	open := 0
	for _, key := range r.List() {
		if key.Open {
			open++
		}
		if key.ID.IsZero() || key.State == "" || len(key.Secrets) != 1 {
			t.Errorf("got %+v, want it listed whole", key)
		}
	}
	if len(r.List()) != 8 || open != 4 {
		t.Errorf("got %d keys, %d open, want 8 and 4", len(r.List()), open)
	}
}

// A secret is replaced in three steps: "old", then "new,old", then "new".
func TestMissingSealsLetTheOldSecretGo(t *testing.T) {
	keys := generate(t, secrets(t, oldText), ES256)
	before := ring(t, secrets(t, oldText), ES256, keys)
	both := secrets(t, newText+","+oldText)
	ring(t, both, ES256, keys)

	resealed := Missing(keys, both)
	if len(resealed) != len(keys) || len(keys[0].Seals) != 1 {
		t.Fatalf("got %d keys, want %d, and the given ones unchanged", len(resealed), len(keys))
	}
	keys = resealed
	after := ring(t, secrets(t, newText), ES256, keys)
	ring(t, secrets(t, oldText), ES256, keys) // old seals stay
	retired := keys[0].Clone()
	retired.State = store.KeyRetired
	delete(retired.Seals, both.Fingerprints()[0])
	if got := Missing(append(keys, retired), both); len(got) != 0 {
		t.Errorf("got %d seals missing, want none", len(got))
	}
	message := []byte("message")
	signature, err := before.Signer().Sign(nil, message)
	if err != nil || !after.Verifier(before.Signer().Header()).Verify(message, signature) {
		t.Errorf("what the old secret's ring signed is refused by the new one's: %v", err)
	}
}

func TestSurplusIsWhatNobodyNeeds(t *testing.T) {
	both, young, old := secrets(t, newText+","+oldText), secrets(t, newText), secrets(t, oldText)
	keys := generate(t, old, ES256)
	f := func(name string, keys []store.Key, s Secrets, want int) []store.Key {
		t.Helper()
		got := Surplus(keys, s)
		if len(got) != want {
			t.Errorf("%s: got %d keys, want %d", name, len(got), want)
		}
		return got
	}
	f("of a secret that is not given alone: the key would be lost", keys, young, 0)
	sealed := Missing(keys, both)
	f("both are given", sealed, both, 0)
	bare := f("the old one is gone", sealed, young, len(sealed))
	damaged := sealed[0].Clone()
	damaged.Seals[young.Fingerprints()[0]][0] ^= 1
	f("the seal that would be left is damaged", []store.Key{damaged}, young, 0)
	ring(t, young, ES256, bare)
	if err := NewRing(old, ES256).Replace(bare); !errors.Is(err, ErrSealed) {
		t.Errorf("the old secret opens them: %v", err)
	}
	if len(sealed[0].Seals) != 2 {
		t.Error("the given keys were changed")
	}
}

func TestMissingPassesOverWhatItCannotOpen(t *testing.T) {
	keys := generate(t, secrets(t, oldText), ES256)
	if got := Missing(keys, secrets(t, newText)); len(got) != 0 {
		t.Errorf("got %d seals of keys that cannot be opened", len(got))
	}
}

// Whoever can write the store's rows still cannot turn one key into another.
func TestAlteredKeysDoNotOpen(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, RS256)
	sign, mac := pick(t, keys, store.UseSign, store.KeyActive), pick(t, keys, store.UseMAC, store.KeyActive)
	other := pick(t, keys, store.UseSign, store.KeyNext)
	f := func(name string, key store.Key, alter func(k *store.Key)) {
		t.Helper()
		key = key.Clone()
		alter(&key)
		r := NewRing(s, RS256)
		err := r.Apply([]store.Key{key})
		if err == nil || errors.Is(err, ErrSealed) {
			t.Errorf("%s: got %v, want damage", name, err)
		}
		if r.Signer() != nil || r.ActiveMAC() != nil {
			t.Errorf("%s: the key is in use", name)
		}
	}
	name := s.Fingerprints()[0]
	f("other id", sign, func(k *store.Key) { k.ID = other.ID })
	f("other algorithm", sign, func(k *store.Key) { k.Alg = "PS256" })
	f("other public half", sign, func(k *store.Key) { k.Public = other.Public })
	f("no public half", sign, func(k *store.Key) { k.Public = nil })
	f("seal of another key", sign, func(k *store.Key) { k.Seals = other.Seals })
	f("flipped bit", sign, func(k *store.Key) { k.Seals[name][20] ^= 1 })
	f("cut seal", sign, func(k *store.Key) { k.Seals[name] = k.Seals[name][:5] })
	f("other number", mac, func(k *store.Key) { k.Number = 9 })
	f("number beyond a byte", mac, func(k *store.Key) { k.Number += 256 })
	f("MAC key that signs", mac, func(k *store.Key) { k.Use = store.UseSign })
	f("unknown use", mac, func(k *store.Key) { k.Use = "other" })
}
