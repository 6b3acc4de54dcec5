package hotpath

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"oauth2-server/store"
)

// RFC 6749 §5.1: the fields and headers of a token answer.
func TestTokenAnswer(t *testing.T) {
	s := newSite(t)
	r := s.do(call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials")})
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Pragma") != "no-cache" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", r.header)
	}
	want := map[string]any{"token_type": "Bearer", "expires_in": 3600.0, "scope": "read write"}
	for name, value := range want {
		if got := r.field(name); got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	if r.field("refresh_token") != nil {
		t.Error("RFC 6749 §4.4.3: client_credentials issues no refresh token")
	}
}

func TestClientAuthentication(t *testing.T) {
	s := newSite(t)
	grant := []string{"grant_type", "client_credentials"}
	with := func(more ...string) call { return call{path: "/oauth/token", form: values(append(grant, more...)...)} }
	basic := func(c call, id, pass string) call { c.basic, c.pass = id, pass; return c }
	authorization := func(value string) call {
		c := with()
		c.headers = map[string]string{"Authorization": value}
		return c
	}
	for _, test := range []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"basic", basic(with(), "app", ""), 200, ""},
		{"basic with the same client_id in the body", basic(with("client_id", "app"), "app", ""), 200, ""},
		{"post", with("client_id", "app", "client_secret", secret), 200, ""},
		{"bound to basic, by basic", basic(with(), "basic", ""), 200, ""},
		{"bound to post, by post", with("client_id", "post", "client_secret", secret), 200, ""},
		{"scheme in another case (RFC 9110 §11.1)", authorization("bAsIc " + base64.StdEncoding.EncodeToString([]byte("basic:"+url.QueryEscape(secret)))), 200, ""},
		{"bound to basic, by post", with("client_id", "basic", "client_secret", secret), 401, "invalid_client"},
		{"bound to post, by basic", basic(with(), "post", ""), 401, "invalid_client"},
		{"wrong secret", basic(with(), "app", "wrong"), 401, "invalid_client"},
		{"unknown client", basic(with(), "nobody", ""), 401, "invalid_client"},
		{"disabled client", basic(with(), "off", ""), 401, "invalid_client"},
		{"no authentication", with(), 401, "invalid_client"},
		{"client_id without secret", with("client_id", "app"), 401, "invalid_client"},
		{"empty secret is no secret (§3.2)", with("client_id", "app", "client_secret", ""), 401, "invalid_client"},
		{"secret without client_id", with("client_secret", secret), 401, "invalid_client"},
		{"public client with a secret", with("client_id", "page", "client_secret", secret), 401, "invalid_client"},
		{"two ways at once (§2.3)", basic(with("client_id", "app", "client_secret", secret), "app", ""), 400, "invalid_request"},
		{"two clients at once", basic(with("client_id", "jwt"), "app", ""), 400, "invalid_request"},
		{"assertion and secret", with("client_id", "app", "client_secret", secret, "client_assertion", "x"), 400, "invalid_request"},
		{"assertion alone", with("client_id", "app", "client_assertion", "x"), 401, "invalid_client"},
		{"bearer", authorization("Bearer x"), 401, "invalid_client"},
		{"basic without colon", authorization("Basic " + base64.StdEncoding.EncodeToString([]byte("app"))), 401, "invalid_client"},
		{"basic in bad base64", authorization("Basic app:secret"), 401, "invalid_client"},
		{"basic with bad percent-encoding", authorization("Basic " + base64.StdEncoding.EncodeToString([]byte("app:%zz"))), 401, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := s.do(test.call)
			if test.status == 200 {
				if r.status != 200 {
					t.Fatalf("%d %s", r.status, r.body)
				}
				return
			}
			wantError(t, r, test.status, test.code)
		})
	}
}

// Unknown client, wrong secret, disabled client, wrong way: the same bytes.
func TestRefusedClientsAreIndistinguishable(t *testing.T) {
	s := newSite(t)
	try := func(id, pass string) reply {
		r := s.do(call{
			path: "/oauth/token", basic: id, pass: pass, form: values("grant_type", "client_credentials"),
			headers: map[string]string{"Origin": "https://page.example.com"},
		}) // the web origin of one of them
		r.header.Del("Date")
		return r
	}
	want := try("nobody", "wrong")
	for _, id := range []string{"app", "off", "post", "page"} {
		if got := try(id, "wrong"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", id, got, want)
		}
	}
}

