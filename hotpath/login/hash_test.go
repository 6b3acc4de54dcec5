package login

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// reference is what the reference implementation makes of "password" with the salt "somesalt".
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestHashIsArgon2idInPHCFormat(t *testing.T) {
	h, err := parseHash(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches("password", argon2.IDKey) {
		t.Error("the password of the reference does not match")
	}
	if h.matches("Password", argon2.IDKey) {
		t.Error("another password matches")
	}
}

func TestHasherHashesAtTheDecidedCost(t *testing.T) {
	h := NewHasher()
	kept, err := h.Hash(t.Context(), goodPassword)
	if err != nil || !strings.HasPrefix(kept, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("got %.40q, %v", kept, err)
	}
	again, err := h.Hash(t.Context(), goodPassword)
	if err != nil || again == kept {
		t.Errorf("two hashes have one salt (%v)", err)
	}
	for text, want := range map[string]bool{goodPassword: true, goodPassword + " ": false, "": false} {
		if got, err := h.Verify(t.Context(), kept, text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// Whoever can write a hash must not make the server run out of memory or time.
func TestDamagedHashIsRefusedBeforeItCosts(t *testing.T) {
	hasher, meter := cheap()
	const salt, sum = "$c29tZXNhbHQ$", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, text := range []string{
		"", goodPassword, "$$$$$", reference + "$", " " + reference, reference + "\n", strings.TrimPrefix(reference, "$"),
		"$argon2i$v=19$m=65536,t=2,p=1" + salt + sum,
		"$argon2id$v=16$m=65536,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=65537,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=4294967295,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=99999999999,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=65536,t=17,p=1" + salt + sum,
		"$argon2id$v=19$m=65536,t=2,p=5" + salt + sum,
		"$argon2id$v=19$m=0,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=65536,t=0,p=1" + salt + sum,
		"$argon2id$v=19$m=65536,t=2,p=0" + salt + sum,
		"$argon2id$v=19$m=+65536,t=2,p=1" + salt + sum,
		"$argon2id$v=19$m=065536,t=2,p=1" + salt + sum,
		"$argon2id$v=19$t=2,m=65536,p=1" + salt + sum,
		"$argon2id$v=19$m=65536,t=2" + salt + sum,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZQ$" + sum,
		"$argon2id$v=19$m=65536,t=2,p=1" + salt,
		"$argon2id$v=19$m=65536,t=2,p=1" + salt + "CTFhFdXPJO1aFaMa",
		"$argon2id$v=19$m=65536,t=2,p=1" + salt + sum[:42] + "d", // spare bits that are not zero
		"$argon2id$v=19$m=65536,t=2,p=1" + salt + sum + "=",
		"$argon2id$v=19$m=65536,t=2,p=1" + salt + strings.Repeat(sum, 5),
	} {
		if same, err := hasher.Verify(t.Context(), text, "password"); same || !errors.Is(err, errHash) {
			t.Errorf("%q: got %v, %v, want it refused", text, same, err)
		}
	}
	if spent := meter.spent(); spent != nil {
		t.Errorf("got %v derivations, want none", spent)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(reference)
	h := newHash()
	f.Add(h.String())
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.String() != text || h.memory > maxHashMemory || h.time > maxHashTime || h.threads > maxHashThreads || len(h.sum) == 0 {
			t.Errorf("%q: got %+v", text, h)
		}
	})
}
