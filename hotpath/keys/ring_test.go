package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"

	"github.com/go-jose/go-jose/v4"
)

func TestSignAndVerifyEveryAlg(t *testing.T) {
	s := secrets(t, newText)
	for _, alg := range Algs() {
		r := ring(t, s, alg, generate(t, s, alg))
		message := []byte("header.payload")
		signature, err := r.Signer().Sign([]byte("prefix"), message)
		if err != nil || !bytes.HasPrefix(signature, []byte("prefix")) {
			t.Fatalf("%s: got %q, %v", alg, signature, err)
		}
		signature = signature[len("prefix"):]
		verifier := r.Verifier(r.Signer().Header())
		if verifier == nil || !verifier.Verify(message, signature) {
			t.Errorf("%s: own signature refused", alg)
			continue
		}
		for _, bad := range [][]byte{
			nil, make([]byte, len(signature)), signature[1:], signature[:len(signature)-1],
			append(slices.Clone(signature), 0), append([]byte{signature[0] ^ 1}, signature[1:]...),
		} {
			if verifier.Verify(message, bad) {
				t.Errorf("%s: altered signature of %d bytes accepted", alg, len(bad))
			}
		}
		if verifier.Verify([]byte("header.Payload"), signature) {
			t.Errorf("%s: signature of another message accepted", alg)
		}
	}
}

// RFC 7518 §3.4: leading zeros of r and s stay; they come up once in 128 signatures.
func TestES256SignaturesAreAlways64Bytes(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, generate(t, s, ES256))
	zeros := 0
	for i := 0; zeros == 0; i++ {
		message := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		signature, err := r.Signer().Sign(nil, message)
		if err != nil || len(signature) != 64 || !r.Signer().Verify(message, signature) {
			t.Fatalf("got %d bytes, %v", len(signature), err)
		}
		if signature[0] == 0 || signature[32] == 0 {
			zeros++
		}
	}
}

func TestStatesDecideWhatAKeyDoes(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	sign, mac := pick(t, keys, store.UseSign, store.KeyActive), pick(t, keys, store.UseMAC, store.KeyActive)
	f := func(state string, signs, verifies bool) {
		t.Helper()
		sign.State, mac.State = state, state
		r := ring(t, s, ES256, []store.Key{sign, mac})
		header := newSigner(sign.ID, sign.ID.String(), ES256, now, nil).Header()
		if got := r.Signer() != nil && r.ActiveMAC() != nil && r.Ready() == nil; got != signs {
			t.Errorf("%s: signs %v, want %v", state, got, signs)
		}
		if got := r.Verifier(header) != nil && r.MAC(byte(mac.Number)) != nil; got != verifies {
			t.Errorf("%s: verifies %v, want %v", state, got, verifies)
		}
		if got := bytes.Contains(r.JWKS().Body, []byte(sign.ID.String())); got != verifies {
			t.Errorf("%s: published %v, want %v", state, got, verifies)
		}
	}
	f(store.KeyNext, false, true)
	f(store.KeyActive, true, true)
	f(store.KeyRetiring, false, true)
	f(store.KeyRetired, false, false)
}

func TestApplyMergesAndReplaceForgets(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	r := ring(t, s, ES256, keys)
	etag := r.JWKS().ETag

	active, next := pick(t, keys, store.UseSign, store.KeyActive), pick(t, keys, store.UseSign, store.KeyNext)
	active.State, next.State = store.KeyRetiring, store.KeyActive
	if err := r.Apply([]store.Key{active}); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply([]store.Key{next}); err != nil {
		t.Fatal(err)
	}
	if r.Signer().Key != next.ID || len(r.List()) != 4 || r.JWKS().ETag != etag {
		t.Errorf("signer %s of %d keys, want %s of 4", r.Signer().Key, len(r.List()), next.ID)
	}
	fresh := generate(t, s, ES256)
	if err := r.Replace(fresh); err != nil {
		t.Fatal(err)
	}
	if len(r.List()) != 4 || r.JWKS().ETag == etag || r.Signer().Key == next.ID {
		t.Error("the old keys are still there")
	}
}

func TestSignerIsOfTheConfiguredAlg(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	keys = append(keys, generate(t, s, EdDSA, keys...)...)
	for _, alg := range []Alg{ES256, EdDSA} {
		if got := ring(t, s, alg, keys).Signer().Alg; got != alg {
			t.Errorf("got %s, want %s", got, alg)
		}
	}
	if ring(t, s, RS256, keys).Signer() != nil {
		t.Error("a ring without RS256 keys signs")
	}
}

