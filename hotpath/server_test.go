package hotpath

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

const (
	issuer     = "https://auth.example.com"
	secret     = "a client secret of the tests, 0123456789"
	testActor  = "test"
	testSecret = "a-secret-of-the-tests-with-more-than-32-bytes"
)

// site is a whole server in this process, on a store in memory.
type site struct {
	t      testing.TB
	url    string
	server *Server
	tier   *cache.Cache
	db     *sqlite.DB
}

func actor() store.Actor { return store.Actor{Kind: "cli", ID: testActor} }

// newSite starts a server with the test clients:
//
//	app       confidential, scopes read and write, audiences https://api.example.com and files
//	jwt       the same, with JWTs
//	gateway   is the resource https://api.example.com
//	auditor   may introspect any token
//	page      public, with a web origin
//	basic, post  bound to their way of authentication
//	web, spa  confidential and public, for people: codes and refresh tokens
//	static    as web, whose refresh tokens stay the same
//	once      as web, without refresh tokens
func newSite(t testing.TB, change ...func(*Options)) *site {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, client := range testClients() {
		if !client.Public() {
			client.Secrets = []store.SecretHash{sha256.Sum256([]byte(secret))}
		}
		if _, err := db.CreateClient(t.Context(), actor(), client); err != nil {
			t.Fatal(err)
		}
	}
	secrets, err := keys.ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Ensure(t.Context(), db, actor(), secrets, "ES256", time.Now()); err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(secrets, "ES256")
	set, log := metrics.NewSet(), slog.New(slog.NewTextHandler(io.Discard, nil))
	tier := cache.New(cache.Options{
		Store: db, Metrics: set, Log: log, L1Bytes: 64 << 20, StalenessMax: time.Minute,
		Replica: store.Replica{ID: store.NewID(time.Now())},
		Keys: func(keys []store.Key, _ bool) {
			if err := ring.Apply(keys); err != nil {
				t.Errorf("keys: %v", err)
			}
		},
	})
	rules := oauth.New(oauth.Options{
		Issuer: issuer, Clients: tier, Tokens: tier, Grants: tier, Ring: ring, People: db, Once: db, Secrets: secrets, AccessTTL: time.Hour, Format: store.FormatOpaque,
		RefreshTTL: 24 * time.Hour, RefreshGrace: time.Minute, SessionLife: 12 * time.Hour,
	})
	options := Options{Rules: rules, Tier: tier, Ring: ring, Metrics: set, Log: log, Origins: []string{"https://console.example.com"}}
	for _, f := range change {
		f(&options)
	}
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, server: server, tier: tier, db: db}
	s.start()
	return s
}

func testClients() []store.Client {
	grants := []string{"client_credentials"}
	scopes := []string{"read", "write"}
	audiences := []string{"https://api.example.com", "files"}
	people := store.Client{
		Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline_access", "read", "write"}, Audiences: audiences,
		RedirectURIs: []string{callback}, IDTokenAlg: "ES256",
	}
	web, spa, static, once := people, people, people, people
	web.ID, spa.ID, static.ID, once.ID = "web", "spa", "static", "once"
	spa.AuthMethod, static.Refresh, once.Grants = store.AuthNone, store.RefreshStatic, people.Grants[:1]
	return []store.Client{
		web, spa, static, once,
		{ID: "app", Grants: grants, Scopes: scopes, Audiences: audiences},
		{ID: "jwt", Grants: grants, Scopes: scopes, Audiences: audiences, TokenFormat: store.FormatJWT},
		{ID: "gateway", Resources: []string{"https://api.example.com"}},
		{ID: "auditor", Introspect: store.IntrospectAny},
		{ID: "page", AuthMethod: store.AuthNone, Grants: grants, Origins: []string{"https://page.example.com"}},
		{ID: "basic", AuthMethod: store.AuthBasic, Grants: grants},
		{ID: "post", AuthMethod: store.AuthPost, Grants: grants},
		{ID: "short", Grants: grants, AccessTTL: 1},
		{ID: "off", Grants: grants, Disabled: true},
	}
}

func (s *site) start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.tier.Run(ctx) }()
	go func() { ended <- s.server.Serve(listener) }()
	s.t.Cleanup(func() {
		if err := s.server.Shutdown(context.Background()); err != nil {
			s.t.Errorf("shut down: %v", err)
		}
		s.tier.Close()
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				s.t.Errorf("ended with %v", err)
			}
		}
	})
	s.server.Prepared()
	if _, err := s.tier.Fresh(); err != nil { // waits for the first poll
		s.t.Fatal(err)
	}
}

// call is a request; zero fields are left out.
type call struct {
	method  string // default POST
	path    string
	basic   string // client id, with the common secret unless pass is set
	pass    string
	form    url.Values
	body    string
	headers map[string]string
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) field(name string) any {
	var fields map[string]any
	_ = json.Unmarshal([]byte(r.body), &fields)
	return fields[name]
}

func (s *site) do(c call) reply {
	s.t.Helper()
	body := c.body
	if c.form != nil {
		body = c.form.Encode()
	}
	if c.method == "" {
		c.method = http.MethodPost
	}
	request, err := http.NewRequest(c.method, s.url+c.path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if c.method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.basic != "" {
		pass := secret
		if c.pass != "" {
			pass = c.pass
		}
		request.SetBasicAuth(url.QueryEscape(c.basic), url.QueryEscape(pass))
	}
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func values(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// issue returns the text of a new token.
func (s *site) issue(client string, more ...string) string {
	s.t.Helper()
	r := s.do(call{path: "/oauth/token", basic: client, form: values(append([]string{"grant_type", "client_credentials"}, more...)...)})
	token, ok := r.field("access_token").(string)
	if r.status != http.StatusOK || !ok {
		s.t.Fatalf("issue for %s: %d %s", client, r.status, r.body)
	}
	return token
}

func (s *site) introspect(client, token string) reply {
	s.t.Helper()
	return s.do(call{path: "/oauth/introspect", basic: client, form: values("token", token)})
}

func (s *site) wantActive(client, token string) reply {
	s.t.Helper()
	r := s.introspect(client, token)
	if r.status != http.StatusOK || r.field("active") != true {
		s.t.Fatalf("got %d %s, want an active token", r.status, r.body)
	}
	return r
}

// wantInactive: exactly {"active":false}, whatever the reason (RFC 7662 §2.2).
func (s *site) wantInactive(client, token string) {
	s.t.Helper()
	if r := s.introspect(client, token); r.status != http.StatusOK || r.body != oauth.Inactive {
		s.t.Fatalf("got %d %s, want %s", r.status, r.body, oauth.Inactive)
	}
}

// wantError checks a refusal: status, code, and what every refusal has.
func wantError(t testing.TB, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.field("error") != code {
		t.Errorf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		t.Error("a refusal may be cached")
	}
	if status == http.StatusUnauthorized && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
		t.Error("401 without a challenge (RFC 9110 §15.5.2)")
	}
	for _, c := range r.field("error_description").(string) { // RFC 6749 §5.2
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("the description holds %q", c)
		}
	}
}
