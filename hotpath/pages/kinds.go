package pages

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const self = "'self'"

// Login is the page to sign in.
type Login struct {
	Client   string // that is gone on to; "": none
	Username string // to begin with
	Request  string // sealed; "": none
	Problem  string // with the last attempt; "": none
	Redirect string // the redirect URI that signing in may lead to; "": none
}

// Login makes the page.
func (s *Set) Login(p Login) Page { return s.render("login", p, self, beyond(p.Redirect)) }

// Consent asks the user whether a client may do something.
type Consent struct {
	Client   string // its name
	Username string
	Scopes   []Scope
	Redirect string // the redirect URI
	Request  string // sealed, for this session

	Resources []string // where it may do that, but for this server
}

// Host is where the answer goes, for people.
func (p Consent) Host() string { return hostOf(p.Redirect) }

// Consent makes the page.
func (s *Set) Consent(p Consent) Page { return s.render("consent", p, self, beyond(p.Redirect)) }

// Error says what went wrong, where no client can be told.
type Error struct {
	Title string
	Text  string
	Code  string // of the refusal; "": none
}

// Error makes the page.
func (s *Set) Error(p Error) Page { return s.render("error", p) }

// Message says that something was done.
type Message struct {
	Title, Text    string
	Link, LinkText string // where to go on; "": nowhere
}

// Message makes the page.
func (s *Set) Message(p Message) Page { return s.render("message", p) }

// SignedOut is the page after the end of a session.
func (s *Set) SignedOut() Page {
	return s.Message(Message{Title: "Signed out", Text: "You are signed out here. You can close this page.", Link: "/auth/login", LinkText: "Sign in again"})
}

// A Field is a hidden field of a form.
type Field struct{ Name, Value string }

// Confirm asks before something is done, by a form.
type Confirm struct {
	Title, Text string
	Yes, No     string // the two buttons
	Action      string // the path that the form is sent to
	Back        string // the path of No
	Fields      []Field
	Redirect    string // the URI that the answer may lead to; "": it stays here
}

// Host is where the form goes, for people.
func (p FormPost) Host() string { return hostOf(p.Action) }

// Confirm makes the page.
func (s *Set) Confirm(p Confirm) Page { return s.render("confirm", p, self, beyond(p.Redirect)) }

// ConfirmLogout asks whether to sign out (OpenID Connect RP-Initiated Logout §2).
func (s *Set) ConfirmLogout(action, redirect string, fields ...Field) Page {
	return s.Confirm(Confirm{
		Title: "Sign out?", Text: "You will be signed out here, and of the applications that you use with this sign-in.",
		Yes: "Sign out", No: "Stay", Action: action, Back: "/profile", Fields: fields, Redirect: redirect,
	})
}

// Profile is the user's own page.
type Profile struct {
	Username, Email string
	Since           time.Time // of the session
	Applications    []Application
	More            bool   // than Applications
	Done, Problem   string // what became of the last request
}

// An Application is a client that the user has allowed something.
type Application struct {
	ID, Name string
	Scopes   []Scope
	Since    time.Time
	Used     time.Time // zero: never, as far as is known
}

// Profile makes the page.
func (s *Set) Profile(p Profile) Page { return s.render("profile", p, self) }

// FormPost hands an answer to a client by a form (OAuth 2.0 Form Post Response Mode).
type FormPost struct {
	Action string // the redirect URI
	Fields []Field
}

// FormPost makes the page, the only one that has a script.
func (s *Set) FormPost(p FormPost) Page {
	page := s.render("formpost", p, beyond(p.Action))
	page.Policy += "; script-src " + s.script
	return page
}

// beyond is where a form may lead whose answer goes to a redirect URI, in a policy. Chromium holds the whole chain of redirects against
// it, and where the client sends its user next is not known here: from its callback to its front page, or from a program on the
// user's machine to a page that says so. Hence all of https.
func beyond(redirect string) string {
	switch origin := source(redirect); {
	case redirect == "":
		return ""
	case origin == "" || strings.HasPrefix(origin, "https:"):
		return "https:"
	default:
		return "https: " + origin
	}
}

// source names the origin of a redirect URI in a policy. A scheme stands alone where there is no host, and where the grammar has no
// place for one: IPv6 addresses (CSP Level 3 §2.3.1).
func source(redirect string) string {
	u, err := url.Parse(redirect)
	if redirect == "" || err != nil || u.Scheme == "" || strings.ContainsAny(u.Host, " ;,'\"*") {
		return ""
	}
	address, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "http" && u.Scheme != "https" || err == nil && address.Is6() {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// hostOf is what people know a redirect URI by.
func hostOf(redirect string) string {
	u, err := url.Parse(redirect)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return "an application on this device (" + u.Scheme + ")"
	case isLoopback(u.Hostname()):
		return "an application on this device (" + u.Host + ")"
	}
	return u.Host
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