func TestRingSharesNothingWithItsInput(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, ES256)
	r := ring(t, s, ES256, keys)
	clear(keys[0].Public)
	clear(keys[0].Seals)
	if got := r.List()[0]; len(got.Secrets) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestHS256OnlyWhereConfigured(t *testing.T) {
	both := secrets(t, newText+","+oldText)
	keys := generate(t, both, ES256)
	r := ring(t, both, HS256, keys)
	before := ring(t, secrets(t, oldText), HS256, nil)
	after := ring(t, secrets(t, newText), HS256, nil)
	elsewhere := ring(t, both, ES256, keys)

	if r.Verifier(before.Signer().Header()) == nil || r.Signer().KID != after.Signer().KID {
		t.Error("with new,old the old key must verify and the new one sign")
	}
	if after.Verifier(before.Signer().Header()) != nil {
		t.Error("a new secret alone still verifies the old one's tokens")
	}
	if elsewhere.Verifier(before.Signer().Header()) != nil || elsewhere.Verifier(after.Signer().Header()) != nil {
		t.Error("HS256 is accepted by a server that is configured for ES256")
	}
	if r.Verifier(elsewhere.Signer().Header()) == nil {
		t.Error("stored keys no longer verify after a change of the algorithm")
	}
	if bytes.Contains(r.JWKS().Body, []byte("oct")) {
		t.Error("a shared key is published")
	}
}

func TestVerifierKnowsExactHeadersOnly(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, generate(t, s, ES256))
	header, err := base64.RawURLEncoding.DecodeString(string(r.Signer().Header()))
	if err != nil {
		t.Fatal(err)
	}
	kid := r.Signer().KID
	if want := `{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`; string(header) != want {
		t.Fatalf("got %s, want %s", header, want)
	}
	for _, other := range []string{
		`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`, `{"alg":"HS256","typ":"at+jwt","kid":"` + kid + `"}`,
		`{"alg":"ES256","typ":"JWT","kid":"` + kid + `"}`, `{"typ":"at+jwt","alg":"ES256","kid":"` + kid + `"}`,
		`{"alg":"ES256", "typ":"at+jwt","kid":"` + kid + `"}`, `{"alg":"ES256","typ":"at+jwt"}`, "",
	} {
		if r.Verifier(base64.RawURLEncoding.AppendEncode(nil, []byte(other))) != nil {
			t.Errorf("header %s is known", other)
		}
	}
}

func TestJWKSIsReadByGoJose(t *testing.T) {
	s := secrets(t, newText)
	var keys []store.Key
	for _, alg := range []Alg{ES256, EdDSA, RS256, PS256} {
		keys = append(keys, generate(t, s, alg, keys...)...)
	}
	r := ring(t, s, ES256, keys)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS().Body, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 8 {
		t.Fatalf("got %d keys, want 8", len(set.Keys))
	}
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() || key.Use != "sig" || len(set.Key(key.KeyID)) != 1 {
			t.Errorf("key %s (%s) is not a valid public key of its own", key.KeyID, key.Algorithm)
		}
	}
}

func TestAgeIsOfTheActiveKey(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, generate(t, s, ES256))
	later := now.Add(time.Hour)
	if got := r.Age(store.UseSign, later); got != time.Hour {
		t.Errorf("got %v, want 1h", got)
	}
	if got := r.Age(store.UseMAC, later); got != time.Hour {
		t.Errorf("got %v, want 1h", got)
	}
	if got := ring(t, s, HS256, nil).Age(store.UseSign, later); got != 0 {
		t.Errorf("got %v, want 0", got)
	}
}

func TestMACIsTruncatedHMAC(t *testing.T) {
	private := bytes.Repeat([]byte{7}, 32)
	m := newMAC(&store.Key{Number: 1}, private)
	for _, n := range []int{0, 1, 22, 55, 56, 64, 447, 448, 449, 5000} {
		message := bytes.Repeat([]byte{'m'}, n)
		oracle := hmac.New(sha256.New, derive(private, labelToken))
		oracle.Write(message)
		var got [MACBytes]byte
		m.Sum(&got, message)
		if want := oracle.Sum(nil)[:MACBytes]; !bytes.Equal(got[:], want) {
			t.Errorf("%d bytes: got %x, want %x", n, got, want)
		}
	}
}

// Look-ups while the feed changes the ring see the keys before or after, never none.
func TestLookupsDuringApply(t *testing.T) {
	s := secrets(t, newText)
	keys := generate(t, s, EdDSA)
	r := ring(t, s, EdDSA, keys)
	header := r.Signer().Header()
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if r.Signer() == nil || r.ActiveMAC() == nil || r.Verifier(header) == nil {
						t.Error("the ring was empty for a moment")
						return
					}
				}
			}
		})
	}
	for range 100 {
		if err := r.Replace(keys); err != nil {
			t.Error(err)
		}
	}
	close(done)
	group.Wait()
}
