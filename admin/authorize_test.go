package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// samplePath fills the path of a route with something that need not be there: who may not come in does not learn that.
func samplePath(r *route) string {
	path := r.path
	for _, p := range r.in.path {
		path = strings.ReplaceAll(path, "{"+p.name+"}", "none")
	}
	return path
}

// TestEveryRouteRefusesWhoMayNotComeIn walks all routes: none can be added that skips authorisation.
func TestEveryRouteRefusesWhoMayNotComeIn(t *testing.T) {
	s := newSite(t)
	annsSession := s.sealFor("ann")
	public := s.server.Sessions.Seal("public", s.session("root"))
	for _, c := range []struct {
		name    string
		status  int
		headers []string
	}{
		{"no credentials", 401, nil},
		{"a user's session", 401, []string{"Cookie", annsSession}},
		{"a session of another audience", 401, []string{"Cookie", cookieName + "=" + public}},
		{"a session under another name", 401, []string{"Cookie", "session=" + s.server.Sessions.Seal(login.ForAdmin, s.session("root"))}},
		{"garbage", 401, []string{"Authorization", "Bearer garbage"}},
		{"Basic", 401, []string{"Authorization", "Basic cm9ib3Q6eA=="}},
		{"a token without the scope", 403, []string{"Authorization", "Bearer " + s.token("robot", "read")}},
		{"a token of a client that is not listed", 403, []string{"Authorization", "Bearer " + s.token("stranger", "admin")}},
		{"a token for another resource", 401, []string{"Authorization", "Bearer " + s.token("robot", "admin", "https://api.example.com")}},
		{"a bad token beside a session", 401, []string{"Authorization", "Bearer garbage", "Cookie", s.sealFor("root")}},
	} {
		for i := range s.server.routes {
			r := &s.server.routes[i]
			// The body is wrong as well: what is wrong with it is not told to who may not come in.
			answer := s.do(r.method, samplePath(r), `{"nope":1}`, c.headers...)
			if answer.StatusCode != c.status || len(answer.problem(t).Errors) != 0 {
				t.Errorf("%s: %s %s: got %s %s, want %d", c.name, r.method, r.path, answer.Status, answer.body, c.status)
			}
			if answer.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s %s: no WWW-Authenticate", c.name, r.method, r.path)
			}
		}
	}
}

// TestEveryChangeRefusesOtherOrigins: a page elsewhere cannot use the session of who looks at it.
func TestEveryChangeRefusesOtherOrigins(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	for i := range s.server.routes {
		r := &s.server.routes[i]
		if r.method == http.MethodGet {
			continue
		}
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			if a := s.do(r.method, samplePath(r), "", append(headers, "Cookie", session)...); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with %v: got %s, want 403", r.method, r.path, headers, a.Status)
			}
		}
	}
	for _, path := range []string{"/auth/login", "/auth/logout"} {
		s.do("POST", path, "", "Sec-Fetch-Site", "cross-site").want(t, 403).problem(t)
	}
}

// session is one of a user, as signing in makes it.
func (s *site) session(name string) login.Session {
	s.t.Helper()
	user, err := s.db.DB.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return login.NewSession(&user, time.Now())
}

// sealFor is the cookie of a session of the user.
func (s *site) sealFor(name string) string {
	return cookieName + "=" + s.server.Sessions.Seal(login.ForAdmin, s.session(name))
}

func TestTokensComeInWhateverTheirFormat(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"robot", "json"} {
		token := s.token(client, "admin")
		s.do("GET", "/admin/api/replicas", "", "Authorization", "bearer "+token).want(t, 200)
	}
}

func TestARevokedTokenIsOutAtOnce(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"robot", "json"} {
		token := s.token(client, "admin")
		s.do("GET", "/admin/api/replicas", "", "Authorization", "Bearer "+token).want(t, 200)
		if _, err := s.rules.Revoke(oauth.Caller{Client: s.tier.Client([]byte(client))}, []byte(token), new(oauth.Reading)); err != nil {
			t.Fatal(err)
		}
		r := s.do("GET", "/admin/api/replicas", "", "Authorization", "Bearer "+token).want(t, 401)
		if got := r.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("got WWW-Authenticate %q", got)
		}
	}
}

