package login

import (
	"oauth2-server/store"
)

// Wishes are what an authorization request asks of the steps before its answer (OpenID Connect Core §3.1.2.1).
type Wishes struct {
	None, Login, Consent, Select bool   // prompt
	MaxAge                       int64  // seconds since the user signed in; -1: any
	Hint                         string // the subject that is expected; "": anyone
	Scope                        string
	Audience                     string // where, beside this server itself; separated by spaces
	Trusted                      bool   // store.Client.Trusted
	// Unproved is a public client at a redirect URI that any program can have: RFC 8252 §8.6 lets nothing
	// that was allowed before count for it.
	Unproved bool
}

// A Visit is who is there, and what was done for the request.
type Visit struct {
	User    *store.User    // nil: nobody is signed in
	Session Session        // of the user
	Consent *store.Consent // that is remembered; nil: none
	Allowed bool           // the user has just allowed it
	Here    bool           // the session began on the page of this request, or the user was asked to consent to it in the session
	Asked   Asked
	Now     int64 // Unix seconds
}

// Asked is when and where a request was first seen. It is kept with the request, sealed.
type Asked struct {
	At     int64    // Unix seconds
	Before store.ID // the session that the browser had then; zero: none
}

// A Step is what comes next for an authorization request.
type Step uint8

// The steps. Those that are errors go to the client.
const (
	Answer          Step = iota // with a code
	SignIn                      // the page to sign in
	Allow                       // the page to consent
	LoginRequired               // the error of OpenID Connect Core §3.1.2.6
	ConsentRequired             // likewise
)

// Next is the next step for a request with these wishes.
func (w *Wishes) Next(v *Visit) Step {
	switch {
	case v.User == nil || !v.fresh() && w.signInAnew(v):
		return w.page(SignIn, LoginRequired)
	case !w.expects(v.User):
		if v.fresh() {
			return LoginRequired // §3.1.2.2: somebody else signed in; asking again would go round in circles
		}
		return w.page(SignIn, LoginRequired)
	case !v.Allowed && w.ask(v.Consent):
		return w.page(Allow, ConsentRequired)
	}
	return Answer
}

// page is the step of a page, or the error where no page may be shown.
func (w *Wishes) page(shown, refused Step) Step {
	if w.None {
		return refused
	}
	return shown
}

// fresh reports whether the user signed in for this very request: a sign-in for something else that came later is none for it. The
// second alone does not tell either: a session can have begun in the second in which the request came.
func (v *Visit) fresh() bool {
	return v.Here && v.Session.Issued >= v.Asked.At && v.Session.ID != v.Asked.Before
}

// signInAnew reports whether a session that began before the request will not do. Another account can be selected on the same
// page as one signs in.
func (w *Wishes) signInAnew(v *Visit) bool {
	return w.Login || w.Select || w.MaxAge >= 0 && v.Now-v.Session.Issued > w.MaxAge || w.MaxAge == 0
}

func (w *Wishes) expects(user *store.User) bool { return w.Hint == "" || w.Hint == user.ID.String() }

// ask reports whether the user is asked. What is remembered is the consent that §11 wants for offline_access, too.
func (w *Wishes) ask(remembered *store.Consent) bool {
	switch {
	case w.Consent:
		return true
	case w.Trusted:
		return false
	}
	return w.Unproved || remembered == nil || !remembered.Covers(w.Scope, w.Audience)
}
