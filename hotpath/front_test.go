package hotpath

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

const (
	annasPassword = "violet harbour kites 17"
	backHere      = "https://client.example.com/back?own=1"
)

// gate lets every attempt through, until it is told not to.
type gate struct{ refused limits.Endpoint }

func (g *gate) Spend(e limits.Endpoint, _ limits.Stage, _ *limits.Who, _ int64) limits.Verdict {
	return limits.Verdict{Refused: e == g.refused, Retry: 90 * time.Second}
}

// A town is a site with pages, where anna and ben live, and the clients
//
//	shop      confidential, with a name that is markup
//	native    public, on a loopback address
//	house     trusted
type town struct {
	*site
	store *faulty
	gate  *gate
	anna  store.User
	ben   store.User
}

// faulty is the store of the pages, with a fault that a test decides.
type faulty struct {
	FrontStore
	fault error
}

func (f *faulty) User(ctx context.Context, id store.ID) (store.User, error) {
	if f.fault != nil {
		return store.User{}, f.fault
	}
	return f.FrontStore.User(ctx, id)
}

const shopName = `<b>Shop</b> & "Co"`

func newTown(t *testing.T) *town {
	t.Helper()
	sessions, err := login.ParseKeys(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	n, hasher := &town{gate: &gate{refused: limits.NumEndpoints}}, login.NewHasher()
	n.site = newSite(t, func(o *Options) {
		db := o.Rules.People.(*sqlite.DB)
		o.Rules.Once, o.Rules.Departures, o.Rules.RefreshTTL = db, db, time.Hour
		n.store = &faulty{FrontStore: db}
		o.Front = &Front{Store: n.store, Sessions: sessions, Door: &login.Door{Users: db, Limits: n.gate, Hasher: hasher}}
		o.Limiter = n.gate
	})
	n.anna, n.ben = n.enrol(hasher, "anna"), n.enrol(hasher, "ben")
	grants, scopes := []string{"authorization_code", "refresh_token"}, []string{"openid", "email", "offline_access", "read"}
	for _, c := range []store.Client{
		{ID: "shop", Name: shopName, Grants: grants, Scopes: scopes, RedirectURIs: []string{backHere}, Secrets: []store.SecretHash{sha256.Sum256([]byte(secret))}},
		{ID: "house", Grants: grants, Scopes: scopes, RedirectURIs: []string{backHere}, Secrets: []store.SecretHash{sha256.Sum256([]byte(secret))}, Trusted: true},
		{ID: "native", AuthMethod: store.AuthNone, Grants: grants, Scopes: scopes, RedirectURIs: []string{"http://127.0.0.1/back"}},
	} {
		if _, err := n.db.CreateClient(t.Context(), actor(), c); err != nil {
			t.Fatal(err)
		}
	}
	for n.tier.Client([]byte("native")) == nil {
		n.tier.AwaitPoll()
	}
	return n
}

func (n *town) enrol(hasher *login.Hasher, name string) store.User {
	n.t.Helper()
	user := store.User{ID: store.NewID(time.Now()), Username: name, Email: name + "@example.com", Role: store.RoleUser}
	if err := hasher.Enrol(n.t.Context(), &user, annasPassword); err != nil {
		n.t.Fatal(err)
	}
	return n.change(user.ID, func(*store.User) (*store.User, error) { return &user, nil })
}

func (n *town) change(id store.ID, change func(*store.User) (*store.User, error)) store.User {
	n.t.Helper()
	user, err := n.db.ChangeUser(n.t.Context(), actor(), "user.update", id, change)
	if err != nil {
		n.t.Fatal(err)
	}
	return user
}

// A browser keeps cookies, says where its forms come from, and follows nothing by itself.
type browser struct {
	*town
	cookies map[string]string
}

func (n *town) browser() *browser { return &browser{n, map[string]string{}} }

var asker = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (b *browser) send(method, path string, form url.Values, headers map[string]string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	for name, value := range b.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	response, err := asker.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range response.Cookies() {
		b.keep(c)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

// keep takes a cookie that a browser would take over https (RFC 6265bis §4.1.3.2).
func (b *browser) keep(c *http.Cookie) {
	b.t.Helper()
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Name != "__Host-oauth2-session" {
		b.t.Errorf("got cookie %+v", c)
	}
	b.cookies[c.Name] = c.Value
	if c.Value == "" {
		delete(b.cookies, c.Name)
	}
}

func (b *browser) get(path string) reply { return b.send("GET", path, nil, nil) }

func (b *browser) post(path string, pairs ...string) reply {
	b.t.Helper()
	return b.send("POST", path, values(pairs...), map[string]string{"Sec-Fetch-Site": "same-origin"})
}

// follow goes where the answer sends the browser, which is here.
func (b *browser) follow(r reply) reply {
	b.t.Helper()
	to := r.header.Get("Location")
	if r.status != 303 || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		b.t.Fatalf("got %d to %q, want 303 to a page here\n%s", r.status, to, r.body)
	}
	return b.get(to)
}

// signIn signs in at the page that r leads to.
func (b *browser) signIn(r reply, name string) reply {
	b.t.Helper()
	page := b.follow(r)
	return b.post("/auth/login", "request", b.hidden(page), "username", name, "password", annasPassword)
}

var hiddenRequest = regexp.MustCompile(`name="request" value="([^"]+)"`)

// hidden is the request that the page carries.
func (b *browser) hidden(page reply) string {
	b.t.Helper()
	found := hiddenRequest.FindStringSubmatch(page.body)
	if page.status != 200 || found == nil {
		b.t.Fatalf("got %d, and no request in\n%s", page.status, page.body)
	}
	return html.UnescapeString(found[1])
}

// asking is the query of a good authorization request, with changes: a value of "" takes a parameter away.
func asking(client string, pairs ...string) string {
	challenge := sha256.Sum256([]byte("verifier-verifier-verifier-verifier-verifier"))
	q := values("client_id", client, "redirect_uri", backHere, "response_type", "code", "scope", "openid email", "state", "a&b",
		"code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method", "S256")
	if client == "native" {
		q.Set("redirect_uri", "http://127.0.0.1:4711/back")
	}
	maps.Copy(q, values(pairs...))
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	return q.Encode()
}

func (b *browser) ask(client string, pairs ...string) reply {
	b.t.Helper()
	return b.get("/oauth/authorize?" + asking(client, pairs...))
}

// wantAnswer: the browser goes back to the client, with these fields and those that every answer has (RFC 6749 §4.1.2, RFC 9207 §2).
func (b *browser) wantAnswer(r reply, field, value string) {
	b.t.Helper()
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.status != 303 || to.Host != "client.example.com" && to.Host != "127.0.0.1:4711" {
		b.t.Fatalf("got %d to %q, want an answer to the client\n%s", r.status, to, r.body)
	}
	q := to.Query()
	if q.Get("state") != "a&b" || q.Get("iss") != issuer || (to.Host == "client.example.com" && q.Get("own") != "1") {
		b.t.Errorf("got %v, want the state, iss, and the URI's own query", q)
	}
	if got := q.Get(field); got == "" || value != "" && got != value {
		b.t.Errorf("got %v, want %s=%s", q, field, value)
	}
	if field != "code" && q.Has("code") {
		b.t.Errorf("a code beside %s", field)
	}
}

// wantPage: a page of the status that says so.
func (b *browser) wantPage(r reply, status int, text string) {
	b.t.Helper()
	if r.status != status || !strings.Contains(r.body, text) {
		_, shown, _ := strings.Cut(r.body, "<body>")
		b.t.Errorf("got %d, want %d and %q\n%s", r.status, status, text, shown)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Access-Control-Allow-Origin": "",
	} {
		if got := r.header.Get(name); got != want {
			b.t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if policy := r.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		b.t.Errorf("got policy %q", policy)
	}
}
