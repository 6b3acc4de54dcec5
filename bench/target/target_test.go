package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/bench/load"
)

// awkward needs every encoding there is (RFC 6749 §2.3.1).
var awkward = Client{"an id: with/all+that%", "s3cret:&=+ /%ü"}

// peer behaves like a server of RFC 6749, 7662 and 7009.
type peer struct {
	*httptest.Server
	post bool // credentials in the body instead of the header
	mu   sync.Mutex
	n    int
	live map[string]bool
}

// newPeer serves below base; with metadata at a place, or "" for none.
func newPeer(t *testing.T, base, metadata string) *peer {
	t.Helper()
	p := &peer{live: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+base+"/token", p.authenticated(p.token))
	mux.HandleFunc("POST "+base+"/introspect", p.authenticated(func(w http.ResponseWriter, r *http.Request) { p.tell(w, r.PostForm.Get("token")) }))
	mux.HandleFunc("POST "+base+"/introspect/batch", p.authenticated(p.batch))
	mux.HandleFunc("POST "+base+"/revoke", p.authenticated(func(_ http.ResponseWriter, r *http.Request) { p.revoke(r.PostForm.Get("token")) }))
	if metadata != "" {
		mux.HandleFunc("GET "+metadata, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":"https://as.test%[1]s","token_endpoint":"https://as.test%[1]s/token",
				"introspection_endpoint":"https://as.test%[1]s/introspect","revocation_endpoint":"https://as.test%[1]s/revoke"}`, base)
		})
	}
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *peer) authenticated(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") == formType && r.ParseForm() != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		id, secret, _ := r.BasicAuth()
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		if p.post {
			id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		}
		if (Client{id, secret}) != awkward {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		serve(w, r)
	}
}

func (p *peer) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.PostForm.Get("grant_type") != "client_credentials" || r.PostForm.Get("scope") == "unheard" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_scope"}`)
		return
	}
	p.n++
	text := fmt.Sprintf("token+%d/=", p.n)
	p.live[text] = true
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer"}`, text)
}

func (p *peer) tell(w http.ResponseWriter, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(w, "{\"active\":%v}\n", p.live[token])
}

func (p *peer) batch(w http.ResponseWriter, r *http.Request) {
	for lines := json.NewDecoder(r.Body); lines.More(); {
		var line struct{ Token string }
		if lines.Decode(&line) != nil || r.Header.Get("Content-Type") != linesType {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.tell(w, line.Token)
	}
}

func (p *peer) revoke(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, token)
}

// options are right for the peer.
func (p *peer) options() Options {
	return Options{URL: p.URL, ClientID: awkward.ID, ClientSecret: awkward.Secret}
}

