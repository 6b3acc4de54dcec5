package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// The modules of sign-in, of refusals and of RP-initiated logout.

func (c *conformance) sessionModules() []module {
	return []module{
		{"oidcc-prompt-none-not-logged-in", c.promptNoneNotLoggedIn},
		{"oidcc-prompt-none-logged-in", c.silent("openid")},
		{"oidcc-id-token-hint", c.silent("openid", "id_token_hint", c.first.text("id_token"))},
		{"oidcc-max-age-10000", c.maxAge10000},
		{"oidcc-max-age-1", c.maxAge1},
		{"oidcc-prompt-login", c.promptLogin}, // more than a second after the first sign-in: see max-age-1
	}
}

func (c *conformance) promptNoneNotLoggedIn(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, "openid", "prompt", "none")
	w := anna.walk(f.url())
	wantError(t, f, w, "login_required")
	if len(w.seen) > 0 || w.by != http.MethodGet {
		t.Errorf("pages were shown: %v", w.seen)
	}
}

// wantError: the client is told, with state and iss (RFC 6749 §4.1.2.1, RFC 9207 §2).
func wantError(t *testing.T, f *flow, w walk, codes ...string) {
	t.Helper()
	if w.sent == nil {
		t.Fatalf("the client is not told: %s", w.page)
	}
	q := w.sent.Query()
	known := false
	for _, code := range codes {
		known = known || q.Get("error") == code
	}
	if !known || q.Get("state") != f.params.Get("state") || q.Get("iss") != f.at.url || q.Has("code") || !strings.HasPrefix(w.sent.String(), callback+"?") {
		t.Errorf("the browser is sent to %s, want the error %v with state and iss", w.sent, codes)
	}
}

// silent: who signed in before gets the same sub without a page.
func (c *conformance) silent(scope string, with ...string) func(*testing.T, *person) {
	return func(t *testing.T, anna *person) {
		anna.browser = c.firstBrowser
		f := c.newFlow(c.basic, scope, append(with, "prompt", "none")...)
		w := anna.walk(f.url())
		if w.sent == nil || len(w.seen) > 0 {
			t.Fatalf("pages were shown: %v", w.seen)
		}
		c.wantTokens(t, f, f.redeem(w.sent.Query().Get("code")), anna)
	}
}

func (c *conformance) maxAge10000(t *testing.T, anna *person) {
	anna.browser = c.firstBrowser
	f := c.newFlow(c.basic, "openid", "max_age", "10000")
	w := anna.walk(f.url())
	if w.sent == nil || w.signedIn() {
		t.Fatalf("pages were shown: %v", w.seen)
	}
	claims := c.wantTokens(t, f, f.redeem(w.sent.Query().Get("code")), anna)
	if claims["auth_time"] != claimsOf(t, c.first.text("id_token"))["auth_time"] {
		t.Errorf("auth_time is %v, another than the first", claims["auth_time"])
	}
}

func (c *conformance) maxAge1(t *testing.T, anna *person) {
	anna.browser = c.firstBrowser
	probe := c.newFlow(c.basic, "openid", "max_age", "1", "prompt", "none")
	c.front.await("find that the sign-in is more than a second old", func() bool {
		return anna.walk(probe.url()).sent.Query().Get("error") == "login_required"
	})
	c.wantSignInAnew(t, anna, "max_age", "1")
}

func (c *conformance) promptLogin(t *testing.T, anna *person) {
	anna.browser = c.firstBrowser
	c.wantSignInAnew(t, anna, "prompt", "login")
}

// wantSignInAnew: once, and auth_time is later.
func (c *conformance) wantSignInAnew(t *testing.T, anna *person, with ...string) {
	t.Helper()
	f := c.newFlow(c.basic, "openid", with...)
	w := anna.walk(f.url())
	if w.sent == nil || fmt.Sprint(w.seen) != "[login]" {
		t.Fatalf("pages were shown: %v, want to sign in once", w.seen)
	}
	claims := c.wantTokens(t, f, f.redeem(w.sent.Query().Get("code")), anna)
	before, _ := claimsOf(t, c.first.text("id_token"))["auth_time"].(float64)
	if after, ok := claims["auth_time"].(float64); !ok || after <= before {
		t.Errorf("auth_time was %v, and is %v", before, after)
	}
}

