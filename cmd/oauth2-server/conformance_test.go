package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"oauth2-server/store"
)

// Modules of the OpenID Foundation's conformance suite, rebuilt: the profiles Basic OP and Config OP. A subtest has the name of its
// module. What differs: every request has PKCE, which this server demands of everybody; nothing is https, as nobody is between.

// A conformance is what the modules share.
type conformance struct {
	*site
	anna         *person
	basic, post  identity
	provider     *oidc.Provider
	first        answer // tokens from the beginning of the run
	firstBrowser *http.Client
}

func newConformance(t *testing.T) *conformance {
	c := &conformance{site: newSite(t, 2)}
	c.anna = c.newPerson("anna")
	c.basic = c.register(store.Client{ID: "basic", AuthMethod: store.AuthBasic})
	c.post = c.register(store.Client{ID: "post", AuthMethod: store.AuthPost})
	var err error
	if c.provider, err = oidc.NewProvider(t.Context(), c.issuer); err != nil {
		t.Fatal(err)
	}
	c.first, c.firstBrowser = c.newFlow(c.basic, allScopes).tokens(c.anna), c.anna.browser
	return c
}

const allScopes = "openid profile email offline_access"

func TestConformance(t *testing.T) {
	c := newConformance(t)
	for _, m := range slices.Concat(c.basicModules(), c.sessionModules(), c.refusalModules(), c.configModules(), c.logoutModules()) {
		t.Run(m.name, func(t *testing.T) { m.run(t, c.anna.in(t)) })
	}
}

type module struct {
	name string
	run  func(t *testing.T, anna *person)
}

// happy is a module that sends more, or other parameters, and expects nothing else.
func (c *conformance) happy(name, scope string, with ...string) module {
	return module{name, func(t *testing.T, anna *person) {
		f := c.newFlow(c.basic, scope, with...)
		c.wantTokens(t, f, f.tokens(anna), anna)
	}}
}

// wantTokens holds a token response against what every module demands of it, and returns the claims of the id_token.
func (c *conformance) wantTokens(t *testing.T, f *flow, a answer, anna *person) map[string]any {
	t.Helper()
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("got %s, want tokens in JSON", a)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("Cache-Control %q, Pragma %q (RFC 6749 §5.1)", a.header.Get("Cache-Control"), a.header.Get("Pragma"))
	}
	if life, ok := a.field("expires_in").(float64); !ok || life <= 0 || life != float64(int(life)) {
		t.Errorf("expires_in is %v", a.field("expires_in"))
	}
	if !strings.EqualFold(a.text("token_type"), "bearer") || len(a.text("access_token")) < 128/6 {
		t.Errorf("no bearer token of 128 bits in %s", a)
	}
	id, err := c.provider.Verifier(&oidc.Config{ClientID: f.as.id}).Verify(t.Context(), a.text("id_token"))
	if err != nil {
		t.Fatalf("id_token: %v", err)
	}
	if err := id.VerifyAccessToken(a.text("access_token")); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	if id.Nonce != f.params.Get("nonce") || id.Subject != anna.id || len(id.Audience) != 1 {
		t.Errorf("id_token: nonce %q, sub %q, aud %q", id.Nonce, id.Subject, id.Audience)
	}
	claims := claimsOf(t, a.text("id_token"))
	for claim := range claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "acr", "azp", "jti"}, claim) {
			t.Errorf("the claim %s was not asked for in the id_token", claim)
		}
	}
	return claims
}

func (c *conformance) basicModules() []module {
	all := []module{
		c.happy("oidcc-server", "openid profile"),
		{"oidcc-server-client-secret-post", c.secretPost},
		{"oidcc-idtoken-signature", c.idTokenSignature},
		{"oidcc-userinfo-get", c.userInfo(http.MethodGet, false)},
		{"oidcc-userinfo-post-header", c.userInfo(http.MethodPost, false)},
		{"oidcc-userinfo-post-body", c.userInfo(http.MethodPost, true)},
		c.happy("oidcc-ensure-request-without-nonce-succeeds-for-code-flow", "openid", "nonce", ""),
		{"oidcc-scope-profile", c.scopeClaims("openid profile", "preferred_username")},
		{"oidcc-scope-email", c.scopeClaims("openid email", "email")},
		{"oidcc-scope-all", c.scopeClaims("openid profile email", "preferred_username", "email")},
		c.happy("oidcc-alternate-happy-flow", "email profile openid"),
		c.happy("oidcc-display-page", "openid", "display", "page"),
		c.happy("oidcc-display-popup", "openid", "display", "popup"),
		c.happy("oidcc-ui-locales", "openid", "ui_locales", "se de fr-CA"),
		c.happy("oidcc-claims-locales", "openid", "claims_locales", "se"),
		{"oidcc-login-hint", c.loginHint},
		c.happy("oidcc-ensure-request-with-acr-values-succeeds", "openid", "acr_values", "1 2"),
		c.happy("oidcc-ensure-request-with-unknown-parameter-succeeds", "openid", "extra", "foobar"),
		c.happy("oidcc-claims-essential", "openid", "claims", `{"userinfo":{"name":{"essential":true}}}`),
		c.happy("oidcc-ensure-request-with-valid-pkce-succeeds", "openid"),
		{"oidcc-ensure-post-request-succeeds", c.postRequest},
		{"oidcc-server form_post", c.formPost},
		{"oidcc-refresh-token", c.refreshToken},
	}
	for _, scope := range []string{"address", "phone"} { // the suite passes over what the metadata do not promise
		all = append(all, module{"oidcc-scope-" + scope, func(t *testing.T, _ *person) {
			if slices.Contains(c.metadata(t).Scopes, scope) {
				t.Errorf("the metadata promise the scope %s", scope)
			}
		}})
	}
	return all
}

