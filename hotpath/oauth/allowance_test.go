package oauth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// faulty is grants that a store keeps which cannot be reached. It counts who asks.
type faulty struct{ asked int }

func (s *faulty) Redeem(store.Redemption) (store.Code, error) {
	s.asked++
	return store.Code{}, store.ErrUnavailable
}

func (s *faulty) Rotate(store.Rotation) (store.Rotated, error) {
	s.asked++
	return store.Rotated{}, store.ErrUnavailable
}

func (s *faulty) Grant(store.ID) (store.Grant, error) {
	s.asked++
	return store.Grant{}, store.ErrUnavailable
}

func (s *faulty) RevokeGrant(store.Actor, store.ID, string) (bool, error) {
	s.asked++
	return false, store.ErrUnavailable
}

func (s *faulty) Ended(store.ID) bool { return false }

func newFaulty(t *testing.T) (*Rules, *faulty, Caller) {
	t.Helper()
	rules, _ := newRules(t, new(tiers))
	grants := new(faulty)
	rules.Grants, rules.SessionLife = grants, time.Hour
	client := &store.Client{ID: "web", Grants: GrantTypes(), Scopes: []string{"read"}, Introspect: store.IntrospectAny}
	return rules, grants, Caller{Client: client, Position: 1}
}

const goodVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B

// Promise P5: a fault of the store is no verdict on a code or a refresh token.
func TestFaultOfTheStoreIsNoRefusal(t *testing.T) {
	rules, grants, caller := newFaulty(t)
	mac, id, later := rules.Ring.ActiveMAC(), store.NewID(time.Now()), time.Now().Unix()+60
	code := token.AppendOpaque(nil, mac, token.Code, id, later)
	refresh := token.AppendRefresh(nil, mac, id, 1)
	for name, ask := range map[string]func() error{
		"redeem": func() error {
			return rules.Grant(caller, &TokenRequest{GrantType: []byte("authorization_code"), Code: code, Verifier: []byte(goodVerifier)}, new(TokenResponse))
		},
		"refresh": func() error {
			return rules.Grant(caller, &TokenRequest{GrantType: []byte("refresh_token"), RefreshToken: refresh}, new(TokenResponse))
		},
		"refresh with less": func() error {
			return rules.Grant(caller, &TokenRequest{GrantType: []byte("refresh_token"), RefreshToken: refresh, Scope: []byte("read")}, new(TokenResponse))
		},
		"revoke": func() error {
			_, err := rules.Revoke(caller, refresh, new(Reading))
			return err
		},
		"introspect": func() error {
			_, err := rules.Introspect(caller, refresh, new(Reading))
			return err
		},
	} {
		before := grants.asked
		err := ask()
		if _, refusal := errors.AsType[*Error](err); refusal || !errors.Is(err, store.ErrUnavailable) || grants.asked != before+1 {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}

// Promise P6: garbage, what is of another kind, and an expired code cost no I/O.
func TestGarbageAsksNoStore(t *testing.T) {
	rules, grants, caller := newFaulty(t)
	foreign, _, _ := newFaulty(t)
	mac, id, now := rules.Ring.ActiveMAC(), store.NewID(time.Now()), time.Now().Unix()
	for _, text := range []string{
		"x", strings.Repeat("\x00", 56), "oac_" + strings.Repeat("A", 52), "ort_" + strings.Repeat("A", 52),
		string(token.AppendOpaque(nil, mac, token.Access, id, now+60)), string(token.AppendOpaque(nil, mac, token.Pushed, id, now+60)),
		string(token.AppendOpaque(nil, mac, token.Code, id, now-1)),
		string(token.AppendOpaque(nil, foreign.Ring.ActiveMAC(), token.Code, id, now+60)),
		string(token.AppendRefresh(nil, foreign.Ring.ActiveMAC(), id, 1)),
	} {
		for _, grant := range []string{"authorization_code", "refresh_token"} {
			q := &TokenRequest{GrantType: []byte(grant), Code: []byte(text), RefreshToken: []byte(text), Verifier: []byte(goodVerifier), Scope: []byte("read")}
			if err := rules.Grant(caller, q, new(TokenResponse)); !errors.Is(err, errGrant) {
				t.Errorf("%s %q: got %v, want %v", grant, text, err, errGrant)
			}
		}
		if token.KindOf([]byte(text)) != token.Refresh {
			continue
		}
		revoked, errRevoke := rules.Revoke(caller, []byte(text), new(Reading))
		active, errIntrospect := rules.Introspect(caller, []byte(text), new(Reading))
		if revoked || active || errRevoke != nil || errIntrospect != nil {
			t.Errorf("%q: got %v, %v, %v, %v", text, revoked, active, errRevoke, errIntrospect)
		}
	}
	if grants.asked != 0 {
		t.Errorf("the store was asked %d times", grants.asked)
	}
}

// A code is spent by its redemption, so what would keep it from being answered is found out before.
func TestNothingIsSpentThatCannotBeAnswered(t *testing.T) {
	rules, grants, caller := newFaulty(t)
	caller.Scopes, caller.IDTokenAlg = append(caller.Scopes, "openid"), "EdDSA" // the ring has no such key
	mac, id := rules.Ring.ActiveMAC(), store.NewID(time.Now())
	for _, q := range []*TokenRequest{
		{GrantType: []byte("authorization_code"), Code: token.AppendOpaque(nil, mac, token.Code, id, time.Now().Unix()+60), Verifier: []byte(goodVerifier)},
		{GrantType: []byte("refresh_token"), RefreshToken: token.AppendRefresh(nil, mac, id, 1)},
	} {
		if err := rules.Grant(caller, q, new(TokenResponse)); !errors.Is(err, store.ErrUnavailable) || grants.asked != 0 {
			t.Errorf("%s: got %v after %d questions, want ErrUnavailable after none", q.GrantType, err, grants.asked)
		}
	}
}

// A scope that the client lost since is not given again, and none that it got since (RFC 6749 §6).
func TestGrantedScopeIsNarrowed(t *testing.T) {
	client := &store.Client{Scopes: []string{"read", "write", "admin"}}
	f := func(granted, asked, want string, fault error) {
		t.Helper()
		got, err := narrowGranted(nil, client, granted, []byte(asked))
		if !errors.Is(err, fault) || fault == nil && string(got) != want {
			t.Errorf("%q of %q: got %q, %v", asked, granted, got, err)
		}
	}
	f("read write", "", "read write", nil)
	f("read write", "write", "write", nil)
	f("read write", "write write", "write", nil)
	f("read gone", "", "read", nil)
	f("", "", "", nil)
	f("read write", "admin", "", errScope)
	f("read gone", "gone", "", errScope)
	f("read write", "read  write", "", errScope)
	f("read write", "READ", "", errScope)
	f("", "read", "", errScope)
}

// The memory of a reading is used again: what it was of before does not show.
func TestReadingForgetsThatItWasOfARefreshToken(t *testing.T) {
	s := new(tiers)
	rules, _ := newRules(t, s)
	reading := &Reading{refresh: true}
	alive, err := rules.verdict(live(rules, s), reading)
	if answer := reading.AppendJSON(nil, rules.Issuer); !alive || err != nil || !strings.Contains(string(answer), `"token_type":"Bearer"`) {
		t.Errorf("got %s, %v", answer, err)
	}
}