func discover(t *testing.T, o Options) *Target {
	t.Helper()
	target, err := Discover(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestPathsAreFound(t *testing.T) {
	f := func(name string, p *peer, change func(*Options), want Paths) {
		t.Helper()
		o := p.options()
		change(&o)
		if got := discover(t, o).Paths; got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	same := func(*Options) {}
	f("defaults", newPeer(t, "/oauth", ""), same, DefaultPaths)

	told := DefaultPaths
	told.Token, told.Introspect, told.Revoke = "/as/token", "/as/introspect", "/as/revoke"
	f("RFC 8414", newPeer(t, "/as", "/.well-known/oauth-authorization-server"), same, told)
	f("OpenID Connect", newPeer(t, "/as", "/.well-known/openid-configuration"), same, told)

	p := newPeer(t, "/as", "/.well-known/oauth-authorization-server")
	mixed := told
	mixed.Introspect = p.URL + "/as/introspect"
	f("option before metadata", p, func(o *Options) { o.IntrospectPath = p.URL + "/as/introspect" }, mixed)
	f("options alone", newPeer(t, "/as", ""), func(o *Options) {
		o.TokenPath, o.IntrospectPath, o.RevokePath = told.Token, told.Introspect, told.Revoke
	}, told)

	below := Paths{"/t1/token", "/t1/introspect", "/t1/oauth/introspect/batch", "/t1/revoke", "/t1/health"}
	issuer := func(o *Options) { o.URL += "/t1/" }
	f("issuer with a path, RFC 8414", newPeer(t, "/t1", "/.well-known/oauth-authorization-server/t1"), issuer, below)
	f("issuer with a path, OpenID Connect", newPeer(t, "/t1", "/t1/.well-known/openid-configuration"), issuer, below)
}

func TestWrongTargetIsOneClearLine(t *testing.T) {
	p := newPeer(t, "/oauth", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	f := func(want string, change func(*Options)) {
		t.Helper()
		o := p.options()
		change(&o)
		_, err := Discover(t.Context(), o)
		if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want ErrTarget with %q", err, want)
			return
		}
		if strings.Contains(err.Error(), awkward.Secret) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v tells the secret", err)
		}
	}
	f("are needed", func(o *Options) { o.ClientID = "" })
	f("are needed", func(o *Options) { o.ClientSecret = "" })
	f(`"127.0.0.1:8080" `, func(o *Options) { o.URL = "127.0.0.1:8080" })
	f("not http://host", func(o *Options) { o.URL = "" })
	f("not http://host", func(o *Options) { o.URL = "ftp://x" })
	f("not http://host", func(o *Options) { o.URL = "http://:80" })
	f("more than host and path", func(o *Options) { o.URL = "http://u:hunter2@h" })
	f("more than host and path", func(o *Options) { o.URL += "/?tenant=1" })
	f("do not share one path", func(o *Options) { o.URL += "," + o.URL + "/t1" })
	f("connection refused", func(o *Options) { o.URL = "http://" + listener.Addr().String() })
	f("connection refused", func(o *Options) { o.URL += ", http://" + listener.Addr().String() })
	f("no metadata document", func(o *Options) { o.Metadata = true })
	f(`"token" is neither`, func(o *Options) { o.TokenPath = "token" })
	f("credentials of client", func(o *Options) { o.ClientSecret = "hunter2" })
	f("credentials of client", func(o *Options) { o.AuthPost = true })
	f("no token endpoint at /elsewhere", func(o *Options) { o.TokenPath = "/elsewhere" })
	f(`status 400 "invalid_scope"`, func(o *Options) { o.Scope = "unheard" })
}

func TestWrongMetadataIsOneClearLine(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		defer p.Close()
		_, err := Discover(t.Context(), Options{URL: p.URL, ClientID: "x", ClientSecret: "y"})
		if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), want) {
			t.Errorf("metadata %s: got %v, want ErrTarget with %q", body, err, want)
		}
	}
	f(`{"token_endpoint":"mailto:x"}`, "names endpoint")
	f(`{"token_endpoint":"http://%zz"}`, "names endpoint")
	f(`{"token_endpoint":"/token"}`, "names endpoint")
	f(`{"token_endpoint":"https://as.test//evil.test/token"}`, "no access_token") // a path of ours, not another host
	f(`<html>`, "decode answer")
}

func TestTokensLiveUntilRevoked(t *testing.T) {
	for _, post := range []bool{false, true} {
		p := newPeer(t, "/oauth", "")
		p.post = post
		o := p.options()
		o.AuthPost = post
		o.URL += "," + p.URL
		target := discover(t, o)
		tokens, err := target.NewTokens(t.Context(), 1, awkward, 40)
		if err != nil || len(tokens) != 40 || len(slices.Compact(slices.Sorted(slices.Values(tokens)))) != 40 {
			t.Fatalf("got %d tokens (%v), want 40", len(tokens), err)
		}
		for i, token := range tokens[:4] {
			if active, err := target.IsActive(t.Context(), i%2, awkward, token); !active || err != nil {
				t.Errorf("new token is active %v (%v)", active, err)
			}
			if err := target.RevokeNow(t.Context(), i%2, awkward, token); err != nil {
				t.Error(err)
			}
			if active, err := target.IsActive(t.Context(), i%2, awkward, token); active || err != nil {
				t.Errorf("revoked token is active %v (%v)", active, err)
			}
		}
	}
}

func TestDirectRequestsTellWhatFailed(t *testing.T) {
	p := newPeer(t, "/oauth", "")
	target := discover(t, p.options())
	stranger := Client{"stranger", "hunter2"}
	_, issue := target.NewTokens(t.Context(), 0, stranger, 3)
	_, introspect := target.IsActive(t.Context(), 0, stranger, "x")
	revoke := target.RevokeNow(t.Context(), 0, stranger, "x")
	for act, err := range map[string]error{"issue": issue, "introspect": introspect, "revoke": revoke} {
		if err == nil || !strings.HasPrefix(err.Error(), act) || !strings.Contains(err.Error(), `status 401 "invalid_client"`) {
			t.Errorf("%s: got %v", act, err)
		}
	}
}