func (c *conformance) secretPost(t *testing.T, anna *person) {
	f := c.newFlow(c.post, "openid")
	form := f.tokenForm(f.code(anna))
	form.Set("client_id", c.post.id)
	form.Set("client_secret", c.post.secret)
	response, err := http.PostForm(c.issuer+"/oauth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	c.wantTokens(t, f, readAnswer(t, response), anna)
}

func (c *conformance) idTokenSignature(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, "openid")
	a := f.tokens(anna)
	c.wantTokens(t, f, a, anna)
	signed, err := jose.ParseSignedCompact(a.text("id_token"), []jose.SignatureAlgorithm{jose.RS256}) // the default: Core §3.1.3.7
	if err != nil {
		t.Fatal(err)
	}
	set := c.keySet(t)
	keys := set.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys have the kid %q", len(keys), signed.Signatures[0].Header.KeyID)
	}
	if _, err := signed.Verify(keys[0]); err != nil {
		t.Error(err)
	}
}

// userInfo: Core §5.3.1, RFC 6750 §2.
func (c *conformance) userInfo(method string, inBody bool) func(*testing.T, *person) {
	return func(t *testing.T, anna *person) {
		token := c.newFlow(c.basic, "openid email").tokens(anna).text("access_token")
		form := url.Values{}
		if inBody {
			form.Set("access_token", token)
		}
		request, err := http.NewRequest(method, c.issuer+"/oauth/userinfo", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if !inBody {
			request.Header.Set("Authorization", "bearer "+token) // the scheme in any case: RFC 9110 §11.1
		}
		if a := send(request, nil); a.status != http.StatusOK || a.text("sub") != anna.id || a.text("email") != "anna@example.com" {
			t.Errorf("userinfo: %s", a)
		}
	}
}

// scopeClaims: what a scope asks for is at userinfo, no more, and not in the id_token (Core §5.4).
func (c *conformance) scopeClaims(scope string, want ...string) func(*testing.T, *person) {
	return func(t *testing.T, anna *person) {
		f := c.newFlow(c.basic, scope)
		a := f.tokens(anna)
		c.wantTokens(t, f, a, anna)
		info := decodeJSON[map[string]any](t, c.front.getAs("/oauth/userinfo", "Bearer "+a.text("access_token")).body)
		if len(info) != len(want)+1 {
			t.Errorf("userinfo tells %v, want sub and %v", info, want)
		}
		for _, claim := range want {
			if info[claim] == nil {
				t.Errorf("userinfo does not tell %s", claim)
			}
		}
	}
}

func (c *conformance) loginHint(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, "openid", "login_hint", "bob@example.com")
	request, err := http.NewRequest(http.MethodGet, f.url(), nil)
	if sent := anna.open(request); err != nil || sent != nil {
		t.Fatal(sent, err)
	}
	if got := anna.last.forms[0].fields.Get("username"); got != "bob@example.com" {
		t.Errorf("the page to sign in suggests %q", got)
	}
	c.wantTokens(t, f, f.tokens(anna), anna)
}

