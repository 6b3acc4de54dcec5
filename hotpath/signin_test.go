package hotpath

import (
	"net/url"
	"strings"
	"testing"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// The whole way, once with all pages and then with none (OpenID Connect Core §3.1.2).
func TestSignInConsentAndCode(t *testing.T) {
	b := newTown(t).browser()
	page := b.follow(b.ask("shop", "login_hint", "anna"))
	b.wantPage(page, 200, "&lt;b&gt;Shop&lt;/b&gt; &amp; &#34;Co&#34;")
	if strings.Contains(page.body, "<b>Shop") || !strings.Contains(page.body, `value="anna"`) {
		t.Errorf("got\n%s", page.body)
	}
	answer := b.post("/auth/login", "request", b.hidden(page), "username", " Anna", "password", annasPassword)
	page = b.follow(answer)
	b.wantPage(page, 200, "client.example.com")
	if got := page.header.Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' https:") {
		t.Errorf("got policy %q", got)
	}
	b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "allow"), "code", "")
	b.wantAnswer(b.ask("shop"), "code", "")
	b.wantAnswer(b.ask("shop", "prompt", "none"), "code", "")
	b.wantPage(b.follow(b.ask("shop", "scope", "openid email read")), 200, "<code>read</code>") // more than was allowed
}

func TestDenialIsToldToTheClient(t *testing.T) { // RFC 6749 §4.1.2.1
	b := newTown(t).browser()
	page := b.follow(b.signIn(b.ask("shop"), "anna"))
	b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "deny"), "error", "access_denied")
	b.wantPage(b.follow(b.ask("shop")), 200, "Allow") // it is not remembered
	b.wantPage(b.post("/auth/consent", "request", b.hidden(page), "decision", "yes"), 400, "Decision")
}

// OpenID Connect Core §3.1.2.6: prompt=none shows nothing.
func TestPromptNone(t *testing.T) {
	b := newTown(t).browser()
	b.wantAnswer(b.ask("shop", "prompt", "none"), "error", "login_required")
	b.signIn(b.ask("shop"), "anna")
	b.wantAnswer(b.ask("shop", "prompt", "none"), "error", "consent_required")
	b.wantAnswer(b.ask("house", "prompt", "none"), "code", "")
	b.wantAnswer(b.ask("house", "prompt", "none", "max_age", "0"), "error", "login_required")
}

// prompt=login and max_age=0 are content with a session that began for them, and with no other.
func TestSigningInAgain(t *testing.T) {
	for _, wish := range [][2]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"}} {
		b := newTown(t).browser()
		b.wantAnswer(b.signIn(b.ask("house"), "anna"), "code", "")
		before := b.cookies["__Host-oauth2-session"]
		b.wantAnswer(b.ask("house"), "code", "")
		again := b.ask("house", wish[0], wish[1])
		b.wantPage(b.follow(again), 200, "Password")
		b.wantAnswer(b.signIn(again, "anna"), "code", "")
		if b.cookies["__Host-oauth2-session"] == before {
			t.Error("the session is the old one")
		}
	}
}

// RFC 8252 §8.6: anybody can claim to be a public client on this machine.
func TestNativeClientsAreAskedForEachTime(t *testing.T) {
	b := newTown(t).browser()
	page := b.follow(b.signIn(b.ask("native"), "anna"))
	b.wantPage(page, 200, "an application on this device")
	b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "allow"), "code", "")
	b.wantPage(b.follow(b.ask("native")), 200, "Allow")
}

// The same answer, byte for byte, to an unknown user, a disabled one and a wrong password.
func TestSignInTellsNobodyWhoIsThere(t *testing.T) {
	n := newTown(t)
	n.change(n.ben.ID, func(u *store.User) (*store.User, error) { u.Disabled = true; return u, nil })
	want := ""
	for _, name := range []string{"anna", "nobody", "ben"} {
		b := n.browser()
		r := b.post("/auth/login", "username", name, "password", "wrong")
		b.wantPage(r, 401, "The user name or the password is wrong.")
		got := strings.ReplaceAll(r.body, `value="`+name+`"`, "")
		if want == "" {
			want = got
		}
		if got != want || len(b.cookies) > 0 {
			t.Errorf("%s: got another page, or a session\n%s", name, r.body)
		}
	}
}