func TestRefusalsOfTokensSayWhy(t *testing.T) {
	s := newSite(t)
	f := func(authorization, want string) {
		t.Helper()
		r := s.do("GET", "/admin/api/replicas", "", "Authorization", authorization)
		if got := r.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("Bearer garbage", `error="invalid_token"`)
	f("Bearer "+s.token("robot", "read"), `error="insufficient_scope", scope="admin"`)
	f("Bearer "+s.token("stranger", "admin"), `error="insufficient_scope"`)
	if got := s.do("GET", "/admin/api/replicas", "").Header.Get("WWW-Authenticate"); got == "" || strings.Contains(got, "error") {
		t.Errorf("without credentials: got %q, want a challenge without an error (RFC 6750 §3)", got)
	}
}

func TestNobodyIsListedByDefault(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Clients = nil })
	s.do("GET", "/admin/api/replicas", "", "Authorization", "Bearer "+s.token("robot", "admin")).want(t, 403)
}

// TestAFaultIsNoRefusal: promise P5. Who could not be judged is told to try again.
func TestAFaultIsNoRefusal(t *testing.T) {
	s := newSite(t)
	session, token := s.sealFor("root"), s.token("robot", "admin")
	s.db.down.Store(true)
	for _, headers := range [][]string{{"Cookie", session}, {"Authorization", "Bearer " + token}} {
		r := s.do("GET", "/admin/api/replicas", "", headers...).want(t, 503)
		if r.Header.Get("Retry-After") == "" || r.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: got headers %v, want Retry-After and no challenge", headers[0], r.Header)
		}
	}
	body := url.Values{"username": {"root"}, "password": {testPassword}}.Encode()
	s.do("POST", "/auth/login", body, "Content-Type", formType).want(t, 503)
	s.db.down.Store(false)
	s.db.blind.Store(true)
	s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 503)
	s.db.blind.Store(false)
	s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 200)
}

func TestSessionsEndWithTheUser(t *testing.T) {
	for name, change := range map[string]func(*store.User){
		"disabled":         func(u *store.User) { u.Disabled = true },
		"another role":     func(u *store.User) { u.Role = store.RoleUser },
		"another password": func(u *store.User) { u.Password += "x" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			session := s.sealFor("root")
			s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 200)
			s.changeUser("root", change)
			s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 401)
			// What was undone does not bring the session back.
			s.changeUser("root", func(u *store.User) { u.Disabled, u.Role = false, store.RoleAdmin })
			s.do("GET", "/admin/api/replicas", "", "Cookie", session).want(t, 401)
		})
	}
}

func TestAnExpiredSessionIsOut(t *testing.T) {
	s := newSite(t)
	session := s.session("root")
	session.Issued = time.Now().Add(-login.SessionLife).Unix() - 1
	s.do("GET", "/admin/api/replicas", "", "Cookie", cookieName+"="+s.server.Sessions.Seal(login.ForAdmin, session)).want(t, 401)
}

func TestTheAuditNamesWhoAndWhereFrom(t *testing.T) {
	s := newSite(t)
	const limit = `{"endpoint":"introspect","key":"client","rate":5,"period":"1s","burst":5,"mode":"shadow"}`
	s.do("PUT", "/admin/api/limits/one", limit, "Cookie", s.sealFor("root")).want(t, 201)
	s.do("PUT", "/admin/api/limits/two", limit, "Authorization", "Bearer "+s.token("robot", "admin")).want(t, 201)
	var page auditPage
	s.do("GET", "/admin/api/audit?action=limit.&actor=admin:", "", "Cookie", s.sealFor("root")).want(t, 200).read(t, &page)
	if len(page.Items) != 2 || page.Items[0].Actor != "admin:client:robot@127.0.0.1" || page.Items[1].Actor != "admin:root@127.0.0.1" {
		t.Errorf("got %+v", page.Items)
	}
}
