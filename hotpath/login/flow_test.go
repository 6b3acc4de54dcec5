package login

import (
	"testing"

	"oauth2-server/store"
)

// The decision table of an authorization request: OpenID Connect Core §3.1.2.1, §3.1.2.3, §3.1.2.6.
func TestNext(t *testing.T) {
	const now, life = int64(1_800_000_000), int64(3600)
	anna := &store.User{ID: store.ID{1}}
	nobody := Visit{Asked: Asked{At: now}, Now: now}
	old := Visit{User: anna, Session: Session{ID: store.ID{9}, Issued: now - life}, Asked: Asked{At: now, Before: store.ID{9}}, Now: now}
	old.Consent = &store.Consent{Scopes: []string{"openid", "offline_access"}}
	with := func(v Visit, changes ...func(*Visit)) Visit {
		for _, change := range changes {
			change(&v)
		}
		return v
	}
	anew := func(v *Visit) { v.Session = Session{ID: store.ID{10}, Issued: v.Asked.At}; v.Here = true }
	elsewhere := func(v *Visit) { v.Here = false } // signed in meanwhile, for something else
	sameSecond := func(v *Visit) { v.Session.Issued, v.Here = v.Asked.At, true }
	restored := func(v *Visit) { v.Asked.Before = store.ID{} } // the cookie was taken away, and put back
	allowed := func(v *Visit) { v.Allowed = true }
	unasked := func(v *Visit) { v.Consent = nil }

	there := func(v *Visit) { v.Consent = &store.Consent{Scopes: v.Consent.Scopes, Audiences: []string{"files"}} }

	f := func(name string, w Wishes, v Visit, want Step) {
		t.Helper()
		if w.Scope == "" {
			w.Scope = "openid"
		}
		if got := w.Next(&v); got != want {
			t.Errorf("%s: got step %d, want %d", name, got, want)
		}
	}
	free := Wishes{MaxAge: -1}
	f("nobody is signed in", free, nobody, SignIn)
	f("nobody, prompt=none", Wishes{None: true, MaxAge: -1}, nobody, LoginRequired)
	f("signed in and allowed before", free, old, Answer)
	f("the same, prompt=none", Wishes{None: true, MaxAge: -1}, old, Answer)

	f("prompt=login", Wishes{Login: true, MaxAge: -1}, old, SignIn)
	f("prompt=login, signed in in the second of the request", Wishes{Login: true, MaxAge: -1}, with(old, sameSecond), SignIn)
	f("prompt=login, an older session put back", Wishes{Login: true, MaxAge: -1}, with(old, restored), SignIn)
	f("prompt=login, signed in for it", Wishes{Login: true, MaxAge: -1}, with(old, anew), Answer)
	f("prompt=login, signed in meanwhile, but not for it", Wishes{Login: true, MaxAge: -1}, with(old, anew, elsewhere), SignIn)
	f("max_age=0, signed in meanwhile, but not for it", Wishes{MaxAge: 0}, with(old, anew, elsewhere), SignIn)
	f("prompt=select_account", Wishes{Select: true, MaxAge: -1}, old, SignIn)
	f("prompt=select_account, signed in for it", Wishes{Select: true, MaxAge: -1}, with(old, anew), Answer)

	f("max_age not reached", Wishes{MaxAge: life}, old, Answer)
	f("max_age exceeded", Wishes{MaxAge: life - 1}, old, SignIn)
	f("max_age exceeded, prompt=none", Wishes{None: true, MaxAge: life - 1}, old, LoginRequired)
	f("max_age=0", Wishes{MaxAge: 0}, with(old, sameSecond), SignIn)
	f("max_age=0, signed in for it", Wishes{MaxAge: 0}, with(old, anew), Answer)

	f("the hint is the user's", Wishes{Hint: anna.ID.String(), MaxAge: -1}, old, Answer)
	f("the hint is another's", Wishes{Hint: store.ID{2}.String(), MaxAge: -1}, old, SignIn)
	f("the hint is another's, prompt=none", Wishes{None: true, Hint: store.ID{2}.String(), MaxAge: -1}, old, LoginRequired)
	f("the hint is another's, after signing in", Wishes{Hint: store.ID{2}.String(), MaxAge: -1}, with(old, anew), LoginRequired)

	f("never allowed", free, with(old, unasked), Allow)
	f("never allowed, prompt=none", Wishes{None: true, MaxAge: -1}, with(old, unasked), ConsentRequired)
	f("more than was allowed", Wishes{Scope: "openid email", MaxAge: -1}, old, Allow)
	f("RFC 8707: somewhere else than was allowed", Wishes{Audience: "files", MaxAge: -1}, old, Allow)
	f("somewhere else, prompt=none", Wishes{None: true, Audience: "files", MaxAge: -1}, old, ConsentRequired)
	f("somewhere that was allowed", Wishes{Audience: "files", MaxAge: -1}, with(old, there), Answer)
	f("there, and somewhere else", Wishes{Audience: "files mail", MaxAge: -1}, with(old, there), Allow)
	f("offline_access, allowed before", Wishes{Scope: "openid offline_access", MaxAge: -1}, old, Answer)
	f("prompt=consent", Wishes{Consent: true, MaxAge: -1}, old, Allow)
	f("prompt=consent, just allowed", Wishes{Consent: true, MaxAge: -1}, with(old, allowed), Answer)
	f("prompt=consent, but prompt=login comes first", Wishes{Login: true, Consent: true, MaxAge: -1}, with(old, allowed), SignIn)
	f("the operator's own client", Wishes{Trusted: true, MaxAge: -1}, with(old, unasked), Answer)
	f("the operator's own client, prompt=consent", Wishes{Trusted: true, Consent: true, MaxAge: -1}, with(old, unasked), Allow)
	f("RFC 8252 §8.6: a client that anybody can claim to be", Wishes{Unproved: true, MaxAge: -1}, old, Allow)
	f("RFC 8252 §8.6, prompt=none", Wishes{Unproved: true, None: true, MaxAge: -1}, old, ConsentRequired)
	f("RFC 8252 §8.6, just allowed", Wishes{Unproved: true, MaxAge: -1}, with(old, allowed), Answer)
}