// RFC 6749 §10.12: no other site signs somebody in or out, consents, or changes anything.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	n := newTown(t)
	b := n.browser()
	b.post("/auth/login", "username", "anna", "password", annasPassword)
	host := strings.TrimPrefix(n.url, "http://")
	for _, test := range []struct {
		headers map[string]string
		ours    bool
	}{
		{map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{map[string]string{"Sec-Fetch-Site": "none"}, true},
		{map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": issuer}, false},
		{map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		{map[string]string{"Origin": issuer}, true},
		{map[string]string{"Origin": "http://" + host}, false}, // the public URL is another, and https
		{map[string]string{"Origin": "https://" + host}, false},
		{map[string]string{"Origin": "null"}, false},
		{map[string]string{"Origin": "https://evil.example.com"}, false},
		{map[string]string{"Origin": issuer + ".evil.example.com"}, false},
		{map[string]string{"Origin": "ftp://" + host}, false},
		{map[string]string{}, false},
	} {
		for _, path := range []string{"/auth/login", "/auth/consent", "/profile/password", "/profile/revoke"} {
			r := b.send("POST", path, values("username", "x"), test.headers)
			if refused := strings.Contains(r.body, "another site"); refused == test.ours {
				t.Errorf("%s with %v: got %d\n%s", path, test.headers, r.status, r.body)
			}
		}
	}
	b.wantPage(b.send("POST", "/auth/logout", nil, nil), 400, "another site")
	b.wantPage(b.get("/profile"), 200, "anna") // nothing of it was done
}

// No parameter leads anywhere but to what the client is registered for (RFC 9700 §4.11).
func TestNoOpenRedirect(t *testing.T) {
	b := newTown(t).browser()
	for _, uri := range []string{"https://evil.example.com/", "https://client.example.com/back", backHere + "&x=y", "//evil.example.com", "javascript:alert(1)"} {
		r := b.ask("shop", "redirect_uri", uri)
		b.wantPage(r, 400, "redirect_uri")
		if r.header.Get("Location") != "" || strings.Contains(r.body, "evil") {
			t.Errorf("%s: got %q\n%s", uri, r.header.Get("Location"), r.body)
		}
	}
	b.wantPage(b.ask("nobody"), 400, "client_id")
	for _, name := range []string{"return_to", "next", "redirect", "redirect_uri"} {
		r := b.send("POST", "/auth/login?"+name+"=https://evil.example.com", values("username", "anna", "password", annasPassword, name, "//evil.example.com"),
			map[string]string{"Sec-Fetch-Site": "same-origin"})
		if r.status == 303 && r.header.Get("Location") != "/profile" {
			t.Errorf("%s leads to %q", name, r.header.Get("Location"))
		}
	}
	for _, path := range []string{"/auth/login?request=x", "/auth/consent?request=x", "/auth/consent"} {
		b.wantPage(b.get(path), 400, "expired")
	}
	b.wantPage(b.post("/auth/login", "request", "x", "username", "anna", "password", annasPassword), 400, "expired")
}

// What the client answers to a good request it refuses to a bad one, at its redirect URI.
func TestRefusalsGoToTheClient(t *testing.T) {
	b := newTown(t).browser()
	b.wantAnswer(b.ask("shop", "response_type", "token"), "error", "unsupported_response_type")
	b.wantAnswer(b.ask("shop", "code_challenge", ""), "error", "invalid_request")
	long := strings.Repeat("é", 1000) // each becomes six bytes, and it is to come back as it is
	r := b.ask("shop", "nonce", long)
	b.wantAnswer(r, "error", "invalid_request")
}

// Dex CVE-2022-39222: who holds a request of somebody else's session consents to nothing with it.
func TestConsentIsBoundToTheSession(t *testing.T) {
	n := newTown(t)
	anna, ben := n.browser(), n.browser()
	request := anna.hidden(anna.follow(anna.signIn(anna.ask("shop"), "anna")))
	ben.wantPage(ben.post("/auth/consent", "request", request, "decision", "allow"), 400, "another sign-in") // nobody
	ben.signIn(ben.ask("shop"), "ben")
	ben.wantPage(ben.post("/auth/consent", "request", request, "decision", "allow"), 400, "another sign-in")
	page := ben.follow(ben.get("/auth/consent?request=" + url.QueryEscape(request))) // asked anew, for ben
	if own := ben.hidden(page); own == request || !strings.Contains(page.body, "<strong>ben</strong>") {
		t.Errorf("got anna's page\n%s", page.body)
	}
	unbound := anna.hidden(n.browser().follow(anna.ask("shop", "prompt", "login")))
	anna.wantPage(anna.post("/auth/consent", "request", unbound, "decision", "allow"), 400, "another sign-in")
}

// A session of one audience is none of another, and one that was chosen for somebody else is not continued (session fixation).
func TestSessionsAreOwn(t *testing.T) {
	n := newTown(t)
	b := n.browser()
	sealed := func(audience login.Audience, position store.Position) string {
		session := login.NewSession(&n.anna, testTime)
		session.Position = position
		return n.server.front.Sessions.Seal(audience, session)
	}
	for value, status := range map[string]int{
		sealed(login.ForPublic, n.tier.Position()): 200, sealed(login.ForAdmin, n.tier.Position()): 303, sealed(login.ForRequest, n.tier.Position()): 303, "x": 303,
	} {
		b.cookies["__Host-oauth2-session"] = value
		if r := b.get("/profile"); r.status != status {
			t.Errorf("got %d, want %d", r.status, status)
		}
	}
	fixed := sealed(login.ForPublic, n.tier.Position())
	b.cookies["__Host-oauth2-session"] = fixed
	b.post("/auth/login", "username", "ben", "password", annasPassword)
	if b.cookies["__Host-oauth2-session"] == fixed {
		t.Error("the session of before goes on")
	}
	b.wantPage(b.get("/profile"), 200, "ben")
	delete(b.cookies, "__Host-oauth2-session")
	b.cookies["oauth2-session"] = fixed // the name without the prefix: whoever has a subdomain could set it
	if r := b.get("/profile"); r.status != 303 {
		t.Errorf("got %d", r.status)
	}
}

func TestTooManyAttempts(t *testing.T) { // RFC 6585 §4
	n := newTown(t)
	b := n.browser()
	n.gate.refused = limits.Login
	r := b.post("/auth/login", "username", "anna", "password", annasPassword)
	b.wantPage(r, 429, "Try again in 90 seconds")
	if r.header.Get("Retry-After") != "90" || len(b.cookies) > 0 {
		t.Errorf("got %v", r.header)
	}
	n.gate.refused = limits.Authorize
	r = b.ask("shop")
	b.wantPage(r, 429, "Try again in 90 seconds")
	if r.header.Get("Retry-After") != "90" {
		t.Errorf("got %v", r.header)
	}
}

// Promise P5: a fault is 503, and nothing is decided.
func TestFaultOfTheStoreIs503(t *testing.T) {
	n := newTown(t)
	b := n.browser()
	b.signIn(b.ask("shop"), "anna")
	consent := b.hidden(b.follow(b.ask("shop")))
	n.store.fault = store.ErrUnavailable
	for _, r := range []reply{
		b.get("/profile"), b.ask("shop"), b.ask("shop", "prompt", "none"), b.post("/auth/consent", "request", consent, "decision", "allow"), b.post("/auth/logout"),
	} {
		b.wantPage(r, 503, "Not available")
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if len(b.cookies) != 1 {
		t.Error("the session was taken away")
	}
}

// OAuth 2.0 Form Post Response Mode §2; and a request by POST, whose cookie the browser kept back.
func TestFormPost(t *testing.T) {
	b := newTown(t).browser()
	b.signIn(b.ask("house"), "anna")
	r := b.ask("house", "response_mode", "form_post")
	b.wantPage(r, 200, `action="https://client.example.com/back?own=1"`)
	for _, part := range []string{`name="code" value="oac_`, `name="state" value="a&amp;b"`, `name="iss" value="` + issuer + `"`, "Continue"} {
		if !strings.Contains(r.body, part) {
			t.Errorf("no %s in\n%s", part, r.body)
		}
	}
	form, err := url.ParseQuery(asking("house"))
	if err != nil {
		t.Fatal(err)
	}
	b.wantAnswer(b.send("POST", "/oauth/authorize", form, map[string]string{"Sec-Fetch-Site": "cross-site"}), "code", "")
	session := b.cookies
	b.cookies = nil
	r = b.send("POST", "/oauth/authorize", form, map[string]string{"Sec-Fetch-Site": "cross-site"})
	b.cookies = session
	b.wantAnswer(b.follow(r), "code", "")
}

func TestPagesByOtherMethods(t *testing.T) {
	b := newTown(t).browser()
	r := b.send("HEAD", "/auth/login", nil, nil)
	if r.status != 200 || r.body != "" || r.header.Get("Content-Security-Policy") == "" {
		t.Errorf("got %d %q", r.status, r.body)
	}
	for _, path := range []string{"/oauth/authorize?" + asking("house"), "/oauth/logout", "/auth/consent"} { // a GET may do something
		if r := b.send("HEAD", path, nil, nil); r.status != 405 || r.header.Get("Allow") != "GET, POST, OPTIONS" {
			t.Errorf("HEAD %s: got %d, Allow %q", path, r.status, r.header.Get("Allow"))
		}
	}
	if r := b.get("/"); r.status != 303 || r.header.Get("Location") != "/profile" {
		t.Errorf("got %d to %q", r.status, r.header.Get("Location"))
	}
	b.wantPage(b.send("GET", "/nowhere", nil, map[string]string{"Accept": "text/html,*/*"}), 404, "Not found")
	if r := b.get("/nowhere"); r.status != 404 || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s", r.status, r.header.Get("Content-Type"))
	}
	for path, allow := range map[string]string{"/auth/logout": "POST, OPTIONS", "/profile/revoke": "POST, OPTIONS"} {
		r := b.get(path)
		b.wantPage(r, 405, "method")
		if r.header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q", path, r.header.Get("Allow"))
		}
	}
	b.wantPage(b.send("POST", "/auth/login", values("a", "b"), map[string]string{"Sec-Fetch-Site": "none", "Content-Type": "text/plain"}), 400, "ontent type")
	b.wantPage(b.get("/auth/signed-out"), 200, "signed out")
}
