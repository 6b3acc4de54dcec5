package hotpath

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

const pushPath = "/oauth/par"

// pushForm is an authorization request that keeps to all rules, and more.
func pushForm(more ...string) url.Values {
	return values(append([]string{
		"response_type", "code", "redirect_uri", callback, "scope", "openid read", "state", "s",
		"code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method", "S256",
	}, more...)...)
}

// RFC 9126 §2.2: 201, a reference that the authorization endpoint takes, and how long.
func TestPushedRequest(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]call{
		"by Basic":                {path: pushPath, basic: "web", form: pushForm()},
		"by Basic, named as well": {path: pushPath, basic: "web", form: pushForm("client_id", "web")},
		"by the body":             {path: pushPath, form: pushForm("client_id", "web", "client_secret", secret)},
		"a public client":         {path: pushPath, form: pushForm("client_id", "spa")},
		"two resources":           {path: pushPath, basic: "web", form: pushForm("resource", "files", "resource", "https://api.example.com")},
	} {
		r := s.do(c)
		reference, _ := r.field("request_uri").(string)
		if r.status != http.StatusCreated || !strings.HasPrefix(reference, "urn:ietf:params:oauth:request_uri:oar_") || r.field("expires_in") != float64(oauth.PushedLife) ||
			r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
			continue
		}
		client := "web"
		if strings.Contains(name, "public") {
			client = "spa"
		}
		a, err := s.server.rules.ParseAuthorization(t.Context(), values("client_id", client, "request_uri", reference).Encode())
		if err != nil || a.Client.ID != client || a.State != "s" || a.Pushed.IsZero() {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
}

// RFC 9126 §2.3: errors as at the token endpoint, whatever the authorization endpoint would do with them.
func TestPushedRequestRefused(t *testing.T) {
	s := newSite(t)
	replace := func(name, value string) url.Values { f := pushForm(); f.Set(name, value); return f }
	for _, test := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"no client", call{form: pushForm()}, 401, "invalid_client"},
		{"confidential, unproved", call{form: pushForm("client_id", "web")}, 401, "invalid_client"},
		{"wrong secret", call{basic: "web", pass: "wrong", form: pushForm()}, 401, "invalid_client"},
		{"§2.1: request_uri", call{basic: "web", form: pushForm("request_uri", "urn:x")}, 400, "invalid_request"},
		{"another client_id", call{basic: "web", form: pushForm("client_id", "spa")}, 400, "invalid_request"},
		{"redirect URI of another", call{basic: "web", form: replace("redirect_uri", "https://evil.example/")}, 400, "invalid_request"},
		{"plain", call{basic: "web", form: replace("code_challenge_method", "plain")}, 400, "invalid_request"},
		{"scope", call{basic: "web", form: replace("scope", "admin")}, 400, "invalid_scope"},
		{"response type", call{basic: "web", form: replace("response_type", "token")}, 400, "unsupported_response_type"},
		{"request object", call{basic: "web", form: pushForm("request", "x")}, 400, "request_not_supported"},
		{"not for codes", call{basic: "app", form: pushForm()}, 400, "invalid_request"}, // it has no redirect URI
		{"repeated", call{basic: "web", form: pushForm("state", "t")}, 400, "invalid_request"},
		{"in the query", call{basic: "web", path: pushPath + "?client_id=web", form: pushForm()}, 400, "invalid_request"},
		{"JSON", call{basic: "web", body: "{}", headers: map[string]string{"Content-Type": "application/json"}}, 400, "invalid_request"},
	} {
		if test.call.path == "" {
			test.call.path = pushPath
		}
		r := s.do(test.call)
		if r.status != test.status || r.field("error") != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.status, r.body, test.status, test.code)
		}
		wantError(t, r, test.status, test.code)
	}
	r := s.do(call{method: http.MethodGet, path: pushPath})
	if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET: %d %v", r.status, r.header)
	}
}

