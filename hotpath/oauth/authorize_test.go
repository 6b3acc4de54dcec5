package oauth

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// desk is rules for some clients, and what they remember.
type desk struct {
	tiers
	clients map[string]*store.Client
	now     int64 // Unix seconds; 0: the real time
	mu      sync.Mutex
	codes   []store.Code
	pushed  map[store.ID]store.Pushed
	jtis    map[string]int64
	down    bool // the store answers nothing
	asked   int  // how often it was
}

func (d *desk) Client(id []byte) *store.Client { return d.clients[string(id)] }

func (d *desk) Now() int64 {
	if d.now != 0 {
		return d.now * int64(time.Second)
	}
	return d.tiers.Now()
}

func (d *desk) ask() error {
	d.asked++
	if d.down {
		return store.ErrUnavailable
	}
	return nil
}

func (d *desk) PutCode(_ context.Context, code store.Code, pushed store.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(); err != nil {
		return err
	}
	if _, there := d.pushed[pushed]; !there && !pushed.IsZero() {
		return store.ErrSpent
	}
	delete(d.pushed, pushed)
	d.codes = append(d.codes, code)
	return nil
}

func (d *desk) PutPushed(_ context.Context, p store.Pushed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pushed[p.ID] = p
	return d.ask()
}

func (d *desk) Pushed(_ context.Context, id store.ID) (store.Pushed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(); err != nil {
		return store.Pushed{}, err
	}
	p, there := d.pushed[id]
	if !there {
		return p, store.ErrNotFound
	}
	return p, nil
}

func (d *desk) SpendJTI(_ context.Context, client, jti string, expires int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(); err != nil {
		return err
	}
	if _, spent := d.jtis[client+" "+jti]; spent {
		return store.ErrSpent
	}
	d.jtis[client+" "+jti] = expires
	return nil
}

const (
	testChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 Appendix B
	testVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	testCallback  = "https://app.example.com/cb?tenant=1"
)

// newDesk is rules with the clients web (confidential), native (public, on loopback), two (with two redirect URIs),
// machine (no codes) and off.
func newDesk(t testing.TB) (*desk, *Rules) {
	t.Helper()
	d := &desk{clients: map[string]*store.Client{}, pushed: map[store.ID]store.Pushed{}, jtis: map[string]int64{}}
	person := store.Client{
		Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline_access", "read", "write"},
		Audiences: []string{"https://api.example.com", "files"}, RedirectURIs: []string{testCallback},
	}
	web, native, two, machine, off := person, person, person, person, person
	web.ID, native.ID, two.ID, machine.ID, off.ID = "web", "native", "two", "machine", "off"
	native.AuthMethod, native.RedirectURIs = store.AuthNone, []string{"http://127.0.0.1/cb", "http://[::1]:1/cb?x=1", "http://localhost/cb", "com.example.app:/cb"}
	two.RedirectURIs = []string{testCallback, "https://app.example.com/other"}
	machine.Grants, off.Disabled = []string{"client_credentials"}, true
	for _, c := range []store.Client{web, native, two, machine, off} {
		d.clients[c.ID] = &c
	}
	rules, _ := newRules(t, &d.tiers)
	rules.Clients, rules.Tokens, rules.Once = d, d, d
	rules.RefreshTTL = 24 * time.Hour
	return d, rules
}