func (c *conformance) refusalModules() []module {
	refused := func(name string, codes []string, with ...string) module {
		return module{name, func(t *testing.T, anna *person) {
			f := c.newFlow(c.basic, "openid", with...)
			wantError(t, f, anna.walk(f.url()), codes...)
		}}
	}
	object := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"redirect_uri":"`+callback+`"}`)) + "."
	return []module{
		refused("oidcc-response-type-missing", []string{"invalid_request", "unsupported_response_type"}, "response_type", ""),
		refused("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", []string{"request_uri_not_supported"},
			"request_uri", "https://app.example.com/request.jwt"),
		refused("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", []string{"request_not_supported"}, "request", object),
		{"oidcc-ensure-request-object-with-redirect-uri", func(t *testing.T, anna *person) {
			c.wantPage(t, anna, "request", object, "redirect_uri", "https://app.example.com/other")
		}},
		{"oidcc-ensure-registered-redirect-uri", func(t *testing.T, anna *person) {
			c.wantPage(t, anna, "redirect_uri", "https://app.example.com/not-registered")
		}},
		{"oidcc-codereuse", c.codeReuse},
		{"oidcc-codereuse-30seconds", c.codeReuse}, // by the event that the half minute waits for
	}
}

// wantPage: the user is told, and nobody is sent anywhere (RFC 6749 §4.1.2.1).
func (c *conformance) wantPage(t *testing.T, anna *person, with ...string) {
	t.Helper()
	w := anna.walk(c.newFlow(c.basic, "openid", with...).url())
	if w.sent != nil || w.page.status != http.StatusBadRequest {
		t.Errorf("got %v, %v, want a page", w.sent, w.page)
	}
}

func (c *conformance) codeReuse(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, "openid")
	code := f.code(anna)
	first := f.redeem(code)
	c.wantTokens(t, f, first, anna)
	again := f.redeem(code)
	if !again.isGrantRefused() || !strings.HasPrefix(again.header.Get("Content-Type"), "application/json") || again.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the second use: %s %v", again, again.header)
	}
	c.front.await("refuse at userinfo what the code gave", func() bool {
		return c.front.getAs("/oauth/userinfo", "Bearer "+first.text("access_token")).status == http.StatusUnauthorized
	})
}

// A farewell is a logout request of the suite, and what has to come of it.
type farewell struct {
	name string
	with func(idToken string) url.Values
	sent string // where the browser is sent; "": nowhere
	asks bool   // the user is asked first
}

func (c *conformance) logoutModules() (all []module) {
	hint := func(token string, with ...string) url.Values {
		q := url.Values{"id_token_hint": {token}}
		for i := 0; i < len(with); i += 2 {
			q.Set(with[i], with[i+1])
		}
		return q
	}
	const to = "post_logout_redirect_uri"
	for _, f := range []farewell{
		{name: "", sent: signedOff + "?state=abc", with: func(id string) url.Values { return hint(id, to, signedOff, "state", "abc") }},
		{name: "-no-state", sent: signedOff, with: func(id string) url.Values { return hint(id, to, signedOff) }},
		{name: "-no-params", asks: true, with: func(string) url.Values { return url.Values{} }},
		{name: "-only-state", asks: true, with: func(string) url.Values { return url.Values{"state": {"abc"}} }},
		{name: "-no-post-logout-redirect-uri", with: func(id string) url.Values { return hint(id) }},
		{name: "-bad-post-logout-redirect-uri", with: func(id string) url.Values { return hint(id, to, signedOff+"/other", "state", "abc") }},
		{name: "-query-added-to-post-logout-redirect-uri", with: func(id string) url.Values { return hint(id, to, signedOff+"?a=b", "state", "abc") }},
		{name: "-no-id-token-hint", asks: true, with: func(string) url.Values { return url.Values{to: {signedOff}, "state": {"abc"}} }},
		{name: "-modified-id-token-hint", asks: true, with: func(id string) url.Values { return hint(withAlgNone(id), to, signedOff, "state", "abc") }},
		{name: "-bad-id-token-hint", asks: true, with: func(id string) url.Values { return hint(foreignSignature(id), to, signedOff, "state", "abc") }},
	} {
		all = append(all, module{"oidcc-rp-initiated-logout" + f.name, func(t *testing.T, anna *person) { c.logout(t, anna, f) }})
	}
	return all
}

func (c *conformance) logout(t *testing.T, anna *person, want farewell) {
	tokens := c.newFlow(c.basic, "openid").tokens(anna)
	w := anna.walk(c.metadata(t).EndSession + "?" + want.with(tokens.text("id_token")).Encode())
	if want.asks {
		if w.sent != nil {
			t.Fatalf("the browser is sent to %s, want a page that asks", w.sent)
		}
		if c.isSignedOut(anna) {
			t.Error("signed out without being asked: any site could do that")
		}
		request, err := http.NewRequest(http.MethodGet, w.page.at.String(), nil)
		if sent := anna.open(request); err != nil || sent != nil {
			t.Fatal(sent, err)
		}
		w = anna.press("/oauth/logout")
	}
	switch {
	case w.sent == nil && (want.sent != "" || w.page.status != http.StatusOK):
		t.Errorf("got %s, want to be sent to %q", w.page, want.sent)
	case w.sent != nil && w.sent.String() != want.sent:
		t.Errorf("the browser is sent to %s, want %q", w.sent, want.sent)
	}
	c.front.await("end the session", func() bool { return c.isSignedOut(anna) })
}

// isSignedOut asks without showing anything.
func (c *conformance) isSignedOut(anna *person) bool {
	sent := anna.walk(c.newFlow(c.basic, "openid", "prompt", "none").url()).sent
	return sent != nil && sent.Query().Get("error") == "login_required"
}

// foreignSignature is a JWT with the same claims, signed by a key of somebody else's.
func foreignSignature(token string) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
	if err != nil {
		panic(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

func readAnswer(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body), err}
}
