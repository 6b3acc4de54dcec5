package main

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// A plea is one request to a site with a fault.
type plea struct {
	method, path string
	form         url.Values
	as           identity // of a client; zero: none
	bearer       string
	cookie       string // of a session
	spared       bool   // it is answered without the store
}

func (p *plea) String() string { return p.method + " " + p.path + "?" + p.form.Encode() }

// request is what a browser or a client sends: the form of a GET is its query.
func (p *plea) request(base string) (*http.Request, error) {
	target, body := base+p.path, ""
	if p.method == http.MethodPost {
		body = p.form.Encode()
	} else if len(p.form) > 0 {
		target += "?" + p.form.Encode()
	}
	request, err := http.NewRequest(p.method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if p.method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if p.as.id != "" {
		request.SetBasicAuth(p.as.id, p.as.secret)
	}
	if p.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+p.bearer)
	}
	if p.cookie != "" {
		request.AddCookie(&http.Cookie{Name: "oauth2-session", Value: p.cookie})
	}
	return request, nil
}

// stays follows no redirect.
var stays = &http.Client{CheckRedirect: stayHere, Timeout: httpClient.Timeout, Transport: httpClient.Transport}

// answers sends all at once, spread over the replicas.
func (s *site) answers(pleas []plea) []answer {
	s.t.Helper()
	all := make([]answer, len(pleas))
	var group sync.WaitGroup
	for i := range pleas {
		group.Go(func() {
			request, err := pleas[i].request(s.replicas[i%len(s.replicas)].url)
			if err != nil {
				all[i].err = err
				return
			}
			response, err := stays.Do(request)
			if err != nil {
				all[i].err = err
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			_, text, _ := strings.Cut(string(body), "<main>") // of a page
			all[i] = answer{response.StatusCode, response.Header, cmp.Or(text, string(body)), err}
		})
	}
	group.Wait()
	return all
}

// wantExcused: what needs the store is 503 with Retry-After, anything else is answered (promise P5).
func (s *site) wantExcused(fault string, pleas []plea) {
	s.t.Helper()
	for i, a := range s.answers(pleas) {
		p := &pleas[i]
		switch {
		case a.err != nil || a.status >= 500 && a.status != http.StatusServiceUnavailable:
			s.t.Errorf("%s: %s: %s", fault, p, a)
		case p.spared && a.status == http.StatusServiceUnavailable, !p.spared && a.status != http.StatusServiceUnavailable:
			s.t.Errorf("%s: %s: got %s; is it answered without the store: %v", fault, p, a, p.spared)
		case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "":
			s.t.Errorf("%s: %s: a 503 without Retry-After", fault, p)
		}
	}
}

// session is the cookie of the person, who is signed in.
func (p *person) session() string {
	p.t.Helper()
	home, err := url.Parse(p.home)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.browser.Jar.Cookies(home) {
		if c.Name == "oauth2-session" {
			return c.Value
		}
	}
	p.t.Fatal("there is no session")
	return ""
}

// carried is the request that a page carries, on the way from the query to the page.
func (s *site) carried(query url.Values, cookie string) string {
	s.t.Helper()
	a := s.answers([]plea{{method: http.MethodGet, path: "/oauth/authorize", form: query, cookie: cookie}})[0]
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Query().Get("request") == "" {
		s.t.Fatalf("got %s to %q, want a page with the request", a, a.header.Get("Location"))
	}
	return to.Query().Get("request")
}

// everything is every page and every endpoint, in each way that takes another road through the server.
func (s *site) everything(as identity, anna *person) []plea {
	s.t.Helper()
	for _, r := range s.replicas { // which are ready before
		r.await("have keys for id_tokens", func() bool { return strings.Contains(r.get("/.well-known/jwks.json").body, "RS256") })
	}
	get, post := http.MethodGet, http.MethodPost
	tokens := s.newFlow(as, "openid offline_access").tokens(anna)
	cookie, code := anna.session(), s.newFlow(as, "openid")
	unused := code.tokenForm(code.code(anna))
	fresh := func(with ...string) url.Values { return s.newFlow(as, "openid email", with...).params }
	par := s.front.post("/oauth/par", as, fresh())
	pushed := url.Values{"client_id": {as.id}, "request_uri": {par.text("request_uri")}}
	open, asked := s.carried(fresh(), ""), s.carried(fresh("prompt", "consent"), cookie)
	askedPushed := s.carried(pushed, cookie)
	form := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	hint := form("id_token_hint", tokens.text("id_token"))
	access, refresh := tokens.text("access_token"), tokens.text("refresh_token")
	return []plea{
		{method: get, path: "/oauth/authorize", form: fresh(), spared: true},
		{method: get, path: "/oauth/authorize", form: fresh(), cookie: cookie},
		{method: post, path: "/oauth/authorize", form: fresh(), cookie: cookie},
		{method: get, path: "/oauth/authorize", form: fresh("prompt", "none"), cookie: cookie},
		{method: get, path: "/oauth/authorize", form: pushed},
		{method: get, path: "/", spared: true},
		{method: get, path: "/auth/login", spared: true},
		{method: get, path: "/auth/login", cookie: cookie},
		{method: get, path: "/auth/login", form: form("request", open), spared: true},
		{method: get, path: "/auth/login", form: form("request", askedPushed)},
		{method: post, path: "/auth/login", form: form("username", "anna", "password", testPassword)},
		{method: post, path: "/auth/login", form: form("username", "nobody", "password", testPassword, "request", open)},
		{method: get, path: "/auth/consent", form: form("request", asked), cookie: cookie},
		{method: post, path: "/auth/consent", form: form("request", asked, "decision", "allow"), cookie: cookie},
		{method: post, path: "/auth/consent", form: form("request", asked, "decision", "deny"), cookie: cookie},
		{method: post, path: "/auth/consent", form: form("request", askedPushed, "decision", "deny"), cookie: cookie},
		{method: get, path: "/auth/signed-out", spared: true},
		{method: get, path: "/profile", cookie: cookie},
		{method: get, path: "/profile", spared: true},
		{method: post, path: "/profile/password", form: form("old", testPassword, "new", "quite another phrase of words"), cookie: cookie},
		{method: post, path: "/profile/revoke", form: form("client", as.id), cookie: cookie},
		{method: post, path: "/auth/logout", cookie: cookie},
		{method: get, path: "/oauth/logout", spared: true},
		{method: get, path: "/oauth/logout", cookie: cookie},
		{method: get, path: "/oauth/logout", form: hint},
		{method: post, path: "/oauth/logout", form: form("confirmed", "yes"), cookie: cookie},
		{method: post, path: "/oauth/token", form: form("grant_type", "refresh_token", "refresh_token", refresh), as: as},
		{method: post, path: "/oauth/token", form: form("grant_type", "refresh_token", "refresh_token", refresh, "scope", "openid"), as: as},
		{method: post, path: "/oauth/token", form: unused, as: as},
		{method: post, path: "/oauth/token", form: form("grant_type", "client_credentials"), as: as},
		{method: post, path: "/oauth/introspect", form: form("token", refresh), as: as},
		{method: post, path: "/oauth/introspect", form: form("token", access), as: as, spared: true},
		{method: post, path: "/oauth/revoke", form: form("token", refresh), as: as},
		{method: post, path: "/oauth/revoke", form: form("token", access), as: as},
		{method: post, path: "/oauth/par", form: fresh(), as: as},
		{method: get, path: "/oauth/userinfo", bearer: access},
		{method: post, path: "/oauth/userinfo", form: form("access_token", access)},
		{method: get, path: "/.well-known/openid-configuration", spared: true},
		{method: get, path: "/.well-known/jwks.json", spared: true},
		{method: get, path: "/health", spared: true},
	}
}

// P5: without Postgres, whether it hangs or is gone, no page and no endpoint is broken: it says when to come back, or answers.
func TestNothingBreaksWithoutPostgres(t *testing.T) {
	t.Parallel() // it waits most of its time
	pg, database := private.TestOwnPostgres(t, "fsync=off")
	s := newSiteOn(t, 1, database, pg)
	as := s.register(store.Client{ID: "web", Grants: []string{"authorization_code", "refresh_token", "client_credentials"}})
	anna := s.newPerson("anna")
	all := s.everything(as, anna)
	r := s.replicas[0]

	pg.Stop()
	s.wantExcused("Postgres has just stopped", all)
	r.await("say that it is not ready", func() bool { return r.get("/ready").status == http.StatusServiceUnavailable })
	s.wantExcused("Postgres hangs", all)
	pg.Kill()
	s.wantExcused("Postgres is gone", all)
	if err := pg.Restart(); err != nil {
		t.Fatal(err)
	}
	r.awaitReady()
	for i, a := range s.answers(all) {
		if a.status == 0 || a.status >= 500 && a.status != http.StatusServiceUnavailable {
			t.Errorf("Postgres is back: %s: %s", &all[i], a)
		}
	}
}

// P5: more passwords than can be checked are 503, and cost nobody else's page an answer.
func TestNothingBreaksUnderAFloodOfPasswords(t *testing.T) {
	s := newSite(t, 1)
	as := s.register(store.Client{ID: "web"})
	anna := s.newPerson("anna")
	all := s.everything(as, anna)
	attempt := plea{method: http.MethodPost, path: "/auth/login", form: url.Values{"username": {"anna"}, "password": {"a wrong password"}}}
	for range 2 * many {
		all = append(all, attempt)
	}
	busy := 0
	for i, a := range s.answers(all) {
		if a.err != nil || a.status >= 500 && a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: %s", &all[i], a)
		}
		if a.status == http.StatusServiceUnavailable {
			busy++
			if a.header.Get("Retry-After") == "" {
				t.Errorf("%s: a 503 without Retry-After", &all[i])
			}
		}
	}
	if busy == 0 {
		t.Error("every password was checked: that was no flood")
	}
}
