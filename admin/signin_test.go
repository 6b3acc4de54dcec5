package admin

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/proxy"
	"oauth2-server/store"
)

// post sends a form to sign in.
func (s *site) post(username, password string, headers ...string) reply {
	body := url.Values{"username": {username}, "password": {password}}.Encode()
	return s.do("POST", "/auth/login", body, append([]string{"Content-Type", formType}, headers...)...)
}

func TestSignInByForm(t *testing.T) {
	s := newSite(t)
	r := s.post("Root ", testPassword).want(t, 303)
	if got := r.Header.Get("Location"); got != "/" {
		t.Errorf("got Location %q, want /", got)
	}
	c := r.Cookies()[0]
	if c.Name != "oauth2-admin" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure {
		t.Errorf("got cookie %v", r.Header["Set-Cookie"])
	}
	if life := time.Until(c.Expires); life <= 0 || life > login.SessionLife {
		t.Errorf("the cookie lives %s, want no longer than the session", life)
	}
	s.do("GET", "/admin/api/replicas", "", "Cookie", c.Name+"="+c.Value).want(t, 200)
}

func TestSignInByJSON(t *testing.T) {
	s := newSite(t)
	credentials := `{"username":"root","password":"` + testPassword + `"}`
	var told signedInAnswer
	r := s.do("POST", "/auth/login", credentials).want(t, 200)
	r.read(t, &told)
	if told.Username != "root" || told.Role != "admin" || len(r.Cookies()) != 1 || strings.Contains(r.body, r.Cookies()[0].Value) {
		t.Errorf("got %s, %v", r.body, r.Cookies())
	}
	r = s.post("root", testPassword, "Accept", "application/json").want(t, 200)
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("a form that asks for JSON: got %s", got)
	}
	p := s.do("POST", "/auth/login", `{"username":"root","password":1,"x":2}`).want(t, 400).problem(t)
	if len(p.Errors) != 2 || p.Errors[0].Field != "password" || p.Errors[1].Field != "x" {
		t.Errorf("got %+v", p.Errors)
	}
	s.do("POST", "/auth/login", "username=root", "Content-Type", formType).want(t, 400).problem(t)
	s.do("POST", "/auth/login", "username=a&username=b&password=c", "Content-Type", formType).want(t, 400)
	s.do("POST", "/auth/login", "x", "Content-Type", "text/plain").want(t, 415)
}

func TestAWrongPairIs401(t *testing.T) {
	s := newSite(t)
	for _, pair := range [][2]string{{"root", "wrong"}, {"nobody", testPassword}} {
		r := s.post(pair[0], pair[1]).want(t, 401)
		if p := r.problem(t); len(r.Cookies()) != 0 || !strings.Contains(p.Detail, "wrong") {
			t.Errorf("%v: got %s, %v", pair, r.body, r.Cookies())
		}
	}
	if r := s.post("ann", testPassword).want(t, 403); len(r.Cookies()) != 0 {
		t.Error("a user who is no operator got a session")
	}
}

// TestABrowserSeesTheFormAgain: with what is wrong, with the name and without the password.
func TestABrowserSeesTheFormAgain(t *testing.T) {
	s := newSite(t)
	body := url.Values{"username": {`"><script>`}, "password": {"hunter2hunter2"}, "return_to": {"/debug/pprof/"}}.Encode()
	r := s.do("POST", "/auth/login", body, "Content-Type", formType, "Accept", "text/html").want(t, 401)
	if !strings.Contains(r.body, "the password is wrong") || !strings.Contains(r.body, `value="/debug/pprof/"`) ||
		strings.Contains(r.body, "<script>") || strings.Contains(r.body, "hunter2") {
		t.Errorf("got %s", r.body)
	}
}

