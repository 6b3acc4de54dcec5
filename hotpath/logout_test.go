package hotpath

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// leaving is a request to sign out from the client web, with all it can have.
func leaving(id string) url.Values {
	return values("id_token_hint", id, "client_id", "web", "post_logout_redirect_uri", signedOutURI, "state", "xyz", "ui_locales", "de")
}

// wantLeft: the browser goes to where, its cookie is taken away, and what was granted in the session is dead.
func (p *people) wantLeft(r reply, where, access string) {
	p.t.Helper()
	if r.status != http.StatusSeeOther || r.header.Get("Location") != where {
		p.t.Errorf("got %d to %q, want 303 to %q: %s", r.status, r.header.Get("Location"), where, r.body)
	}
	if cookie := r.header.Get("Set-Cookie"); !strings.HasPrefix(cookie, secureCookieName+"=;") {
		p.t.Errorf("the cookie stays: %q", cookie)
	}
	p.applied()
	p.wantInactive("auditor", access)
}

// wantAsked: nothing was done, and nobody is sent away.
func (p *people) wantAsked(r reply, access string) {
	p.t.Helper()
	if r.status != http.StatusOK || !strings.Contains(r.body, `name="confirmed"`) || r.header.Get("Set-Cookie") != "" {
		p.t.Errorf("got %d %v %s, want the page that asks", r.status, r.header, r.body)
	}
	p.applied()
	p.wantActive("auditor", access)
}

// OpenID Connect RP-Initiated Logout §2, both methods; afterwards prompt=none finds nobody.
func Test_oidcc_rp_initiated_logout(t *testing.T) {
	p := newPeople(t)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		session, cookie := p.signIn()
		access, id := p.tokens(session, "openid")
		path, body := pathLogout+"?"+leaving(id).Encode(), ""
		if method == http.MethodPost {
			path, body = pathLogout, leaving(id).Encode()
		}
		p.wantLeft(p.browse(method, path, cookie, body), signedOutURI+"?state=xyz", access)
		if who, err := p.server.standing(t.Context(), &session); who != nil || err != nil {
			t.Errorf("%s: the session still stands: %v, %v", method, who, err)
		}
		due, err := p.db.ClaimLogouts(t.Context(), 10, time.Hour)
		if err != nil || len(due) != 1 || due[0].Client != "web" || due[0].Session != session.ID {
			t.Errorf("%s: queued %+v, %v; want one logout token for web", method, due, err)
		}
	}
}

// oidcc-rp-initiated-logout-bad-post-logout-redirect-uri and the like: no redirect leaves this server.
func Test_oidcc_rp_initiated_logout_bad_redirects(t *testing.T) {
	p := newPeople(t)
	for _, uri := range []string{"https://evil.example.com/", signedOutURI + "?a=b", ""} {
		session, cookie := p.signIn()
		access, id := p.tokens(session, "openid")
		form := leaving(id)
		form.Set("post_logout_redirect_uri", uri)
		p.wantLeft(p.browse(http.MethodGet, pathLogout+"?"+form.Encode(), cookie, ""), pathSignedOut, access)
	}
}

// oidcc-rp-initiated-logout-no-params and the modules with a bad hint: the user is asked, by a form that no other site can send.
func TestLogoutWithoutHintIsConfirmedOnOurOwnPage(t *testing.T) {
	p := newPeople(t)
	session, cookie := p.signIn()
	access, id := p.tokens(session, "openid")
	bad := leaving(id[:len(id)-8])
	p.wantAsked(p.browse(http.MethodGet, pathLogout, cookie, ""), access)
	p.wantAsked(p.browse(http.MethodGet, pathLogout+"?"+bad.Encode(), cookie, ""), access)
	p.wantAsked(p.browse(http.MethodGet, pathLogout+"?confirmed=yes", cookie, "", "Sec-Fetch-Site", "none"), access) // a link is no answer
	p.wantAsked(p.browse(http.MethodPost, pathLogout, cookie, "confirmed=yes", "Sec-Fetch-Site", "cross-site"), access)
	p.wantAsked(p.browse(http.MethodPost, pathLogout, cookie, "confirmed=yes", "Origin", "https://evil.example.com"), access)
	p.wantLeft(p.browse(http.MethodPost, pathLogout, cookie, "confirmed=yes", "Sec-Fetch-Site", "same-origin"), pathSignedOut, access)
}

