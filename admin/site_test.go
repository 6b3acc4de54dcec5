package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

const (
	testIssuer   = "https://auth.example.com"
	testSecret   = "a-secret-of-the-tests-with-more-than-32-bytes"
	testPassword = "purple lantern ferries oblique mustard"
)

// flakyDB is a store that can be taken away.
type flakyDB struct {
	*sqlite.DB
	down  atomic.Bool // for users and tokens
	blind atomic.Bool // for denials
	stuck atomic.Bool // for new denials

	beforeDelete func() // of a client; may be nil
}

func (db *flakyDB) fault() error {
	if db.down.Load() {
		return store.ErrUnavailable
	}
	return nil
}

func (db *flakyDB) User(ctx context.Context, id store.ID) (store.User, error) {
	if err := db.fault(); err != nil {
		return store.User{}, err
	}
	return db.DB.User(ctx, id)
}

func (db *flakyDB) UserByName(ctx context.Context, name string) (store.User, error) {
	if err := db.fault(); err != nil {
		return store.User{}, err
	}
	return db.DB.UserByName(ctx, name)
}

func (db *flakyDB) Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error) {
	if db.blind.Load() {
		return store.Denial{}, store.ErrUnavailable
	}
	return db.DB.Denied(ctx, kind, id)
}

func (db *flakyDB) Deny(ctx context.Context, denials []store.Denial) error {
	if db.stuck.Load() {
		return store.ErrUnavailable
	}
	return db.DB.Deny(ctx, denials)
}

func (db *flakyDB) DeleteClient(ctx context.Context, actor store.Actor, id string, check func(*store.Client) error) error {
	if db.beforeDelete != nil {
		db.beforeDelete()
	}
	return db.DB.DeleteClient(ctx, actor, id, check)
}

func (db *flakyDB) FindTokens(ctx context.Context, keys []store.TokenKey, found func(int, []byte)) error {
	if err := db.fault(); err != nil {
		return err
	}
	return db.DB.FindTokens(ctx, keys, found)
}

