package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// A site is replicas of the server behind one address, which is their issuer. Requests go to each in turn: what one replica begins
// another goes on with.
type site struct {
	*cluster
	issuer string
	front  *replica // whichever replica's turn it is
	turn   atomic.Uint64
}

func newSite(t *testing.T, n int) *site {
	t.Helper()
	return newSiteOn(t, n, private.TestDatabase(t), nil)
}

func newSiteOn(t *testing.T, n int, database string, pg *private.Postgres) *site {
	t.Helper()
	s := new(site)
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: s.route})
	t.Cleanup(balancer.Close)
	s.issuer, s.front = balancer.URL, &replica{t: t, url: balancer.URL}
	s.cluster = startCluster(t, n, database, pg, "OAUTH2_SERVER_PUBLIC_BASE_URL="+s.issuer)
	s.liftLimits()
	return s
}

func (s *site) route(r *httputil.ProxyRequest) {
	target, err := url.Parse(s.replicas[s.turn.Add(1)%uint64(len(s.replicas))].url)
	if err != nil {
		panic(err)
	}
	r.SetURL(target)
	r.Out.Host = r.In.Host
}

// liftLimits lets everybody come from one address, and sign in as often as tests do.
func (s *site) liftLimits() {
	s.t.Helper()
	all, err := s.db.Limits(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range all {
		l.Mode = store.LimitOff
		s.setLimit(l)
	}
}

// Where tests' clients get their answers. Nothing listens there: what is sent there is read off the redirect.
const (
	callback  = "https://app.example.com/callback"
	signedOff = "https://app.example.com/bye"
)

// register registers a client as operators do, and returns when every replica knows it.
func (s *site) register(client store.Client) identity {
	s.t.Helper()
	config, err := loadConfig(s.env)
	if err != nil {
		s.t.Fatal(err)
	}
	if client.RedirectURIs == nil {
		client.RedirectURIs, client.PostLogoutURIs = []string{callback}, []string{signedOff}
	}
	secret, err := oauth.Enrol(&client, "", config.secrets)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.db.CreateClient(s.t.Context(), rotator, client); err != nil {
		s.t.Fatal(err)
	}
	s.awaitClient(client.ID, client.RedirectURIs[0])
	return identity{client.ID, secret}
}

// awaitClient returns when every replica knows the client.
func (s *site) awaitClient(id, redirect string) {
	s.t.Helper()
	probe := "/oauth/authorize?" + url.Values{"client_id": {id}, "redirect_uri": {redirect}}.Encode()
	stays := &http.Client{CheckRedirect: stayHere}
	for _, r := range s.replicas {
		r.await("learn of a client", func() bool {
			response, err := stays.Get(r.url + probe)
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusSeeOther // an error for the client: it is known
		})
	}
}

func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newPerson is a new user at a browser of their own.
func (s *site) newPerson(name string) *person {
	s.t.Helper()
	kept, err := login.NewHasher().Choose(s.t.Context(), testPassword)
	if err != nil {
		s.t.Fatal(err)
	}
	user, err := s.db.ChangeUser(s.t.Context(), rotator, "user.create", store.NewID(time.Now()), func(*store.User) (*store.User, error) {
		return &store.User{Username: name, Email: name + "@example.com", Role: store.RoleUser, Password: kept}, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &person{t: s.t, home: s.issuer, id: user.ID.String(), name: name, password: testPassword, browser: newBrowser()}
}

// A flow is one authorization as a client goes through it: what it remembers between its request and the answer.
type flow struct {
	at       *replica
	as       identity
	params   url.Values
	verifier string
}

// newFlow is a request with all that clients usually send; with is name, value, name, value, … beside or instead of that. An empty
// value takes a parameter away.
func (s *site) newFlow(as identity, scope string, with ...string) *flow {
	f := &flow{at: s.front, as: as, verifier: randomText()}
	challenge := sha256.Sum256([]byte(f.verifier))
	f.params = url.Values{
		"response_type": {"code"}, "client_id": {as.id}, "redirect_uri": {callback}, "scope": {scope}, "state": {randomText()}, "nonce": {randomText()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for pair := range slices.Chunk(with, 2) {
		f.params.Set(pair[0], pair[1])
		if pair[1] == "" {
			f.params.Del(pair[0])
		}
	}
	return f
}

func randomText() string {
	var random [33]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// url is where the client sends the browser.
func (f *flow) url() string { return f.at.url + "/oauth/authorize?" + f.params.Encode() }

// tokenForm is the token request for the code; with as for newFlow.
func (f *flow) tokenForm(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {f.params.Get("redirect_uri")}, "code_verifier": {f.verifier},
	}
}

// redeem sends the code to the replica whose turn it is.
func (f *flow) redeem(code string) answer { return f.at.post("/oauth/token", f.as, f.tokenForm(code)) }

// code is the code that a person who allows everything brings back.
func (f *flow) code(p *person) string {
	p.t.Helper()
	sent := p.walk(f.url()).sent
	if sent == nil {
		p.t.Fatalf("the browser does not come back to the client: %s", p.last)
	}
	query := sent.Query()
	if query.Get("code") == "" || query.Get("state") != f.params.Get("state") || query.Get("iss") != p.home {
		p.t.Fatalf("got %s, want a code with state and iss (RFC 6749 §4.1.2, RFC 9207 §2)", sent)
	}
	return query.Get("code")
}

// tokens goes the whole way.
func (f *flow) tokens(p *person) answer {
	p.t.Helper()
	a := f.redeem(f.code(p))
	if a.status != http.StatusOK {
		p.t.Fatalf("redeem: %s", a)
	}
	return a
}

func (r *replica) refresh(as identity, token string) answer {
	return r.post("/oauth/token", as, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// text is a field that is text, "" where there is none.
func (a answer) text(field string) string {
	text, _ := a.field(field).(string)
	return text
}

// isGrantRefused: RFC 6749 §5.2.
func (a answer) isGrantRefused() bool {
	return a.status == http.StatusBadRequest && a.text("error") == "invalid_grant" && a.text("access_token") == ""
}

// untilDead polls every replica until it refuses the token: P1, at most a second after now.
func (s *site) untilDead(t *testing.T, as identity, token string) {
	t.Helper()
	acknowledged := time.Now()
	for _, r := range s.replicas {
		untilRefused(t, r, as, token, acknowledged)
	}
}

// claimsOf reads a JWT without a look at its signature.
func claimsOf(t *testing.T, text string) map[string]any {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("got %q, want a JWT", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return decodeJSON[map[string]any](t, string(raw))
}
