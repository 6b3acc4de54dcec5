package oauth

import (
	"errors"
	"testing"
	"time"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// tiers stands in for what is remembered, with faults that a test decides.
type tiers struct {
	Tokens
	record []byte
	stale  bool
	fault  error // of Fresh
	onFind func(*tiers)
}

func (s *tiers) Fresh() (stale bool, err error) { return s.stale, s.fault }
func (s *tiers) Position() store.Position       { return 1 }
func (s *tiers) Client([]byte) *store.Client    { return nil }
func (s *tiers) Now() int64                     { return time.Now().UnixNano() }
func (s *tiers) AwaitPoll()                     {}
func (s *tiers) Dead(*store.Record) bool        { return false }
func (s *tiers) Find(dst []byte, _ store.TokenKey) ([]byte, cache.Tier, error) {
	if s.onFind != nil {
		s.onFind(s)
	}
	return append(dst[:0], s.record...), cache.TierStore, nil
}

// newRules is rules over tiers, with a fresh ring, and the ring's stored keys.
func newRules(t testing.TB, s *tiers) (*Rules, []store.Key) {
	t.Helper()
	secrets, err := keys.ParseSecrets("a-secret-of-the-tests-with-more-than-32-bytes")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := keys.Generate(secrets, "ES256", time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(secrets, "ES256")
	if err := ring.Replace(stored); err != nil {
		t.Fatal(err)
	}
	return New(Options{Issuer: "https://auth.example.com", Clients: s, Tokens: s, Ring: ring, AccessTTL: time.Hour}), stored
}

// live is an opaque token of the ring, whose record the tiers hold.
func live(rules *Rules, s *tiers) []byte {
	r := store.Record{ID: store.NewID(time.Now()), Issued: time.Now().Unix(), Expires: time.Now().Unix() + 60, Client: []byte("app"), Subject: []byte("app")}
	s.record = r.Append(nil)
	return token.AppendOpaque(nil, rules.Ring.ActiveMAC(), token.Access, r.ID, r.Expires)
}

// The fence is asked after the record was found, however long that took: a look-up that outlasts it gives no verdict.
func TestFenceIsAskedAfterTheRecordWasFound(t *testing.T) {
	s := new(tiers)
	rules, _ := newRules(t, s)
	text := live(rules, s)
	if alive, err := rules.verdict(text, new(Reading)); !alive || err != nil {
		t.Fatalf("got %v, %v; want a live token", alive, err)
	}
	s.onFind = func(s *tiers) { s.fault = store.ErrUnavailable }
	if alive, err := rules.verdict(text, new(Reading)); alive || !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v, %v; want ErrUnavailable", alive, err)
	}
}

// A token of a key that is not known is none of ours: but not where the key may just be missing here (promise P5).
func TestUnknownKeyIsNoVerdictWhereTheKeyMayBeMissing(t *testing.T) {
	s := new(tiers)
	rules, stored := newRules(t, s)
	foreign, _ := newRules(t, s)
	var jwt []byte
	r := store.Record{ID: store.NewID(time.Now()), Expires: time.Now().Unix() + 60, Client: []byte("app"), Subject: []byte("app"), Audience: []byte("x")}
	jwt, err := token.AppendJWT(nil, foreign.Ring.Signer(), "https://auth.example.com", &r)
	if err != nil {
		t.Fatal(err)
	}
	opaque := live(foreign, s)
	opaque = unknownNumber(t, rules, opaque)
	want := func(name string, inactive bool) {
		t.Helper()
		for _, text := range [][]byte{jwt, opaque} {
			alive, err := rules.verdict(text, new(Reading))
			if alive || errors.Is(err, store.ErrUnavailable) == inactive {
				t.Errorf("%s: got %v, %v", name, alive, err)
			}
		}
	}
	want("a whole ring", true)
	s.stale = true
	want("cut off from the store", false)
	s.stale = false
	sealed := stored[0].Clone()
	sealed.ID, sealed.State, sealed.Seals = store.NewID(time.Now()), store.KeyRetiring, nil
	if rules.Ring.Apply([]store.Key{sealed}) == nil {
		t.Fatal("a key without a seal was opened")
	}
	want("a key that is sealed to this replica", false)
	sealed.State = store.KeyRetired
	if err := rules.Ring.Apply([]store.Key{sealed}); err != nil {
		t.Fatal(err)
	}
	want("that key retired", true)
}

// unknownNumber is the token with the number of a key that the ring does not have.
func unknownNumber(t *testing.T, rules *Rules, text []byte) []byte {
	t.Helper()
	for _, letter := range []byte("wxyz_-") { // the first letter holds the six high bits of the number
		changed := append([]byte(nil), text...)
		changed[4] = letter
		if _, err := token.ParseOpaque(rules.Ring, token.Access, changed); errors.Is(err, token.ErrUnknownKey) {
			return changed
		}
	}
	t.Fatal("every key number is known")
	return nil
}

// A refusal that depends on what a replica cut off from the store may not know is no refusal (promise P5).
func TestStaleReplicaRefusesNoClient(t *testing.T) {
	s := new(tiers)
	rules, _ := newRules(t, s)
	who := &Credentials{Method: MethodBasic, ID: []byte("new"), Secret: []byte("secret")}
	if _, err := rules.Authenticate(who); !errors.Is(err, error(ErrClient)) {
		t.Errorf("got %v, want %v", err, ErrClient)
	}
	s.stale = true
	if _, err := rules.Authenticate(who); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("cut off: got %v, want ErrUnavailable", err)
	}
}