// signing adds a client that signs its assertions, and returns how.
func (s *site) signing(id string) func(jti string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	client := store.Client{
		ID: id, AuthMethod: store.AuthPrivateKeyJWT, AuthAlg: "ES256", JWKS: set, Introspect: store.IntrospectAny,
		Grants: []string{"client_credentials", "authorization_code"}, Scopes: []string{"openid", "read"}, RedirectURIs: []string{callback},
	}
	if _, err := s.db.CreateClient(s.t.Context(), actor(), client); err != nil {
		s.t.Fatal(err)
	}
	for s.tier.Client([]byte(id)) == nil {
		s.tier.AwaitPoll()
	}
	return func(jti string) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": id, "sub": id, "aud": issuer, "exp": time.Now().Unix() + 60, "jti": jti,
		}).SignedString(key)
		if err != nil {
			s.t.Fatal(err)
		}
		return text
	}
}

// RFC 7523 §2.2, RFC 7521 §4.2: wherever clients authenticate, once for each assertion.
func TestAssertionAtEveryEndpoint(t *testing.T) {
	s := newSite(t)
	sign := s.signing("signer")
	token := s.issue("app")
	for path, form := range map[string]url.Values{
		"/oauth/token":      values("grant_type", "client_credentials", "scope", "read"),
		"/oauth/introspect": values("token", token),
		"/oauth/revoke":     values("token", token),
		pushPath:            pushForm(),
	} {
		form.Set("client_assertion_type", oauth.AssertionType)
		form.Set("client_assertion", sign(path))
		r := s.do(call{path: path, form: form})
		if r.status != 200 && (path != pushPath || r.status != 201) && (path != "/oauth/revoke" || r.field("error") != "unauthorized_client") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		wantError(t, s.do(call{path: path, form: form}), 401, "invalid_client") // RFC 7523 §3: used before
	}
}

// RFC 6749 §2.3: one way at a time; CVE-2026-16093: what proves the client is what is judged.
func TestAssertionStandsAlone(t *testing.T) {
	s := newSite(t)
	sign := s.signing("signer")
	with := func(more ...string) url.Values {
		return values(append([]string{"grant_type", "client_credentials"}, more...)...)
	}
	kind := oauth.AssertionType
	for _, test := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"with a secret", call{form: with("client_id", "app", "client_secret", secret, "client_assertion_type", kind, "client_assertion", sign("1"))}, 400, "invalid_request"},
		{"with Basic", call{basic: "app", form: with("client_assertion_type", kind, "client_assertion", sign("2"))}, 400, "invalid_request"},
		{"type alone, with Basic", call{basic: "app", form: with("client_assertion_type", kind)}, 400, "invalid_request"},
		{"type alone", call{form: with("client_id", "app", "client_assertion_type", kind)}, 401, "invalid_client"},
		{"type alone, public", call{form: with("client_id", "spa", "client_assertion_type", kind)}, 401, "invalid_client"},
		{"without type", call{form: with("client_assertion", sign("3"))}, 401, "invalid_client"},
		{"SAML", call{form: with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "client_assertion", sign("4"))}, 401, "invalid_client"},
		{"of another client_id", call{form: with("client_id", "app", "client_assertion_type", kind, "client_assertion", sign("5"))}, 401, "invalid_client"},
		{"for a client of secrets", call{form: with("client_id", "app", "client_assertion_type", kind, "client_assertion", "a.b.c")}, 401, "invalid_client"},
		{"client_id alone", call{form: with("client_id", "signer")}, 401, "invalid_client"},
		{"secret alone", call{basic: "signer", form: with()}, 401, "invalid_client"},
	} {
		test.call.path = "/oauth/token"
		r := s.do(test.call)
		if r.status != test.status {
			t.Errorf("%s:", test.name)
		}
		wantError(t, r, test.status, test.code)
	}
	r := s.do(call{path: "/oauth/token", form: with("client_id", "signer", "client_assertion_type", kind, "client_assertion", sign("1"))})
	if r.status != 200 {
		t.Errorf("none of them spent the assertion: %d %s", r.status, r.body)
	}
}