func TestTokenRequestRules(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name   string
		client string
		form   []string
		status int
		code   string
	}{
		{"RFC 6749 §4.4.2: grant_type is required", "app", []string{"scope", "read"}, 400, "invalid_request"},
		{"§3.2: without a value is absent", "app", []string{"grant_type", ""}, 400, "invalid_request"},
		{"§3.2: no parameter twice", "app", []string{"grant_type", "client_credentials", "grant_type", "client_credentials"}, 400, "invalid_request"},
		{"§3.2: not even once empty", "app", []string{"grant_type", "client_credentials", "scope", "", "scope", "read"}, 400, "invalid_request"},
		{"§5.2: unsupported grant", "app", []string{"grant_type", "urn:example:none"}, 400, "unsupported_grant_type"},
		{"RFC 9700 §2.4: password never", "app", []string{"grant_type", "password", "username", "u", "password", "p"}, 400, "unsupported_grant_type"},
		{"§5.2: grant not registered", "gateway", []string{"grant_type", "client_credentials"}, 400, "unauthorized_client"},
		{"§3.3: scope outside the client's", "app", []string{"grant_type", "client_credentials", "scope", "read admin"}, 400, "invalid_scope"},
		{"§3.3: scope malformed", "app", []string{"grant_type", "client_credentials", "scope", "read  write"}, 400, "invalid_scope"},
		{"§3.3: scope is case-sensitive", "app", []string{"grant_type", "client_credentials", "scope", "READ"}, 400, "invalid_scope"},
		{"RFC 8707 §2: foreign resource", "app", []string{"grant_type", "client_credentials", "resource", "https://other.example.com"}, 400, "invalid_target"},
		{"foreign audience", "app", []string{"grant_type", "client_credentials", "audience", "other"}, 400, "invalid_target"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantError(t, s.do(call{path: "/oauth/token", basic: test.client, form: values(test.form...)}), test.status, test.code)
		})
	}
}

func TestPublicClientGetsNoClientCredentials(t *testing.T) {
	s := newSite(t)
	r := s.do(call{path: "/oauth/token", form: values("grant_type", "client_credentials", "client_id", "page")})
	wantError(t, r, 400, "unauthorized_client") // RFC 6749 §4.4
}

func TestScopeAndAudienceAreNarrowed(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name  string
		form  []string
		scope any
		aud   any
	}{
		{"nothing asked: all scopes, the first audience", nil, "read write", "https://api.example.com"},
		{"one scope", []string{"scope", "write"}, "write", "https://api.example.com"},
		{"a scope twice is one", []string{"scope", "write write"}, "write", "https://api.example.com"},
		{"RFC 8707 §2: a resource", []string{"resource", "files"}, "read write", "files"},
		{"resource may repeat, and audience adds", []string{"resource", "files", "resource", "https://api.example.com", "audience", "files"}, "read write", []any{"files", "https://api.example.com"}},
		{"§3.2: unknown parameters are ignored", []string{"foo", "bar"}, "read write", "https://api.example.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, client := range []string{"app", "jwt"} {
				r := s.wantActive("auditor", s.issue(client, test.form...))
				if r.field("scope") != test.scope || !reflect.DeepEqual(r.field("aud"), test.aud) {
					t.Errorf("%s: got %s", client, r.body)
				}
			}
		})
	}
	if aud := s.wantActive("auditor", s.issue("basic")).field("aud"); aud != issuer {
		t.Errorf("a client without audiences: aud %v, want the issuer", aud)
	}
}

// RFC 9068 §2: the header and claims of a JWT access token, verified by a library with the published keys.
func TestJWTAccessToken(t *testing.T) {
	s := newSite(t)
	text := s.issue("jwt", "scope", "read")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(s.do(call{method: "GET", path: "/.well-known/jwks.json"}).body), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("%d keys are published, want the active and the next", len(set.Keys))
	}
	parsed, err := jwt.Parse(text, func(token *jwt.Token) (any, error) { return publicKey(t, set.Keys, token.Header["kid"]), nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience("https://api.example.com"), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	claims := parsed.Claims.(jwt.MapClaims)
	if parsed.Header["typ"] != "at+jwt" || claims["client_id"] != "jwt" || claims["sub"] != "jwt" || claims["scope"] != "read" {
		t.Errorf("header %v, claims %v", parsed.Header, claims)
	}
	for _, required := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		if claims[required] == nil {
			t.Errorf("RFC 9068 §2.2: %s is missing", required)
		}
	}
}

func TestOpaqueTokenTellsNothing(t *testing.T) {
	s := newSite(t)
	text := s.issue("app")
	if !strings.HasPrefix(text, "oat_") || len(text) != 56 {
		t.Errorf("an opaque token of %d characters", len(text))
	}
	if a, b := s.issue("app"), s.issue("app"); a == b {
		t.Error("two tokens are equal")
	}
}

// What is stored cannot be turned into a token: the database holds no token and no secret.
func TestClientSecretRotationOverlaps(t *testing.T) {
	s := newSite(t)
	const next = "the next secret of the client, 0123456789"
	_, err := s.db.UpdateClient(t.Context(), actor(), "app", func(c *store.Client) error {
		c.Secrets = append([]store.SecretHash{hash(next)}, c.Secrets...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r := s.do(call{path: "/oauth/token", basic: "app", pass: next, form: values("grant_type", "client_credentials")})
		if r.status == 200 {
			break
		}
		s.tier.AwaitPoll()
	}
	s.issue("app") // the old one still works
}
