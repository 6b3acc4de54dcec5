package keys

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// OpenID Connect Core §15.1: RS256 is there, whatever signs access tokens.
func TestRingSignsIDTokensWithEveryAlg(t *testing.T) {
	s := secrets(t, newText)
	for _, own := range Algs() {
		r := ring(t, s, own, complete(t, s, own))
		if r.Signer().Alg != own || r.lacksIDTokens() {
			t.Errorf("%s: access tokens are signed with %s; the ring lacks keys: %v", own, r.Signer().Alg, r.lacksIDTokens())
		}
		for _, alg := range IDTokenAlgs() {
			signer := r.SignerOf(alg)
			if signer == nil || signer.Alg != alg || !bytes.Contains(r.JWKS().Body, []byte(signer.KID)) {
				t.Errorf("%s: the signer of %s is %v, or not published", own, alg, signer)
			}
		}
	}
	if IDTokenAlgs()[0] != RS256 {
		t.Errorf("the default is %s", IDTokenAlgs()[0])
	}
}

// RFC 8725 §3.11: the type in the header keeps the kinds apart, as only headers that a key writes are known.
func TestNoKindOfTokenPassesForAnother(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, ES256, complete(t, s, ES256))
	for _, alg := range IDTokenAlgs() {
		signer := r.SignerOf(alg)
		f := func(kind Kind, access, id bool) {
			t.Helper()
			header := signer.HeaderOf(kind)
			if got := r.Verifier(header) != nil; got != access {
				t.Errorf("%s: %s passes for an access token: %v", alg, kindTypes[kind], got)
			}
			if got := r.IDTokenVerifier(header) != nil; got != id {
				t.Errorf("%s: %s passes for an id_token: %v", alg, kindTypes[kind], got)
			}
		}
		f(AccessToken, true, false)
		f(IDToken, false, true)
		f(LogoutToken, false, false)
	}
}

// OpenID Connect Core §10.1.1: what was signed before a rotation verifies after it, until the key is retired.
func TestRotationMovesTheKeysOfEveryAlg(t *testing.T) {
	s := secrets(t, newText)
	all := complete(t, s, ES256)
	before := ring(t, s, ES256, all)
	at := now.Add(time.Hour)
	all = rotate(t, all, s, ES256, at, Rotation{Use: store.UseSign})
	after := ring(t, s, ES256, all)
	retired := ring(t, s, ES256, joined(all, Retire(all, at.Add(lastToken))))
	for _, alg := range IDTokenAlgs() {
		old, fresh := before.SignerOf(alg), after.SignerOf(alg)
		if fresh == nil || fresh.Key == old.Key {
			t.Errorf("%s: the key was not rotated", alg)
		}
		if after.IDTokenVerifier(old.HeaderOf(IDToken)) == nil || !bytes.Contains(after.JWKS().Body, []byte(old.KID)) {
			t.Errorf("%s: what the old key signed does not verify any more", alg)
		}
		if before.IDTokenVerifier(fresh.HeaderOf(IDToken)) == nil {
			t.Errorf("%s: the key was not published before it signed", alg)
		}
		if retired.IDTokenVerifier(old.HeaderOf(IDToken)) != nil {
			t.Errorf("%s: a retired key verifies", alg)
		}
	}
	if after.lacksIDTokens() {
		t.Error("there is no next key of each algorithm")
	}
}

// A changed OAUTH2_JWT_ALG leaves keys over, but none that sign id_tokens.
func TestChangedAlgKeepsTheKeysOfIDTokens(t *testing.T) {
	s := secrets(t, newText)
	all := complete(t, s, ES256)
	all = joined(all, generate(t, s, PS256, all...))
	all = rotate(t, all, s, PS256, now.Add(time.Hour), Rotation{})
	if r := ring(t, s, PS256, all); r.SignerOf(ES256) == nil || r.lacksIDTokens() || r.Ready() != nil {
		t.Error("a rotation after the change ended keys of id_tokens")
	}
}

func TestUpkeepMakesTheKeysOfIDTokensOnce(t *testing.T) {
	s := secrets(t, newText)
	db := &memory{keys: generate(t, s, ES256)}
	r := ring(t, s, ES256, db.keys)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := Upkeep(t.Context(), db, r, store.Actor{}, now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if want := []string{"keys.add"}; len(db.keys) != 4+4 || !slices.Equal(db.actions, want) {
		t.Errorf("got %d keys by %v, want 8 by %v: of ES256 one pair serves both uses", len(db.keys), db.actions, want)
	}
}
