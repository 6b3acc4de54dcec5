package oauth

import (
	"errors"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// userToken is an opaque access token with these fields, whose record the tiers hold.
func (p *people) userToken(rules *Rules, change func(*store.Record)) []byte {
	r := store.Record{
		ID: store.NewID(time.Now()), Grant: store.NewID(time.Now()), Issued: time.Now().Unix(), Expires: time.Now().Unix() + 60,
		Client: []byte("web"), Subject: []byte(p.user.ID.String()), Scope: []byte("openid profile email"),
	}
	if change != nil {
		change(&r)
	}
	p.record = r.Append(nil)
	return token.AppendOpaque(nil, rules.Ring.ActiveMAC(), token.Access, r.ID, r.Expires)
}

// OpenID Connect Core §5.3.2 and §5.4: sub always, and what the scopes ask for.
func TestUserInfoTellsWhatTheScopesAskFor(t *testing.T) {
	p, rules := newPeople(t)
	sub := `{"sub":"` + p.user.ID.String() + `"`
	f := func(scope, want string) {
		t.Helper()
		text := p.userToken(rules, func(r *store.Record) { r.Scope = []byte(scope) })
		got, err := rules.UserInfo(t.Context(), nil, text, new(Reading))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", scope, got, err, want)
		}
	}
	f("openid", sub+`}`)
	f("profile openid", sub+`,"preferred_username":"ann"}`)
	f("openid email", sub+`,"email":"ann@example.com"}`)
	f("openid profile email other", sub+`,"preferred_username":"ann","email":"ann@example.com"}`)
	p.user.Email = ""
	f("openid email", sub+`}`) // §5.3.2: what there is not is left out, not null
}

// RFC 6750 §3.1: which refusal is which.
func TestUserInfoRefusals(t *testing.T) {
	p, rules := newPeople(t)
	f := func(name string, text []byte, want Code) {
		t.Helper()
		_, err := rules.UserInfo(t.Context(), nil, text, new(Reading))
		if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Code != want {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	f("garbage", []byte("hello"), InvalidToken)
	f("expired", p.userToken(rules, func(r *store.Record) { r.Expires = 1000 }), InvalidToken)
	f("no openid", p.userToken(rules, func(r *store.Record) { r.Scope = []byte("profile email openid2") }), InsufficientScope)
	f("of the client itself", p.userToken(rules, func(r *store.Record) { r.Grant, r.Subject = store.ID{}, []byte("web") }), InsufficientScope)
	f("a client whose name is a user's id", p.userToken(rules, func(r *store.Record) { r.Grant = store.ID{} }), InsufficientScope)
	good := p.userToken(rules, nil)
	p.user.Disabled = true
	f("disabled", good, InvalidToken)
	p.user.ID = store.NewID(time.Now())
	f("deleted", good, InvalidToken)
}

// A fault of the store says nothing of the token (promise P5).
func TestUserInfoFaultIsNoVerdict(t *testing.T) {
	p, rules := newPeople(t)
	good := p.userToken(rules, nil)
	p.missing = store.ErrUnavailable
	if _, err := rules.UserInfo(t.Context(), nil, good, new(Reading)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	p.missing, p.fault = nil, store.ErrUnavailable
	if _, err := rules.UserInfo(t.Context(), nil, good, new(Reading)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("past the fence: got %v, want ErrUnavailable", err)
	}
}
