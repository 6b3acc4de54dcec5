package oauth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// vault is a desk with one grant, of anybody to the client web.
type vault struct {
	*desk
	grant   store.Grant
	rotated int // how often it was
}

func (v *vault) Put(store.Token) error { return nil }
func (v *vault) Ended(store.ID) bool   { return false }

func (v *vault) Redeem(r store.Redemption) (store.Code, error) {
	return store.Code{ID: r.Code, Client: r.Client, Grant: v.grant}, nil
}

func (v *vault) Rotate(r store.Rotation) (store.Rotated, error) {
	v.rotated++
	return store.Rotated{Outcome: v.grant.Rotate(&r, time.Now()), Grant: v.grant}, nil
}

func (v *vault) Grant(store.ID) (store.Grant, error) { return v.grant, nil }

func (v *vault) RevokeGrant(store.Actor, store.ID, string) (bool, error) {
	v.grant.Revoked = true
	return true, nil
}

func newVault(t testing.TB) (*vault, *Rules) {
	t.Helper()
	d, rules := newDesk(t)
	now := time.Now()
	v := &vault{desk: d, grant: store.Grant{
		ID: store.NewID(now), Client: "web", Subject: store.NewID(now).String(), Scope: "read", Audience: "files", AuthTime: now.Unix(),
		Refresh: true, Generation: 1, Key: rules.Ring.ActiveMAC().Number, Rotated: now, Created: now, Expires: now.Add(time.Hour),
	}}
	rules.Clients, rules.Tokens, rules.Grants, rules.SessionLife = v, v, v, time.Hour
	return v, rules
}

// newest is the text of the grant's refresh token.
func (v *vault) newest(rules *Rules) []byte {
	return token.AppendRefresh(nil, rules.Ring.MAC(v.grant.Key), v.grant.ID, v.grant.Generation)
}

// refresh is the answer to the newest refresh token.
func (v *vault) refresh(rules *Rules) error {
	return rules.Grant(v.caller(), &TokenRequest{GrantType: []byte("refresh_token"), RefreshToken: v.newest(rules)}, new(TokenResponse))
}

// redeem is the answer to a code.
func (v *vault) redeem(rules *Rules) error {
	code := token.AppendOpaque(nil, rules.Ring.ActiveMAC(), token.Code, store.NewID(time.Now()), time.Now().Unix()+60)
	return rules.Grant(v.caller(), &TokenRequest{GrantType: []byte("authorization_code"), Code: code, Verifier: []byte(testVerifier)}, new(TokenResponse))
}

func (v *vault) caller() Caller {
	web := *v.clients["web"]
	web.Scopes = []string{"read"} // without openid: the ring of the tests has no key for id_tokens
	return Caller{Client: &web, Position: 1, Proved: store.AuthBasic}
}

// Promise P1's last sentences, P5: what is made of a grant outlives what a replica that is cut off may not know. It makes nothing, and
// that is no refusal.
func TestReplicaThatIsCutOffMakesNothingOfAGrant(t *testing.T) {
	v, rules := newVault(t)
	introspect := func(rules *Rules) error {
		_, err := rules.Introspect(Caller{Client: &store.Client{ID: "auditor", Introspect: store.IntrospectAny}}, v.newest(rules), new(Reading))
		return err
	}
	for what, do := range map[string]func(*Rules) error{"refresh": v.refresh, "code": v.redeem, "introspection of a refresh token": introspect} {
		if err := do(rules); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		v.stale = true
		if err := do(rules); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s on a replica that is cut off: got %v, want ErrUnavailable", what, err)
		}
		v.stale = false
	}
	if v.grant.Revoked {
		t.Error("the grant was revoked for it")
	}
}

// Promise P5: a ring without an active key for refresh tokens is our fault. Nothing is rotated for it.
func TestRefreshWithoutAnActiveKeyIsNoRefusal(t *testing.T) {
	v, rules := newVault(t)
	_, stored := newRules(t, &v.tiers)
	for i := range stored {
		if stored[i].Use == store.UseMAC && stored[i].State == store.KeyActive {
			stored[i].State = store.KeyRetiring
			v.grant.Key = byte(stored[i].Number)
		}
	}
	if err := rules.Ring.Replace(stored); err != nil {
		t.Fatal(err)
	}
	if err := v.refresh(rules); !errors.Is(err, store.ErrUnavailable) || v.rotated > 0 {
		t.Errorf("got %v, and %d rotations; want ErrUnavailable and none", err, v.rotated)
	}
	if _, err := rules.rotate(v.caller(), token.Opaque{ID: v.grant.ID, Key: v.grant.Key}); !errors.Is(err, store.ErrUnavailable) || v.rotated > 0 {
		t.Errorf("a key that is gone between the two looks: got %v, and %d rotations", err, v.rotated)
	}
}

// RFC 7662 §2.2: a refresh token of a client that is disabled is not active, whether or not its cut-off is known yet.
func TestRefreshTokenOfADisabledClientIsInactive(t *testing.T) {
	v, rules := newVault(t)
	for _, caller := range []Caller{v.caller(), {Client: &store.Client{ID: "auditor", Introspect: store.IntrospectAny}}} {
		for _, disabled := range []bool{false, true} {
			v.clients["web"].Disabled = disabled
			active, err := rules.Introspect(caller, v.newest(rules), new(Reading))
			if err != nil || active == disabled {
				t.Errorf("%s, client disabled %v: got active %v, %v", caller.ID, disabled, active, err)
			}
		}
	}
}

// lateKeys are keys that take a while to come.
type lateKeys struct {
	*desk
	keys []jose.JSONWebKey
	wait int64 // seconds
}

func (k *lateKeys) Keys(context.Context, string, string, string) ([]jose.JSONWebKey, error) {
	k.now += k.wait
	return k.keys, nil
}

// RFC 7523 §3: an assertion that expires while its keys are waited for proves nothing, and is not spent.
func TestAssertionThatExpiresMeanwhileIsRefused(t *testing.T) {
	d, rules := newAsserting(t)
	d.now = time.Now().Unix()
	keys := &lateKeys{desk: d, keys: []jose.JSONWebKey{{Key: signers()["ES256"].Public(), KeyID: "k"}}}
	rules.KeySets = keys
	d.clients["ES256"].JWKS, d.clients["ES256"].JWKSURI = nil, "https://client.example.com/keys"
	for wait, want := range map[int64]error{7: nil, 60: ErrClient, 61: ErrClient} {
		keys.wait, d.asked = wait, 0
		_, err := present(rules, sign(t, "ES256", claims(rules, "ES256")))
		if !errors.Is(err, want) || (d.asked > 0) != (want == nil) {
			t.Errorf("keys that take %d s: got %v, and the store was asked %d times", wait, err, d.asked)
		}
	}
}
