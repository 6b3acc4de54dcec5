package hotpath

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"oauth2-server/store"
)

// OpenID Connect Core §5.3.1: GET and POST, the token in the header; RFC 6750 §2.2: or in the form of a POST.
func Test_oidcc_userinfo(t *testing.T) {
	p := newPeople(t)
	session, _ := p.signIn()
	access, _ := p.tokens(session, "openid profile email")
	want := `{"sub":"` + p.user.ID.String() + `","preferred_username":"ann","email":"ann@example.com"}`
	f := func(module, method, header, body string) {
		t.Helper()
		r := p.browse(method, "/oauth/userinfo", "", body, "Authorization", header)
		if r.status != http.StatusOK || r.body != want || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %s %v", module, r.status, r.body, r.header)
		}
	}
	f("oidcc-userinfo-get", http.MethodGet, "Bearer "+access, "")
	f("oidcc-userinfo-post-header", http.MethodPost, "bearer "+access, "")
	f("oidcc-userinfo-post-body", http.MethodPost, "", url.Values{"access_token": {access}}.Encode())
}

// RFC 6750 §3: what is wrong, in the status and in the challenge.
func TestUserInfoChallenges(t *testing.T) {
	p := newPeople(t)
	session, _ := p.signIn()
	access, _ := p.tokens(session, "openid")
	f := func(r reply, status int, challenge string) {
		t.Helper()
		if got := r.header.Get("WWW-Authenticate"); r.status != status || !strings.HasPrefix(got, challenge) || got != challenge && !strings.HasPrefix(got, challenge+`,`) {
			t.Errorf("got %d %q %s, want %d %q", r.status, got, r.body, status, challenge)
		}
	}
	get := func(path string, headers ...string) reply { return p.browse(http.MethodGet, path, "", "", headers...) }
	none := get("/oauth/userinfo")
	f(none, http.StatusUnauthorized, bearerChallenge) // §3.1: no error, as nothing was brought
	if none.body != "" || strings.Contains(none.header.Get("WWW-Authenticate"), "error") {
		t.Errorf("who brought no token is told %q", none.body)
	}
	f(get("/oauth/userinfo?access_token="+access), http.StatusUnauthorized, bearerChallenge) // RFC 9700 §4.3.2: never in the query
	f(get("/oauth/userinfo", "Authorization", "Basic "+access), http.StatusUnauthorized, bearerChallenge)
	f(get("/oauth/userinfo", "Authorization", "Bearer x"), http.StatusUnauthorized, bearerChallenge+`, error="invalid_token"`)
	twice := p.browse(http.MethodPost, "/oauth/userinfo", "", "access_token="+access, "Authorization", "Bearer "+access)
	f(twice, http.StatusBadRequest, bearerChallenge+`, error="invalid_request"`)
	f(get("/oauth/userinfo", "Authorization", "Bearer "+p.issue("app")), http.StatusForbidden, bearerChallenge+`, error="insufficient_scope"`)
	_, id := p.tokens(session, "openid")
	f(get("/oauth/userinfo", "Authorization", "Bearer "+id), http.StatusUnauthorized, bearerChallenge+`, error="invalid_token"`)

	if _, err := p.db.ChangeUser(t.Context(), actor(), "user.disable", p.user.ID, func(u *store.User) (*store.User, error) {
		u.Disabled = true
		return u, nil
	}); err != nil {
		t.Fatal(err)
	}
	f(get("/oauth/userinfo", "Authorization", "Bearer "+access), http.StatusUnauthorized, bearerChallenge+`, error="invalid_token"`)
}

// Pages of the token's client may read the answer, those of others may not.
func TestUserInfoIsReadByPagesOfItsClient(t *testing.T) {
	p := newPeople(t)
	p.change("web", func(c *store.Client) { c.Origins = []string{"https://app.example.com"} })
	p.applied()
	session, _ := p.signIn()
	access, _ := p.tokens(session, "openid")
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://page.example.com": ""} {
		r := p.browse(http.MethodGet, "/oauth/userinfo", "", "", "Authorization", "Bearer "+access, "Origin", origin)
		if got := r.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: got %q, want %q", origin, got, want)
		}
	}
}