// postRequest: Core §3.1.2.1.
func (c *conformance) postRequest(t *testing.T, anna *person) {
	for range 2 { // signed out, and signed in
		f := c.newFlow(c.basic, "openid")
		request, err := http.NewRequest(http.MethodPost, c.issuer+"/oauth/authorize", strings.NewReader(f.params.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", "https://app.example.com")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		w := anna.start(request, nil)
		if w.sent == nil || w.sent.Query().Get("state") != f.params.Get("state") {
			t.Fatalf("the browser is sent to %v", w.sent)
		}
		c.wantTokens(t, f, f.redeem(w.sent.Query().Get("code")), anna)
	}
}

// formPost: Form Post Response Mode §2.
func (c *conformance) formPost(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, "openid", "response_mode", "form_post")
	w := anna.walk(f.url())
	if w.sent == nil || w.by != http.MethodPost || w.sent.Host != "app.example.com" || w.sent.Query().Get("state") != f.params.Get("state") {
		t.Fatalf("the browser is sent to %v by %s", w.sent, w.by)
	}
	c.wantTokens(t, f, f.redeem(w.sent.Query().Get("code")), anna)
}

// refreshToken: Core §12.2, RFC 6749 §6.
func (c *conformance) refreshToken(t *testing.T, anna *person) {
	f := c.newFlow(c.basic, allScopes)
	before := f.tokens(anna)
	if a := c.front.refresh(c.post, before.text("refresh_token")); a.status == http.StatusOK {
		t.Errorf("another client refreshes: %s", a)
	}
	a := c.front.refresh(c.basic, before.text("refresh_token"))
	if a.status != http.StatusOK || len(a.text("refresh_token")) < 128/6 {
		t.Fatalf("refresh: %s", a)
	}
	was, is := claimsOf(t, before.text("id_token")), claimsOf(t, a.text("id_token"))
	for _, claim := range []string{"iss", "sub", "aud", "auth_time", "azp", "sid"} {
		if was[claim] != is[claim] {
			t.Errorf("%s was %v, and is %v", claim, was[claim], is[claim])
		}
	}
	if nonce, has := is["nonce"]; has && nonce != was["nonce"] {
		t.Errorf("the nonce is another one: %v", nonce)
	}
}

// metadata is what discovery says (OpenID Connect Discovery §3).
type metadata struct {
	Issuer     string
	Authorize  string   `json:"authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
	UserInfo   string   `json:"userinfo_endpoint"`
	EndSession string   `json:"end_session_endpoint"`
	Keys       string   `json:"jwks_uri"`
	Scopes     []string `json:"scopes_supported"`
	Responses  []string `json:"response_types_supported"`
	Grants     []string `json:"grant_types_supported"`
	Subjects   []string `json:"subject_types_supported"`
	Algs       []string `json:"id_token_signing_alg_values_supported"`
	Methods    []string `json:"token_endpoint_auth_methods_supported"`
	Challenges []string `json:"code_challenge_methods_supported"`
	Claims     []string `json:"claims_supported"`
	ClaimsAsk  *bool    `json:"claims_parameter_supported"`
	Request    *bool    `json:"request_parameter_supported"`
	RequestURI *bool    `json:"request_uri_parameter_supported"`
}

func (c *conformance) metadata(t *testing.T) metadata {
	t.Helper()
	a := c.front.get("/.well-known/openid-configuration")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("discovery: %s", a)
	}
	return decodeJSON[metadata](t, a.body)
}

func (c *conformance) keySet(t *testing.T) (set jose.JSONWebKeySet) {
	t.Helper()
	a := c.front.get(strings.TrimPrefix(c.metadata(t).Keys, c.issuer))
	if err := json.Unmarshal([]byte(a.body), &set); err != nil {
		t.Fatalf("%v in %s", err, a)
	}
	return set
}

func (c *conformance) configModules() []module {
	return []module{{"oidcc-discovery-endpoint-verification", c.discovery}, {"oidcc-idtoken-unsigned", c.unsigned}}
}

func (c *conformance) discovery(t *testing.T, _ *person) {
	m := c.metadata(t)
	if m.Issuer != c.issuer {
		t.Errorf("got issuer %q, want %q", m.Issuer, c.issuer)
	}
	for _, endpoint := range []string{m.Authorize, m.Token, m.UserInfo, m.EndSession, m.Keys} {
		if !strings.HasPrefix(endpoint, c.issuer+"/") {
			t.Errorf("%q is no endpoint of the issuer", endpoint)
		}
	}
	for want, list := range map[string][]string{
		"openid": m.Scopes, "code": m.Responses, "authorization_code": m.Grants, "public": m.Subjects, "RS256": m.Algs, "client_secret_basic": m.Methods,
		"S256": m.Challenges, "sub": m.Claims,
	} {
		if !slices.Contains(list, want) {
			t.Errorf("%q is missing in %q", want, list)
		}
	}
	for what, says := range map[string]*bool{"claims": m.ClaimsAsk, "request": m.Request, "request_uri": m.RequestURI} {
		if says == nil || *says {
			t.Errorf("%s_parameter_supported must say false: its default may be another", what)
		}
	}
	seen := map[string]bool{}
	for _, key := range c.keySet(t).Keys {
		if !key.Valid() || !key.IsPublic() || key.KeyID == "" || seen[key.KeyID] || key.Use != "sig" || key.Algorithm == "" {
			t.Errorf("the key %q is invalid, private, or not alone of its kid, or has no use and alg", key.KeyID)
		}
		seen[key.KeyID] = true
	}
}

func (c *conformance) unsigned(t *testing.T, _ *person) {
	if slices.Contains(c.metadata(t).Algs, "none") {
		t.Error("unsigned id_tokens are promised")
	}
}

// withAlgNone is a JWT that says to be unsigned.
func withAlgNone(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
}
