package keys

import (
	"errors"
	"sync"
	"testing"

	"oauth2-server/store"
)

const triedText = "a third secret of the tests which has 32 bytes"

// The ring goes on by other secrets, and so does every copy of those it was made with.
func TestRingTakesOtherSecrets(t *testing.T) {
	s := secrets(t, oldText)
	stored := complete(t, s, ES256)
	r := ring(t, s, ES256, stored)
	sealed, err := s.SealText("web", "text")
	if err != nil {
		t.Fatal(err)
	}
	number := r.ActiveMAC().Number
	both := secrets(t, newText+","+oldText)
	take, err := r.Try(both)
	if err != nil {
		t.Fatal(err)
	}
	if s.Fingerprints()[0] == both.Fingerprints()[0] {
		t.Error("a try has changed the secrets")
	}
	take()
	if got := s.Fingerprints(); len(got) != 2 || got[0] != both.Fingerprints()[0] {
		t.Errorf("got secrets %v", got)
	}
	if text, err := s.OpenText("web", sealed); text != "text" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	if r.Ready() != nil || !r.Whole() || r.ActiveMAC().Number != number {
		t.Error("the ring is not as it was")
	}
	if err := r.Apply(Missing(stored, s)); err != nil {
		t.Fatal(err)
	}
	if take, err = r.Try(secrets(t, newText)); err != nil {
		t.Fatal(err)
	}
	take()
	if r.Ready() != nil || !r.Whole() {
		t.Error("the ring does not open by the new secret alone")
	}
}

// One key that would close is enough, in whatever state; a retired one does not count.
func TestRingRefusesSecretsThatCloseAKey(t *testing.T) {
	s := secrets(t, oldText)
	both := secrets(t, newText+","+oldText)
	for _, state := range []string{store.KeyActive, store.KeyNext} {
		stored := complete(t, s, ES256)
		left := pick(t, stored, store.UseMAC, state)
		all := append(stored, Missing(stored, both)...)
		r := ring(t, s, ES256, append(all, left)) // it lacks the new seal
		if _, err := r.Try(secrets(t, newText)); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: got %v, want ErrSealed", state, err)
		}
		left.State, left.Seals = store.KeyRetired, nil
		if err := r.Apply([]store.Key{left}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Try(secrets(t, newText)); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		if _, err := r.Try(secrets(t, triedText)); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: got %v, want ErrSealed", state, err)
		}
	}
}

// While secrets change, every seal is of one of them and opens.
func TestSecretsChangeUnderUse(t *testing.T) {
	s := secrets(t, oldText)
	r := ring(t, s, HS256, complete(t, s, HS256))
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for range 300 {
				sealed, err := s.SealText("web", "text")
				if err != nil {
					t.Error(err)
				}
				if text, err := s.OpenText("web", sealed); err != nil || text != "text" {
					t.Errorf("got %q, %v", text, err)
				}
				if r.Signer() == nil || r.ActiveMAC() == nil {
					t.Error("the ring is empty for a moment")
				}
			}
		})
	}
	for i := range 100 {
		text := oldText + "," + newText
		if i%2 == 0 {
			text = newText + "," + oldText
		}
		take, err := r.Try(secrets(t, text))
		if err != nil {
			t.Fatal(err)
		}
		take()
	}
	users.Wait()
}

// A key that comes between a try and its taking, sealed by the old secret alone, stays open.
func TestRingClosesNoKeyThatCameSinceTheTry(t *testing.T) {
	s := secrets(t, oldText)
	both := secrets(t, newText+","+oldText)
	stored := complete(t, s, ES256)
	r := ring(t, s, ES256, append(stored, Missing(stored, both)...))
	take, err := r.Try(secrets(t, newText))
	if err != nil {
		t.Fatal(err)
	}
	late := complete(t, secrets(t, oldText), ES256)
	if err := r.Replace(late); err != nil {
		t.Fatal(err)
	}
	take()
	if r.Ready() != nil || !r.Whole() {
		t.Error("a key that was open is closed")
	}
}

// A key that was closed opens by a secret that is given now.
func TestRingOpensWhatNewSecretsOpen(t *testing.T) {
	r := NewRing(secrets(t, oldText), ES256)
	if err := r.Replace(complete(t, secrets(t, newText), ES256)); !errors.Is(err, ErrSealed) {
		t.Fatalf("got %v, want ErrSealed", err)
	}
	take, err := r.Try(secrets(t, newText))
	if err != nil {
		t.Fatal(err)
	}
	take()
	if r.Ready() != nil || !r.Whole() {
		t.Error("the keys are closed still")
	}
}