func TestSignInGoesBackToWhereItCameFrom(t *testing.T) {
	s := newSite(t)
	host := strings.TrimPrefix(s.url, "http://")
	f := func(returnTo, referer, want string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, s.url+"/auth/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Referer", referer)
		if got := origin(r, returnTo); got != want {
			t.Errorf("return_to %q, Referer %q: got %q, want %q", returnTo, referer, got, want)
		}
	}
	f("/admin/x?y=z#a", "", "/admin/x?y=z#a")
	f("", "http://"+host+"/debug/pprof/?a=b", "/debug/pprof/?a=b")
	f("", "http://"+host+"/auth/login?return_to=/x", "/")
	f("", "https://evil.example/x", "/")
	f("", "", "/")
	for _, elsewhere := range []string{
		"https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "/\n/evil.example",
		"javascript:alert(1)", "evil.example", "http:evil", " /x", "/é", "/%zz",
	} {
		f(elsewhere, "", "/")
	}
	body := url.Values{"username": {"root"}, "password": {testPassword}, "return_to": {"/debug/pprof/"}}.Encode()
	if got := s.do("POST", "/auth/login", body, "Content-Type", formType).want(t, 303).Header.Get("Location"); got != "/debug/pprof/" {
		t.Errorf("got Location %q", got)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	rule := &limits.Policy{Name: "login.ip", Quota: store.Quota{Rate: 5, Period: store.Period(time.Minute), Burst: 10}, Limit: 12, Header: `"login.ip";q=12;w=144`}
	s := newSite(t, func(o *Options) {
		o.Door.Limits = refuseAll{limits.Verdict{Refused: true, Rule: rule, Reset: 90 * time.Second, Retry: 11500 * time.Millisecond}}
	})
	r := s.post("root", testPassword).want(t, 429)
	want := map[string]string{
		"Retry-After": "12", "RateLimit-Policy": rule.Header, "RateLimit": `"login.ip";r=0;t=90`, "X-RateLimit-Limit": "12", "X-RateLimit-Remaining": "0",
	}
	for name, value := range want {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	if reset, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64); err != nil || reset < time.Now().Unix() {
		t.Errorf("got X-RateLimit-Reset %q, want a time to come", r.Header.Get("X-RateLimit-Reset"))
	}
	page := s.post("no-such-name", testPassword, "Accept", "text/html").want(t, 429)
	for _, told := range []string{r.problem(t).Detail, page.body} {
		if !strings.Contains(told, "try again in 12 s") || !strings.Contains(told, "oauth2-server limits override login.username admin:NAME --exempt") || strings.Contains(told, "root") {
			t.Errorf("got %q, want the way in, without the name", told)
		}
	}
}

// refuseAll is a limiter with one verdict.
type refuseAll struct{ verdict limits.Verdict }

func (l refuseAll) Spend(limits.Endpoint, limits.Stage, *limits.Who, int64) limits.Verdict {
	return l.verdict
}

func TestTooManyPasswordsAtOnceAre503(t *testing.T) {
	s := newSite(t)
	p := s.server.keepOutProblem(login.ErrBusy)
	if p == nil || p.Status != 503 || p.header.Get("Retry-After") == "" {
		t.Errorf("got %+v, want 503 with Retry-After", p)
	}
}

func TestSignOutEndsTheSessionEverywhere(t *testing.T) {
	s := newSite(t)
	session, other := s.signIn("root"), s.sealFor("root")
	r := s.do("POST", "/auth/logout", "", "Cookie", session).want(t, 303)
	if c := r.Cookies()[0]; c.Value != "" || c.MaxAge != -1 || r.Header.Get("Location") != "/auth/login" {
		t.Errorf("got %v, Location %q", r.Header["Set-Cookie"], r.Header.Get("Location"))
	}
	s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 401) // a copy of the cookie is worth nothing
	s.do("GET", "/admin/api/replicas", "", "Cookie", other).want(t, 200)
	s.do("POST", "/auth/logout", "", "Accept", "application/json").want(t, 204)
}