// Shots are what the server understands, byte for byte.
func TestShotsAreAnsweredWell(t *testing.T) {
	p := newPeer(t, "/oauth", "")
	target := discover(t, p.options())
	tokens, err := target.NewTokens(t.Context(), 0, awkward, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := func(text string) func(int, []byte) error {
		return func(status int, body []byte) error {
			if status != http.StatusOK || !strings.Contains(string(body), text) {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		}
	}
	for kind, c := range map[string]struct {
		shot *load.Shot
		want string
	}{
		"issue":            {target.Issue(0, awkward, url.Values{"scope": {"a b&c"}}), `"access_token":"`},
		"introspect":       {target.Introspect(0, awkward, tokens[0]), `{"active":true}`},
		"introspect-batch": {target.BatchIntrospect(0, awkward, append(tokens, "<none>\n")), strings.Repeat("{\"active\":true}\n", 3) + `{"active":false}`},
		"revoke":           {target.Revoke(0, awkward, "x"), ""},
		"/oauth/token":     {target.Get(0, "/oauth/token"), "never"},
	} {
		if c.shot.Kind != kind || c.shot.TLS || "http://"+c.shot.Addr != p.URL {
			t.Errorf("%s is of kind %s for %s", kind, c.shot.Kind, c.shot.Addr)
		}
		c.shot.Judge = want(c.want)
		left := 2 // over one connection
		o, err := load.Run(t.Context(), load.Plan{Connections: 1, Duration: time.Minute, Sources: func(int) load.Source {
			return func() *load.Shot {
				if left--; left < 0 {
					return nil
				}
				return c.shot
			}
		}})
		failed := int64(0)
		if c.want == "never" { // a GET where only POST is served
			failed = 2
		}
		if err != nil || o.Total.Requests != 2 || o.Total.Failed() != failed {
			t.Errorf("%s: %d requests (%v), errors %v", kind, o.Total.Requests, err, o.Total.Errors)
		}
	}
}

func TestShotGoesToTheRightPlace(t *testing.T) {
	f := func(base, addr string, tls bool, host string) {
		t.Helper()
		u, err := parseURL(base)
		if err != nil {
			t.Fatal(err)
		}
		shot := (&Target{URLs: []*url.URL{u}}).Get(0, "//a?b=c:///")
		head := "GET //a?b=c:/// HTTP/1.1\r\nHost: " + host + "\r\n"
		if shot.Addr != addr || shot.TLS != tls || !strings.HasPrefix(string(shot.Bytes), head) {
			t.Errorf("%s goes to %s, TLS %v: %q", base, shot.Addr, shot.TLS, shot.Bytes)
		}
	}
	f("http://h", "h:80", false, "h")
	f("https://h", "h:443", true, "h")
	f("https://h:8443", "h:8443", true, "h:8443")
	f("http://[::1]:80", "[::1]:80", false, "[::1]:80")
	f("https://[::1]", "[::1]:443", true, "[::1]")
}

// FuzzMetadata: whatever a server says of itself, requests can be built of it or it is refused.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"https://h/token", "/token", "token", "//h/token", "https://h//x", "mailto:x", "https://h", "", "?q", "https://h/%zz",
		"https://h/a b", "https://h/a\r\nX: y", "h:80/x", "https://u:p@h/x?y#z", "/:x", "*", "http:///x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		m := metadata{Token: endpoint, Introspect: endpoint}
		paths, err := m.paths()
		if err != nil || paths.Token == "" {
			return
		}
		base, err := parseURL("http://127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		target := &Target{URLs: []*url.URL{base}, Paths: paths}
		shot := target.Issue(0, Client{"x", "y"}, nil)
		if shot.Addr != "127.0.0.1:8080" {
			t.Fatalf("%q goes to %s", endpoint, shot.Addr)
		}
		if head, _, _ := strings.Cut(string(shot.Bytes), "\r\n"); !strings.HasPrefix(head, "POST /") || !strings.HasSuffix(head, " HTTP/1.1") || strings.Count(head, " ") != 2 {
			t.Fatalf("%q is asked for as %q", endpoint, head)
		}
	})
}