// site is a listener for operators in this process, on a store in memory.
type site struct {
	t       *testing.T
	url     string
	server  *Server
	db      *flakyDB
	tier    *cache.Cache
	rules   *oauth.Rules
	limiter *limits.Limiter
	log     *logBuffer
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newSite starts a listener with the operator root, the user ann, both with testPassword, and the clients
//
//	robot     is listed, and may ask for the scopes admin and read
//	json      the same, with JWTs
//	stranger  may ask for the scope admin, and is not listed
func newSite(t *testing.T, change ...func(*Options)) *site {
	t.Helper()
	db := &flakyDB{DB: openStore(t)}
	secrets, err := keys.ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	actor := store.Actor{Kind: "cli", ID: "test"}
	if _, err := keys.Ensure(t.Context(), db, actor, secrets, "ES256", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, c := range testClients() {
		if _, err := db.CreateClient(t.Context(), actor, c); err != nil {
			t.Fatal(err)
		}
	}
	ring, set, text := keys.NewRing(secrets, "ES256"), metrics.NewSet(), new(logBuffer)
	log := slog.New(slog.NewTextHandler(text, nil))
	replica := store.Replica{ID: store.NewID(time.Now()), Version: "test", Started: time.Now(), Public: "public", Admin: "admin"}
	limiter := limits.New(limits.Options{Store: db, Replica: replica.ID, Metrics: set, Log: log})
	tier := cache.New(cache.Options{
		Store: db, Metrics: set, Log: log, StalenessMax: time.Minute, Replica: replica, Limits: limiter.Apply, // without L1: every verdict asks the store
		Keys: func(changed []store.Key, whole bool) {
			if whole {
				err = ring.Replace(changed)
			} else {
				err = ring.Apply(changed)
			}
			if err != nil {
				t.Errorf("keys: %v", err)
			}
		},
	})
	rules := oauth.New(oauth.Options{Issuer: testIssuer, Clients: tier, Tokens: tier, Ring: ring, AccessTTL: time.Hour, Format: store.FormatOpaque})
	sessions, err := login.ParseKeys(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		DB: db, Tier: tier, Ring: ring, Rules: rules, Sessions: sessions, Clients: []string{"robot", "json"}, Metrics: set, Log: log,
		Door:    &login.Door{Users: db, Limits: limiter, Hasher: login.NewHasher(), Role: store.RoleAdmin},
		Secrets: secrets, Alg: "ES256", PublishAhead: time.Hour, Version: "test",
		Settings: func() []Setting { return []Setting{{Name: "OAUTH2_JWT_SECRET", Value: "***", Given: true}} },
	}
	for _, f := range change {
		f(&options)
	}
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, server: server, db: db, tier: tier, rules: rules, limiter: limiter, log: text}
	s.addUser("root", store.RoleAdmin)
	s.addUser("ann", store.RoleUser)
	s.start()
	return s
}

func openStore(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func testClients() []store.Client {
	hash := []store.SecretHash{sha256.Sum256([]byte(testSecret))}
	grants := []string{"client_credentials"}
	return []store.Client{
		{ID: "robot", Secrets: hash, Grants: grants, Scopes: []string{"admin", "read"}, Audiences: []string{testIssuer, "https://api.example.com"}},
		{ID: "json", Secrets: hash, Grants: grants, Scopes: []string{"admin"}, TokenFormat: store.FormatJWT},
		{ID: "stranger", Secrets: hash, Grants: grants, Scopes: []string{"admin"}},
	}
}

// passwordHash is of testPassword, made once: it costs much on purpose.
var passwordHash = sync.OnceValues(func() (string, error) {
	return login.NewHasher().Hash(context.Background(), testPassword)
})

func (s *site) addUser(name, role string) {
	s.t.Helper()
	kept, err := passwordHash()
	if err != nil {
		s.t.Fatal(err)
	}
	user := store.User{ID: store.NewID(time.Now()), Username: name, Role: role, Password: kept}
	_, err = s.db.ChangeUser(s.t.Context(), store.Actor{Kind: "cli", ID: "test"}, "user.create", user.ID, func(*store.User) (*store.User, error) { return &user, nil })
	if err != nil {
		s.t.Fatal(err)
	}
}

// changeUser changes a user as somebody else would.
func (s *site) changeUser(name string, change func(*store.User)) {
	s.t.Helper()
	user, err := s.db.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.db.ChangeUser(s.t.Context(), store.Actor{Kind: "cli", ID: "test"}, "user.update", user.ID, func(old *store.User) (*store.User, error) {
		next := *old
		change(&next)
		return &next, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// start listens, and follows the store until the test ends.
func (s *site) start() {
	s.t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	group := new(errgroup.Group)
	group.Go(func() error { return s.tier.Run(ctx) })
	group.Go(func() error { return s.server.Serve(listener) })
	s.t.Cleanup(func() {
		if err := s.server.Shutdown(context.Background()); err != nil {
			s.t.Error(err)
		}
		s.tier.Close()
		cancel()
		if err := group.Wait(); err != nil {
			s.t.Error(err)
		}
	})
	for s.tier.Client([]byte("robot")) == nil {
		s.tier.AwaitPoll()
	}
}

// token issues a token, with a scope and for a target or what the client has.
func (s *site) token(client, scope string, target ...string) string {
	s.t.Helper()
	caller := oauth.Caller{Client: s.tier.Client([]byte(client)), Position: s.tier.Position()}
	request := &oauth.TokenRequest{GrantType: []byte("client_credentials"), Scope: []byte(scope)}
	for _, t := range target {
		request.Targets = append(request.Targets, []byte(t))
	}
	var response oauth.TokenResponse
	if err := s.rules.Grant(caller, request, &response); err != nil {
		s.t.Fatal(err)
	}
	return string(response.Token)
}

// reply is an answer that was read whole.
type reply struct {
	*http.Response
	body string
}

// do sends a request without following redirects. headers are name and value in turn.
func (s *site) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.HasPrefix(body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	conforms(s.t, request, body, response, string(text))
	return reply{response, string(text)}
}

// want fails the test unless the reply has the status.
func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: got %s %s, want %d", r.Request.Method, r.Request.URL.Path, r.Status, r.body, status)
	}
	return r
}

// read decodes a JSON reply.
func (r reply) read(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// problem decodes a refusal.
func (r reply) problem(t *testing.T) problem {
	t.Helper()
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("got Content-Type %q of %s, want a problem", got, r.body)
	}
	var p problem
	r.read(t, &p)
	if p.Status != r.StatusCode || p.Title == "" || p.Type == "" {
		t.Errorf("got %+v, want the status %d and a title", p, r.StatusCode)
	}
	return p
}

const formType = "application/x-www-form-urlencoded"

// signIn is the cookie of a session, as a request carries it.
func (s *site) signIn(username string) string {
	s.t.Helper()
	body := url.Values{"username": {username}, "password": {testPassword}}.Encode()
	r := s.do("POST", "/auth/login", body, "Content-Type", formType).want(s.t, http.StatusSeeOther)
	cookies := r.Cookies()
	if len(cookies) != 1 {
		s.t.Fatalf("got cookies %v, want one", cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}
