package oauth

import (
	"crypto/sha256"
	"testing"
	"time"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// lateEnd is tiers that remember JWTs. The poll that the fence waits for may bring what onFresh does.
type lateEnd struct {
	*tiers
	jwts    map[[sha256.Size]byte][]byte
	onFresh func()
}

func (s *lateEnd) Fresh() (bool, error) {
	if s.onFresh != nil {
		s.onFresh()
	}
	return s.tiers.Fresh()
}

func (s *lateEnd) Remember(digest *[sha256.Size]byte, record []byte) {
	s.jwts[*digest] = append([]byte(nil), record...)
}

func (s *lateEnd) Remembered(dst []byte, digest *[sha256.Size]byte) ([]byte, bool) {
	record, ok := s.jwts[*digest]
	return append(dst[:0], record...), ok
}

func (s *lateEnd) FindMany(keys []store.TokenKey, found func(int, []byte, cache.Tier)) error {
	for i := range keys {
		found(i, s.record, cache.TierStore)
	}
	return nil
}

// leaked is rules over a ring, one token of each kind that they hold for active, and the emergency that ends its keys.
func leaked(t *testing.T) (s *lateEnd, rules *Rules, texts [][]byte, end func()) {
	t.Helper()
	s = &lateEnd{tiers: new(tiers), jwts: map[[sha256.Size]byte][]byte{}}
	rules, stored := newRules(t, s.tiers)
	rules.Clients, rules.Tokens = s, s
	r := store.Record{ID: store.NewID(time.Now()), Expires: time.Now().Unix() + 60, Client: []byte("app"), Subject: []byte("app"), Audience: []byte("x")}
	jwt, err := token.AppendJWT(nil, rules.Ring.Signer(), "https://auth.example.com", &r)
	if err != nil {
		t.Fatal(err)
	}
	texts = [][]byte{live(rules, s.tiers), jwt}
	for _, text := range texts {
		if alive, err := rules.verdict(text, new(Reading)); !alive || err != nil {
			t.Fatalf("got %v, %v; want a live token", alive, err)
		}
	}
	secrets, err := keys.ParseSecrets("a-secret-of-the-tests-with-more-than-32-bytes")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := keys.Rotate(stored, secrets, "ES256", time.Now().Add(time.Hour), keys.Rotation{Emergency: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, rules, texts, func() {
		if err := rules.Ring.Apply(changed); err != nil {
			t.Error(err)
		}
	}
}

// A token of a retired key is dead, though its record, or the verdict on its signature, is remembered.
func TestTokenOfARetiredKeyIsDead(t *testing.T) {
	_, rules, texts, end := leaked(t)
	end()
	for _, text := range texts {
		if alive, err := rules.verdict(text, new(Reading)); alive || err != nil {
			t.Errorf("got %v, %v; want no verdict of life on %.4s", alive, err, text)
		}
	}
}

// The fence vouches for what is in force when it answers: the poll it waited for may have ended the key of a token
// whose text was read before.
func TestKeyThatEndsDuringTheVerdictEndsTheToken(t *testing.T) {
	for i := range 2 {
		s, rules, texts, end := leaked(t)
		s.onFresh = end
		if alive, err := rules.verdict(texts[i], new(Reading)); alive || err != nil {
			t.Errorf("got %v, %v; want no verdict of life on %.4s", alive, err, texts[i])
		}
	}
	s, rules, texts, end := leaked(t)
	s.onFresh = end
	caller := Caller{Client: &store.Client{ID: "gateway", Introspect: store.IntrospectAny}}
	answers := 0
	err := rules.IntrospectMany(caller, texts, func(_ *Reading, active bool) {
		answers++
		if active {
			t.Error("one of many is active")
		}
	})
	if err != nil || answers != 2 {
		t.Errorf("got %d answers, %v", answers, err)
	}
}
