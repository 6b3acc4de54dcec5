package hotpath

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

const signedOutURI = "https://app.example.com/bye"

// people is a site with everything for people, and the user ann.
type people struct {
	*site
	secrets  keys.Secrets
	sessions *login.Sessions
	user     store.User
}

// open lets everybody ask as often as they like.
type open struct{}

func (open) Spend(limits.Endpoint, limits.Stage, *limits.Who, int64) (v limits.Verdict) { return v }

func newPeople(t testing.TB) *people {
	t.Helper()
	sessions, err := login.ParseKeys(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := keys.ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	p := &people{sessions: sessions, secrets: secrets}
	var ring *keys.Ring
	front := &Front{Sessions: sessions, Brand: pages.Brand{Name: "Example"}}
	p.site = newSite(t, func(o *Options) { o.Front, ring = front, o.Ring })
	p.server.front.Store, p.server.rules.Departures, p.server.rules.People = p.db, p.db, p.db
	p.server.front.Door = &login.Door{Users: p.db, Limits: open{}, Hasher: login.NewHasher()}
	if err := keys.EnsureIDTokens(t.Context(), p.db, actor(), secrets, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.change("web", func(c *store.Client) {
		c.IDTokenAlg, c.PostLogoutURIs, c.BackchannelLogout = "", []string{signedOutURI}, "https://app.example.com/backchannel"
		c.Scopes = append(c.Scopes, "profile", "email")
	})
	p.user, err = p.db.ChangeUser(t.Context(), actor(), "user.create", store.NewID(time.Now()), func(*store.User) (*store.User, error) {
		return &store.User{Username: "ann", Email: "ann@example.com", Role: store.RoleUser, Password: "none that anybody knows"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.applied()
	for _, alg := range keys.IDTokenAlgs() {
		if ring.SignerOf(alg) == nil {
			t.Fatalf("the ring has no key of %s", alg)
		}
	}
	return p
}

func (p *people) change(client string, change func(*store.Client)) {
	p.t.Helper()
	_, err := p.db.UpdateClient(p.t.Context(), actor(), client, func(c *store.Client) error { change(c); return nil })
	if err != nil {
		p.t.Fatal(err)
	}
}

// signIn is a session of the user, and the cookie of the browser that keeps it.
func (p *people) signIn() (login.Session, string) {
	session := login.NewSession(&p.user, time.Now())
	session.Position = p.tier.Position()
	return session, secureCookieName + "=" + p.sessions.Seal(login.ForPublic, session)
}

// tokens is what the client web gets for the user in a session.
func (p *people) tokens(session login.Session, scope string) (access, id string) {
	p.t.Helper()
	r := p.redeem("web", p.code("web", func(c *store.Code) {
		c.Grant.Subject, c.Grant.Session, c.Grant.Scope, c.Grant.Offline = p.user.ID.String(), session.ID, scope, false
	}))
	access, _ = wantTokens(p.t, r)
	id, _ = r.field("id_token").(string)
	if id == "" {
		p.t.Fatalf("no id_token in %s", r.body)
	}
	return access, id
}

// outside is a client at the address of the site that believes to speak to the issuer.
func (p *people) outside() *http.Client {
	address := strings.TrimPrefix(p.url, "http://")
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true}}
}

// OpenID Connect Discovery §4 and Core §3.1.3.7, by a library that nobody here wrote: each algorithm, and across a rotation of all keys.
func TestIDTokensAreVerifiedByGoOIDC(t *testing.T) {
	p := newPeople(t)
	ctx := oidc.ClientContext(t.Context(), p.outside())
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	session, _ := p.signIn()
	var texts []string
	for _, alg := range keys.IDTokenAlgs() {
		p.change("web", func(c *store.Client) { c.IDTokenAlg = string(alg) })
		p.applied()
		access, text := p.tokens(session, "openid profile")
		texts = append(texts, text)
		id, err := provider.Verifier(&oidc.Config{ClientID: "web"}).Verify(ctx, text)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		var more struct {
			Sid      string
			AuthTime int64 `json:"auth_time"`
		}
		if err := id.Claims(&more); err != nil {
			t.Fatal(err)
		}
		if id.Subject != p.user.ID.String() || id.Nonce != nonce || more.Sid != session.ID.String() || more.AuthTime == 0 {
			t.Errorf("%s: got %+v, %+v", alg, id, more)
		}
		if err := id.VerifyAccessToken(access); err != nil && alg != keys.EdDSA { // the library knows no at_hash of EdDSA's
			t.Errorf("%s: at_hash: %v", alg, err)
		}
		p.wantInactive("auditor", text) // RFC 9068 §4: no access token
	}
	p.rotate(time.Now().Add(time.Hour))
	fresh, err := oidc.NewProvider(ctx, issuer) // with the keys as they are now
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if _, err := fresh.Verifier(&oidc.Config{ClientID: "web"}).Verify(ctx, text); err != nil {
			t.Errorf("%s: after a rotation: %v", keys.IDTokenAlgs()[i], err)
		}
	}
	_, text := p.tokens(session, "openid")
	if _, err := provider.Verifier(&oidc.Config{ClientID: "web"}).Verify(ctx, text); err != nil { // who has read the keys before
		t.Errorf("signed after the rotation: %v", err)
	}
}

func (p *people) rotate(at time.Time) {
	p.t.Helper()
	if _, err := keys.RotateStored(p.t.Context(), p.db, actor(), p.secrets, keys.ES256, at, keys.Rotation{}); err != nil {
		p.t.Fatal(err)
	}
	p.applied()
}

// oidcc-discovery-endpoint-verification: what OpenID Connect Discovery §3, RFC 9207 §3, RFC 9126 §5 and the documents on logout
// ask for; TestMetadataIsTrue goes to each address.
func Test_oidcc_discovery_endpoint_verification(t *testing.T) {
	p := newPeople(t)
	var got map[string]any
	if err := json.Unmarshal([]byte(p.do(call{method: http.MethodGet, path: "/.well-known/openid-configuration"}).body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"response_types_supported": []any{"code"}, "response_modes_supported": []any{"query", "form_post"}, "subject_types_supported": []any{"public"},
		"code_challenge_methods_supported": []any{"S256"}, "id_token_signing_alg_values_supported": []any{"RS256", "ES256", "EdDSA"},
		"prompt_values_supported": []any{"none", "login", "consent", "select_account"},
		"scopes_supported":        []any{"openid", "profile", "email", "offline_access"},
		"token_endpoint_auth_methods_supported": []any{
			"client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt", "none",
		},
		"introspection_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"},
		// RFC 8414 §2: "none" must not be among them
		"token_endpoint_auth_signing_alg_values_supported": []any{"RS256", "PS256", "ES256", "EdDSA", "HS256"},
		"authorization_response_iss_parameter_supported":   true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
		"request_parameter_supported": false, "request_uri_parameter_supported": false, // Discovery §3: the default of the latter is true
		"claims_parameter_supported": false, "require_pushed_authorization_requests": false,
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint",
		"pushed_authorization_request_endpoint", "end_session_endpoint",
	} {
		if text, _ := got[name].(string); !strings.HasPrefix(text, "https://") {
			t.Errorf("%s is %q", name, text)
		}
	}
}

// browse is what a browser asks: it follows nothing.
func (p *people) browse(method, path, cookie, body string, headers ...string) reply {
	p.t.Helper()
	request, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}
