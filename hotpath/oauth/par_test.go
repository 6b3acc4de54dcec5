package oauth

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// pushed is the reference to a request that the client web has pushed.
func pushed(t *testing.T, rules *Rules, params string) string {
	t.Helper()
	reference, err := rules.Push(t.Context(), webCaller(rules), params)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

func webCaller(rules *Rules) Caller {
	return Caller{Client: rules.Clients.Client([]byte("web")), Position: 1, Proved: store.AuthBasic}
}

func byReference(client, reference string) string {
	return url.Values{"client_id": {client}, "request_uri": {reference}}.Encode()
}

// RFC 9126 §2.2, §4, §7.3: kept as it was pushed, opened as often as needed, completed once.
func TestPushedRequestIsSpentAtCompletion(t *testing.T) {
	d, rules := newDesk(t)
	reference := pushed(t, rules, ask("client_id", "")+"&client_secret=s3cret&client_assertion=x&unknown=1")
	for _, p := range d.pushed {
		if p.Client != "web" || p.Expires > rules.now()+PushedLife || strings.Contains(p.Params, "client_secret") || strings.Contains(p.Params, "client_assertion") || strings.Contains(p.Params, "unknown") {
			t.Errorf("kept: %+v", p)
		}
	}
	var first *Authorization
	for range 2 { // the page may be opened twice before
		a, err := rules.ParseAuthorization(t.Context(), byReference("web", reference)+"&scope=admin&state=evil&redirect_uri=https://evil.example&response_mode=form_post")
		if err != nil {
			t.Fatal(err)
		}
		if a.Scope != "openid read" || a.State != "a b&c" || a.Redirect != testCallback || a.Mode != ModeQuery || a.Pushed.IsZero() {
			t.Errorf("got %+v", a)
		}
		if again, err := rules.ParseAuthorization(t.Context(), a.Params); err != nil || again.Pushed != a.Pushed {
			t.Errorf("coming back: %+v, %v", again, err)
		}
		first = a
	}
	if _, err := rules.Allow(t.Context(), first, Allowed{}); err != nil {
		t.Fatal(err)
	}
	_, err := rules.Allow(t.Context(), first, Allowed{})
	wantPage(t, "completed twice", err)
	_, err = rules.ParseAuthorization(t.Context(), byReference("web", reference))
	wantPage(t, "opened after completion", err)
	if len(d.codes) != 1 {
		t.Errorf("%d codes were made", len(d.codes))
	}
}

func wantPage(t *testing.T, name string, err error) {
	t.Helper()
	refusal, ok := errors.AsType[*AuthorizeError](err)
	if !ok || refusal.Redirect != "" || refusal.Refusal.Code != InvalidRequestURI {
		t.Errorf("%s: got %v, want a page with invalid_request_uri", name, err)
	}
}

// RFC 9126 §2.2, §4: bound to the client, expired, forged, of another kind: a page, and no I/O but for what is authentic (promise P6).
func TestReferencesThatAreRefused(t *testing.T) {
	d, rules := newDesk(t)
	reference := pushed(t, rules, ask())
	mac := rules.Ring.ActiveMAC()
	later := rules.now() + 100
	_, err := rules.ParseAuthorization(t.Context(), byReference("two", reference))
	wantPage(t, "of another client", err)
	_, err = rules.ParseAuthorization(t.Context(), byReference("", reference))
	wantPage(t, "without a client", err)
	before := d.asked
	for name, uri := range map[string]string{
		"garbage":        pushedPrefix + "x",
		"empty":          pushedPrefix,
		"cut":            reference[:len(reference)-1],
		"a code":         string(token.AppendOpaque([]byte(pushedPrefix), mac, token.Code, store.NewID(time.Now()), later)),
		"a refresh":      string(token.AppendOpaque([]byte(pushedPrefix), mac, token.Refresh, store.NewID(time.Now()), later)),
		"an access":      string(token.AppendOpaque([]byte(pushedPrefix), mac, token.Access, store.NewID(time.Now()), later)),
		"expired":        string(token.AppendOpaque([]byte(pushedPrefix), mac, token.Pushed, store.NewID(time.Now()), rules.now())),
		"flipped":        strings.Replace(reference, "oar_", "oac_", 1),
		"reference only": pushedPrefix + reference,
	} {
		_, err := rules.ParseAuthorization(t.Context(), byReference("web", uri))
		wantPage(t, name, err)
	}
	if d.asked != before {
		t.Error("garbage asked the store")
	}
	for _, twice := range []string{"&client_id=web", "&request_uri=x"} {
		_, err := rules.ParseAuthorization(t.Context(), byReference("web", reference)+twice)
		if refusal, ok := errors.AsType[*AuthorizeError](err); !ok || refusal.Redirect != "" {
			t.Errorf("%s: got %v, want a page", twice, err)
		}
	}
	d.down = true
	if _, err := rules.ParseAuthorization(t.Context(), byReference("web", reference)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("promise P5: got %v, want ErrUnavailable", err)
	}
	d.down, d.clients["web"].RedirectURIs = false, []string{"https://new.example.com/cb"}
	_, err = rules.ParseAuthorization(t.Context(), byReference("web", reference))
	if refusal, ok := errors.AsType[*AuthorizeError](err); !ok || refusal.Redirect != "" {
		t.Errorf("a redirect URI that was withdrawn since: got %v, want a page", err)
	}
}

// RFC 9126 §2.1, §2.3: a pushed request is refused for what the page would refuse it for, and for a request_uri of its own.
func TestPushIsHeldAgainstEveryRule(t *testing.T) {
	d, rules := newDesk(t)
	for _, test := range []struct {
		name, params string
		code         Code
	}{
		{"request_uri", ask("request_uri", pushedPrefix+"oar_x"), InvalidRequest},
		{"request_uri twice, one empty", ask() + "&request_uri=&request_uri=x", InvalidRequest},
		{"another client_id", ask("client_id", "two"), InvalidRequest},
		{"client_id twice", ask() + "&client_id=web", InvalidRequest},
		{"request object", ask("request", "x"), RequestNotSupported},
		{"no PKCE", ask("code_challenge", ""), InvalidRequest},
		{"plain", ask("code_challenge_method", "plain"), InvalidRequest},
		{"foreign redirect", ask("redirect_uri", "https://evil.example"), InvalidRequest},
		{"scope", ask("scope", "admin"), InvalidScope},
		{"response type", ask("response_type", "token"), UnsupportedResponseType},
		{"bad encoding", "%zz", InvalidRequest},
	} {
		_, err := rules.Push(t.Context(), webCaller(rules), test.params)
		if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Code != test.code {
			t.Errorf("%s: got %v, want %v", test.name, err, test.code)
		}
	}
	if d.asked != 0 {
		t.Error("a refused request asked the store")
	}
	d.down = true
	if _, err := rules.Push(t.Context(), webCaller(rules), ask()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// What is kept of a pushed request is bounded as it is kept: encoded, a text may be three times as long as it was sent.
func TestPushedRequestIsBounded(t *testing.T) {
	d, rules := newDesk(t)
	state := strings.Repeat("~", 2000) + strings.Repeat("s", 48)
	pushed(t, rules, ask("state", state, "nonce", state))
	for name, params := range map[string]string{
		"sent":                          ask() + "&display=" + strings.Repeat("x", maxParams),
		"encoded":                       ask() + "&login_hint=" + strings.Repeat("<", maxParams/2),
		"many resources, none is known": ask() + strings.Repeat("&resource=x", maxNames),
	} {
		if _, err := rules.Push(t.Context(), webCaller(rules), params); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, p := range d.pushed {
		if len(d.pushed) != 1 || len(p.Params) > maxParams {
			t.Errorf("kept %d requests, one of %d bytes", len(d.pushed), len(p.Params))
		}
	}
}