// ask is a request of the client web that keeps to all rules, with changes: a name and its values; without a value it is left out.
func ask(changes ...string) string {
	form := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {testCallback}, "scope": {"openid read"}, "state": {"a b&c"}, "nonce": {"n"},
		"code_challenge": {testChallenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Del(changes[i])
		if changes[i+1] != "" {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form.Encode()
}

func TestAuthorizationIsRead(t *testing.T) {
	_, rules := newDesk(t)
	a, err := rules.ParseAuthorization(t.Context(), ask("prompt", "login consent select_account", "max_age", "10", "acr_values", "1 2",
		"login_hint", "ann", "response_mode", "form_post", "resource", "files", "scope", "read openid read"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Client.ID != "web" || a.Position != 1 || a.Redirect != testCallback || !a.Sent || a.Mode != ModeFormPost || a.State != "a b&c" || a.Nonce != "n" ||
		a.Scope != "read openid" || a.Audience != "files" || a.ACR != "1 2" || a.LoginHint != "ann" || a.None || !a.Login || !a.Consent || !a.Select || a.MaxAge != 10 {
		t.Errorf("got %+v", a)
	}
	if want, _ := challengeOf([]byte(testVerifier)); a.Challenge != want {
		t.Error("RFC 7636 Appendix B: the verifier does not answer the challenge")
	}
	again, err := rules.ParseAuthorization(t.Context(), a.Params)
	if err != nil || again.Params != a.Params || again.State != a.State || again.Scope != a.Scope || again.MaxAge != a.MaxAge {
		t.Errorf("coming back: got %+v, %v", again, err)
	}
}

// OpenID Connect Core §3.1.2.1, RFC 6749 §3.1: what changes nothing is accepted, what is not known is ignored.
func TestAuthorizationAcceptsWhatItIgnores(t *testing.T) {
	_, rules := newDesk(t)
	for _, pair := range [][2]string{
		{"display", "popup"},
		{"ui_locales", "de en"},
		{"claims_locales", "de"},
		{"claims", `{"userinfo":{"name":{"essential":true}}}`},
		{"extra", "foobar"},
		{"dpop_jkt", "x"},
		{"nonce", ""},
		{"state", ""},
		{"response_mode", "query"},
		{"prompt", "none"},
		{"max_age", "0"},
		{"nonce", strings.Repeat("n", 384)},
		{"state", strings.Repeat("s", 2048)},
		{"max_age", "99999999999999"},
	} {
		a, err := rules.ParseAuthorization(t.Context(), ask(pair[0], pair[1]))
		if err != nil {
			t.Errorf("%s: %v", pair[0], err)
			continue
		}
		if pair[0] == "state" && a.State != pair[1] {
			t.Error("the state is not what was sent")
		}
	}
	if _, err := rules.ParseAuthorization(t.Context(), ask()+"&extra=1&extra=2&display=&max_age="); err != nil {
		t.Errorf("repeated and not known, or without a value: %v", err)
	}
}

// RFC 6749 §4.1.2.1, RFC 9700 §4.11: before the redirect URI is proved every refusal is a page.
func TestRefusalBeforeTheRedirectIsProvedIsAPage(t *testing.T) {
	_, rules := newDesk(t)
	for name, params := range map[string]string{
		"no client":                            ask("client_id", ""),
		"unknown client":                       ask("client_id", "nobody"),
		"disabled client":                      ask("client_id", "off"),
		"client twice":                         ask() + "&client_id=web",
		"redirect twice":                       ask() + "&redirect_uri=" + url.QueryEscape(testCallback),
		"redirect twice, one empty":            ask() + "&redirect_uri=",
		"not encoded":                          ask() + "&%zz=1",
		"a control character":                  ask("state", "a\nb"),
		"no UTF-8":                             ask("state", "\xff"),
		"too long":                             ask("claims", strings.Repeat("x", 17<<10)),
		"too many":                             ask() + strings.Repeat("&x=1", 64),
		"two registered, none sent (§3.1.2.3)": ask("client_id", "two", "redirect_uri", "", "scope", "read"),
		"one registered, none sent, OpenID Core 3.1.2.1": ask("redirect_uri", ""),
	} {
		_, err := rules.ParseAuthorization(t.Context(), params)
		refusal, ok := errors.AsType[*AuthorizeError](err)
		if !ok || refusal.Redirect != "" || refusal.Refusal.Code != InvalidRequest {
			t.Errorf("%s: got %+v, want a page", name, err)
		}
	}
	a, err := rules.ParseAuthorization(t.Context(), ask("redirect_uri", "", "scope", "read"))
	if err != nil || a.Redirect != testCallback || a.Sent {
		t.Errorf("one registered, none sent: got %+v, %v", a, err)
	}
}

// RFC 9700 §2.1, §4.1.3: byte for byte. RFC 8252 §7.3: of a loopback IP literal only the port may differ.
func TestRedirectURIsAreCompared(t *testing.T) {
	registered := []string{"https://app.example.com/cb", "http://127.0.0.1/cb", "http://[::1]:8080/cb?x=1", "http://localhost:3000/cb", "com.example.app:/cb"}
	for _, uri := range append(slices.Clone(registered),
		"http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1") {
		if !mayRedirect(registered, uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for _, uri := range []string{
		"https://app.example.com/cb/", "https://app.example.com/CB", "https://app.example.com/cb?x=y", "https://app.example.com/cb#", "https://APP.example.com/cb",
		"https://app.example.com:443/cb", "http://app.example.com/cb", "https://appXexample.com/cb", "https://app.example.com/x/../cb", "https://app.example.com/cb%2f",
		"https://app.example.com@evil.example/cb", "https://evil@app.example.com/cb", "https://app.example.com.evil.example/cb", "https://app.example.com/cb/..;/x",
		"http://localhost:3001/cb", "http://127.0.0.1:3000/cb/", "http://127.0.0.1:x/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:123456/cb",
		"http://127.0.0.1:80@evil.example/cb", "http://127.0.0.1.evil.example/cb", "http://127.0.0.1:80.evil.example/cb", "http://127.0.0.2/cb", "http://127.1/cb",
		"https://127.0.0.1/cb", "HTTP://127.0.0.1/cb", "http://[::1]:9/cb", "http://[::1]evil.example/cb?x=1", "http://[0:0:0:0:0:0:0:1]/cb?x=1",
		"com.example.app:/cb2", "com.example.app://cb", "javascript:alert(1)", "", " https://app.example.com/cb",
	} {
		if mayRedirect(registered, uri) {
			t.Errorf("%s is accepted", uri)
		}
	}
}

// RFC 6749 §4.1.2.1: once the redirect URI is proved the client is told, with state and iss.
func TestRefusalsAreToldToTheClient(t *testing.T) {
	_, rules := newDesk(t)
	for _, test := range []struct {
		name, params string
		code         Code
	}{
		{"RFC 6749 §3.1.1: response_type missing", ask("response_type", ""), InvalidRequest},
		{"§3.1.1: token", ask("response_type", "token"), UnsupportedResponseType},
		{"code id_token", ask("response_type", "code id_token"), UnsupportedResponseType},
		{"§3.1: repeated", ask() + "&scope=read", InvalidRequest},
		{"§3.1: repeated, one empty", ask() + "&nonce=", InvalidRequest},
		{"accepted parameter repeated", ask() + "&display=page&display=page", InvalidRequest},
		{"not registered for codes", ask("client_id", "machine"), UnauthorizedClient},
		{"RFC 7636 §4.4.1: no challenge", ask("code_challenge", "", "code_challenge_method", ""), InvalidRequest},
		{"§4.3: plain by default", ask("code_challenge_method", ""), InvalidRequest},
		{"plain", ask("code_challenge_method", "plain"), InvalidRequest},
		{"s256", ask("code_challenge_method", "s256"), InvalidRequest},
		{"challenge too short", ask("code_challenge", testChallenge[:42]), InvalidRequest},
		{"challenge too long", ask("code_challenge", testChallenge+"A"), InvalidRequest},
		{"challenge with spare bits", ask("code_challenge", testChallenge[:42]+"N"), InvalidRequest},
		{"challenge not in base64url", ask("code_challenge", "+"+testChallenge[1:]), InvalidRequest},
		{"§3.3: scope of others", ask("scope", "openid admin"), InvalidScope},
		{"RFC 8707 §2: foreign resource", ask("resource", "https://other.example.com"), InvalidTarget},
		{"foreign audience", ask("audience", "other"), InvalidTarget},
		{"Core §3.1.2.1: prompt none with others", ask("prompt", "none login"), InvalidRequest},
		{"unknown prompt", ask("prompt", "create"), InvalidRequest},
		{"negative max_age", ask("max_age", "-1"), InvalidRequest},
		{"max_age no number", ask("max_age", "1.5"), InvalidRequest},
		{"response_mode fragment", ask("response_mode", "fragment"), InvalidRequest},
		{"Core §6.1: request object", ask("request", "eyJhbGciOiJub25lIn0.e30."), RequestNotSupported},
		{"Core §6.2: request_uri of others", ask("request_uri", "https://app.example.com/request"), RequestURINotSupported},
		{"Core §7.2.1: registration", ask("registration", "{}"), RegistrationNotSupported},
		{"state too long", ask("state", strings.Repeat("s", 2049)), InvalidRequest},
		{"nonce too long", ask("nonce", strings.Repeat("n", 2049)), InvalidRequest},
		{"id_token_hint that is none", ask("id_token_hint", "eyJhbGciOiJub25lIn0.e30."), InvalidRequest},
	} {
		_, err := rules.ParseAuthorization(t.Context(), test.params)
		refusal, ok := errors.AsType[*AuthorizeError](err)
		if !ok || refusal.Redirect != testCallback || refusal.Refusal.Code != test.code {
			t.Errorf("%s: got %v, want %v to the client", test.name, err, test.code)
			continue
		}
		answer := rules.AnswerError(refusal)
		back, err := url.Parse(answer.URL())
		if err != nil {
			t.Fatal(err)
		}
		sent, _ := url.ParseQuery(test.params)
		query := back.Query()
		if query.Get("error") != test.code.String() || query.Get("state") != echoed(sent.Get("state")) || query.Get("iss") != rules.Issuer || query.Get("tenant") != "1" || query.Has("code") {
			t.Errorf("%s: answered %s", test.name, answer.URL())
		}
	}
	for _, params := range []string{ask() + "&state=other", ask("state", "") + "&state=&state=x"} {
		_, err := rules.ParseAuthorization(t.Context(), params)
		if refusal, ok := errors.AsType[*AuthorizeError](err); !ok || refusal.Redirect == "" || refusal.State != "" {
			t.Errorf("state twice: got %+v, want an answer without any", err)
		}
	}
	state := strings.Repeat("x", maxEcho+1)
	if _, err := rules.ParseAuthorization(t.Context(), ask("state", state, "scope", "admin")); err == nil || func() *AuthorizeError {
		target := &AuthorizeError{}
		_ = errors.As(err, &target)
		return target
	}().State != "" {
		t.Errorf("a state that is too long is sent back: %v", err)
	}
	_, err := rules.ParseAuthorization(t.Context(), ask("response_mode", "form_post", "scope", "admin"))
	if refusal, ok := errors.AsType[*AuthorizeError](err); !ok || refusal.Mode != ModeFormPost {
		t.Errorf("form_post: got %+v", err)
	}
}

// RFC 9207 §2: iss is in every answer, state as it was sent, and a query of the redirect URI stays.
func TestAnswers(t *testing.T) {
	_, rules := newDesk(t)
	for _, test := range [][2]string{
		{"https://a.example/cb", "https://a.example/cb?code=c&state=a+b%26c&iss=https%3A%2F%2Fauth.example.com"},
		{"https://a.example/cb?x=1", "https://a.example/cb?x=1&code=c&state=a+b%26c&iss=https%3A%2F%2Fauth.example.com"},
		{"https://a.example/cb?", "https://a.example/cb?code=c&state=a+b%26c&iss=https%3A%2F%2Fauth.example.com"},
		{"com.example.app:/cb", "com.example.app:/cb?code=c&state=a+b%26c&iss=https%3A%2F%2Fauth.example.com"},
	} {
		answer := rules.AnswerCode(&Authorization{Redirect: test[0], State: "a b&c"}, "c")
		if got := answer.URL(); got != test[1] {
			t.Errorf("got %s, want %s", got, test[1])
		}
	}
	a := &Authorization{Redirect: "https://a.example/cb", Mode: ModeFormPost}
	denied := rules.AnswerError(a.Refuse(ErrAccessDenied))
	if got := denied.Fields; denied.Mode != ModeFormPost || len(got) != 3 || got[0] != (Field{"error", "access_denied"}) || got[2] != (Field{"iss", rules.Issuer}) {
		t.Errorf("got %+v", denied)
	}
}

// RFC 6749 §3.3: who asks for no scope gets what it is registered for, but not what must be asked for by name.
func TestScopeByDefault(t *testing.T) {
	_, rules := newDesk(t)
	a, err := rules.ParseAuthorization(t.Context(), ask("scope", ""))
	if err != nil || a.Scope != "read write" || a.Audience != "https://api.example.com" {
		t.Errorf("got %+v, %v", a, err)
	}
}

// Promise P5: a replica that is cut off refuses nobody for what it may not know, and says nothing wrong when it knows nothing.
func TestAuthorizationOnAReplicaCutOff(t *testing.T) {
	d, rules := newDesk(t)
	d.stale = true
	if _, err := rules.ParseAuthorization(t.Context(), ask("client_id", "new")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	d.fault = store.ErrUnavailable
	if _, err := rules.ParseAuthorization(t.Context(), ask()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestAllowMakesACode(t *testing.T) {
	d, rules := newDesk(t)
	who := Allowed{User: store.User{ID: store.NewID(time.Now())}, Session: store.NewID(time.Now()), AuthTime: 7, ACR: "1"}
	for _, test := range []struct {
		scope, client, redirect  string
		offline, refresh, stated bool
	}{
		{"openid read offline_access", "web", testCallback, true, true, true},
		{"openid read", "web", testCallback, false, true, true},
		{"read", "web", "", false, true, false},
	} {
		a, err := rules.ParseAuthorization(t.Context(), ask("scope", test.scope, "redirect_uri", test.redirect))
		if err != nil {
			t.Fatal(err)
		}
		text, err := rules.Allow(t.Context(), a, who)
		if err != nil {
			t.Fatal(err)
		}
		c := d.codes[len(d.codes)-1]
		parsed, err := token.ParseOpaque(rules.Ring, token.Code, []byte(text))
		if err != nil || parsed.ID != c.ID || parsed.Expires != c.Expires || c.Expires > rules.now()+60 || c.Expires < rules.now()+50 {
			t.Errorf("the code %+v is not the row's, for a minute: %v", parsed, err)
		}
		g := c.Grant
		if c.Client != "web" || c.Redirect != test.redirect || c.Challenge != a.Challenge || c.Nonce != "n" || g.Client != "web" || g.Subject != who.User.ID.String() ||
			g.Scope != test.scope || g.Audience != "https://api.example.com" || g.Session != who.Session || g.AuthTime != 7 || g.ACR != "1" || g.Position != a.Position ||
			g.Offline != test.offline || g.Refresh != test.refresh || g.Generation != 1 || g.Key != rules.Ring.ActiveMAC().Number || g.ID.IsZero() {
			t.Errorf("%s: got %+v", test.scope, c)
		}
		if life := g.Expires.Sub(g.Created); life != rules.RefreshTTL {
			t.Errorf("the grant lives %s", life)
		}
	}
	d.down = true
	a, err := rules.ParseAuthorization(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Allow(t.Context(), a, who); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// OpenID Connect Core §11: nothing outlives its session for a client that is given no refresh token.
func TestOfflineNeedsRefreshTokens(t *testing.T) {
	d, rules := newDesk(t)
	d.clients["web"].Grants = []string{"authorization_code"}
	d.clients["web"].AccessTTL = 100
	a, err := rules.ParseAuthorization(t.Context(), ask("scope", "offline_access read"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Allow(t.Context(), a, Allowed{}); err != nil {
		t.Fatal(err)
	}
	if g := d.codes[0].Grant; g.Offline || g.Refresh || g.Expires.Sub(g.Created) != 160*time.Second {
		t.Errorf("got %+v", g)
	}
}

func FuzzParseAuthorization(f *testing.F) {
	d, rules := newDesk(f)
	f.Add(ask())
	f.Add(ask("client_id", "native", "redirect_uri", "http://127.0.0.1:99/cb"))
	f.Add(ask("request_uri", pushedPrefix+"oar_x"))
	f.Add("a=1&a=2;%zz")
	f.Fuzz(func(t *testing.T, params string) {
		a, err := rules.ParseAuthorization(t.Context(), params)
		if refusal, ok := errors.AsType[*AuthorizeError](err); ok && refusal.Redirect != "" {
			a = &Authorization{Redirect: refusal.Redirect, State: refusal.State}
		}
		if d.asked > 0 {
			t.Fatal("garbage asked the store")
		}
		if a == nil {
			return
		}
		if base, _, _ := strings.Cut(a.Redirect, ":"); base != "https" && base != "http" && base != "com.example.app" {
			t.Fatalf("sent to %q", a.Redirect)
		}
		answer := rules.AnswerCode(a, "c")
		back, err := url.Parse(answer.URL())
		if err != nil || back.Query().Get("state") != a.State || len(back.Query()["iss"]) != 1 {
			t.Fatalf("answered %q, %v", answer.URL(), err)
		}
	})
}

// echoed is what comes back of a state: all of it, or nothing.
func echoed(state string) string {
	if len(state) > maxEcho {
		return ""
	}
	return state
}

// OAuth 2.0 Form Post Response Mode: a browser posts to http and https alone. The refusal goes by the query.
func TestFormPostNeedsAWebRedirect(t *testing.T) {
	for uri, web := range map[string]bool{
		"https://app.example.com/cb": true, "http://127.0.0.1:4711/": true, "com.example.app:/cb": false, "com.example.app://https://cb": false,
	} {
		if isWeb(uri) != web {
			t.Errorf("%s: got %v", uri, !web)
		}
		a := &Authorization{Client: &store.Client{RedirectURIs: []string{uri}}, Mode: ModeQuery}
		p, err := parseParameters(url.Values{"redirect_uri": {uri}, "response_mode": {ModeFormPost}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if refusal := new(Rules).place(a, p); refusal != nil && a.Client != nil {
			t.Fatal(refusal)
		}
		refusal := new(Rules).judge(a, p)
		if (refusal == errFormPost) == web || (a.Mode == ModeQuery) == web {
			t.Errorf("%s: got %v, mode %s", uri, refusal, a.Mode)
		}
	}
}