// TestWhoCannotBeSignedOutKeepsTheCookie: the session lives, and whoever holds it must be able to end it.
func TestWhoCannotBeSignedOutKeepsTheCookie(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	for _, broken := range []*atomic.Bool{&s.db.stuck, &s.db.blind, &s.db.down} {
		broken.Store(true)
		if r := s.do("POST", "/auth/logout", "", "Cookie", session).want(t, 503); len(r.Cookies()) != 0 {
			t.Errorf("got %v, want the cookie left alone", r.Header["Set-Cookie"])
		}
		broken.Store(false)
	}
	s.do("POST", "/auth/logout", "", "Cookie", session).want(t, 303)
	s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 401)
}

// TestBehindAProxyTheCookieIsSecure: what the proxy says counts only from one that is trusted.
func TestBehindAProxyTheCookieIsSecure(t *testing.T) {
	https := []string{"X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.7"}
	s := newSite(t, func(o *Options) { o.Trusted = proxy.Trusted{netip.MustParsePrefix("127.0.0.0/8")} })
	c := s.post("root", testPassword, https...).want(t, 303).Cookies()[0]
	if c.Name != "__Host-oauth2-admin" || !c.Secure {
		t.Errorf("got %v", c)
	}
	s.do("GET", "/admin/api/replicas", "", append(https, "Cookie", c.Name+"="+c.Value)...).want(t, 200)
	s.do("GET", "/admin/api/replicas", "", append(https, "Cookie", "oauth2-admin="+c.Value)...).want(t, 401)
	s = newSite(t)
	if c := s.post("root", testPassword, https...).want(t, 303).Cookies()[0]; c.Secure {
		t.Errorf("an untrusted peer made the cookie %v", c)
	}
}

// TestReplicasShareSessions: nothing of a session is kept by the one that made it.
func TestReplicasShareSessions(t *testing.T) {
	first := newSite(t)
	session := first.signIn("root")
	sessions, err := login.ParseKeys(testSecret + "-new," + testSecret) // while the key is changed
	if err != nil {
		t.Fatal(err)
	}
	second := newSite(t, func(o *Options) { o.DB, o.Sessions = first.db, sessions })
	second.do("GET", "/admin/api/audit", "", "Cookie", session).want(t, 200)
	first.do("POST", "/auth/logout", "", "Cookie", session).want(t, 303)
	second.do("GET", "/admin/api/audit", "", "Cookie", session).want(t, 401)
}

func TestTheFormIsThere(t *testing.T) {
	s := newSite(t)
	r := s.do("GET", "/auth/login?return_to=%2Fdebug%2Fpprof%2F", "").want(t, 200)
	for _, want := range []string{`<label for="username">`, `<label for="password">`, `name="viewport"`, `value="/debug/pprof/"`, `action="/auth/login"`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	csp := r.Header.Get("Content-Security-Policy")
	if strings.Contains(r.body, "<script") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("got policy %q", csp)
	}
	if r := s.do("GET", "/auth/login?return_to=https://evil.example", ""); strings.Contains(r.body, "evil") {
		t.Error("the form leads elsewhere")
	}
}

// TestSecretsStayOutOfTheLog: promise P9.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	s := newSite(t)
	session := s.signIn("root")
	s.post("root", "hunter2hunter2").want(t, 401)
	s.db.down.Store(true)
	s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 503)
	s.post("root", "hunter2hunter2").want(t, 503)
	if err := s.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	log := s.log.String()
	for _, secret := range []string{"hunter2", testPassword, strings.SplitN(session, "=", 2)[1]} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds a secret: %s", log)
		}
	}
	if !strings.Contains(log, "a request of an operator failed") {
		t.Errorf("the faults are not in the log: %s", log)
	}
}

// What revokes everything signs operators out: a database that was restored has their sessions' users as they were.
func TestRevokingEverythingEndsOperatorsSessions(t *testing.T) {
	o := newOperator(t)
	o.ask(200, "GET", "/stats", "")
	if _, err := o.db.CutOff(t.Context(), store.Actor{Kind: "test"}, store.CutAll, ""); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); o.do("GET", "/admin/api/stats", "", "Cookie", o.cookie).StatusCode != http.StatusUnauthorized; {
		if time.Now().After(deadline) {
			t.Fatal("a session outlived the revocation of everything")
		}
	}
	o.signInAgain()
}