// What outlives its session outlives its end: OpenID Connect Core §11.
func TestLogoutLeavesOfflineAccess(t *testing.T) {
	p := newPeople(t)
	session, cookie := p.signIn()
	_, refresh := p.family("web", func(c *store.Code) { c.Grant.Subject, c.Grant.Session = p.user.ID.String(), session.ID })
	_, id := p.tokens(session, "openid")
	p.browse(http.MethodGet, pathLogout+"?"+leaving(id).Encode(), cookie, "")
	p.applied()
	wantTokens(t, p.refresh("web", refresh))
}

// A form of another site comes without the cookie. With a hint its session ends; without, the browser is sent to ask again, with the cookie.
func TestLogoutFromAnotherSiteByPost(t *testing.T) {
	p := newPeople(t)
	session, _ := p.signIn()
	access, id := p.tokens(session, "openid")
	r := p.browse(http.MethodPost, pathLogout, "", "state=xyz&client_id=web", "Sec-Fetch-Site", "cross-site")
	if where := r.header.Get("Location"); r.status != http.StatusSeeOther || !strings.HasPrefix(where, pathLogout+"?") {
		t.Errorf("got %d to %q, want the same by GET", r.status, where)
	}
	p.wantLeft(p.browse(http.MethodPost, pathLogout, "", leaving(id).Encode(), "Sec-Fetch-Site", "cross-site"), signedOutURI+"?state=xyz", access)
}

// RP-Initiated Logout §2: somebody else is signed in here than the hint says.
func TestLogoutWithAHintOfAnotherUserIsAsked(t *testing.T) {
	p := newPeople(t)
	session, _ := p.signIn()
	access, id := p.tokens(session, "openid")
	other, err := p.db.ChangeUser(t.Context(), actor(), "user.create", store.NewID(time.Now()), func(*store.User) (*store.User, error) {
		return &store.User{Username: "bob", Role: store.RoleUser, Password: "none that anybody knows"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs := login.NewSession(&other, time.Now())
	theirs.Position = p.tier.Position()
	cookie := secureCookieName + "=" + p.sessions.Seal(login.ForPublic, theirs)
	r := p.browse(http.MethodGet, pathLogout+"?"+leaving(id).Encode(), cookie, "")
	p.wantAsked(r, access)
	for _, field := range []string{`name="id_token_hint"`, `name="post_logout_redirect_uri"`, `name="state"`, `value="xyz"`} {
		if !strings.Contains(r.body, field) {
			t.Errorf("the page that asks does not carry %s", field)
		}
	}
	confirmed := leaving(id)
	confirmed.Set("confirmed", "yes")
	done := p.browse(http.MethodPost, pathLogout, cookie, confirmed.Encode(), "Origin", issuer)
	if where := done.header.Get("Location"); done.status != http.StatusSeeOther || where != signedOutURI+"?state=xyz" {
		t.Errorf("got %d to %q", done.status, where)
	}
	p.applied()
	p.wantActive("auditor", access) // of ann, who did not leave
}

// RFC 6749 §3.1: no parameter twice. It is a page: nobody is sent away.
func TestLogoutRefusesRepeatedParameters(t *testing.T) {
	p := newPeople(t)
	r := p.browse(http.MethodGet, pathLogout+"?state=a&state=b", "", "")
	if r.status != http.StatusBadRequest || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || slices.Contains(r.header.Values("Location"), "") {
		t.Errorf("got %d %v", r.status, r.header)
	}
}

// RP-Initiated Logout §2: the id_token of an earlier session of the same user is no word of who is here now, and one that was kept for years
// ends nothing unasked. Without a cookie it ends the session that it names, and no other.
func TestLogoutWithAHintOfAnotherSessionIsAsked(t *testing.T) {
	p := newPeople(t)
	before, _ := p.signIn()
	earlier, id := p.tokens(before, "openid")
	now, cookie := p.signIn()
	access, _ := p.tokens(now, "openid")
	p.wantAsked(p.browse(http.MethodGet, pathLogout+"?"+leaving(id).Encode(), cookie, ""), access)
	p.wantActive("auditor", earlier)
	p.wantLeft(p.browse(http.MethodGet, pathLogout+"?"+leaving(id).Encode(), "", ""), signedOutURI+"?state=xyz", earlier)
	p.wantActive("auditor", access)
}
