package hotpath

import (
	"maps"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

var testTime = time.Now()

func (n *town) signedIn(name string) *browser {
	n.t.Helper()
	b := n.browser()
	if r := b.post("/auth/login", "username", name, "password", annasPassword); r.status != 303 || r.header.Get("Location") != "/profile" {
		n.t.Fatalf("got %d\n%s", r.status, r.body)
	}
	return b
}

func (b *browser) wantSignedOut() {
	b.t.Helper()
	if r := b.get("/profile"); r.status != 303 || r.header.Get("Location") != "/auth/login" {
		b.t.Errorf("got %d, want to have to sign in", r.status)
	}
}

// awaitSignedOut: what a replica is told takes a poll.
func (b *browser) awaitSignedOut() {
	b.t.Helper()
	for range 20 {
		if b.get("/profile").status == 303 {
			return
		}
		b.tier.AwaitPoll()
	}
	b.wantSignedOut()
}

func (n *town) allow(b *browser, client string) {
	n.t.Helper()
	page := b.follow(b.ask(client))
	b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "allow"), "code", "")
}

func TestProfileShowsAndTakesBack(t *testing.T) {
	n := newTown(t)
	n.browser().wantSignedOut()
	anna, ben := n.signedIn("anna"), n.signedIn("ben")
	anna.wantPage(anna.get("/profile"), 200, "None.")
	n.allow(anna, "shop")
	n.allow(ben, "shop")
	page := anna.get("/profile")
	anna.wantPage(page, 200, "<h3>&lt;b&gt;Shop&lt;/b&gt;")
	if !strings.Contains(page.body, "See your e-mail address") || !strings.Contains(page.body, "Since ") {
		t.Errorf("got\n%s", page.body)
	}
	anna.wantPage(anna.post("/profile/revoke"), 400, "Client is missing")
	anna.wantPage(anna.follow(anna.post("/profile/revoke", "client", "shop")), 200, `role="status"`)
	anna.wantPage(anna.get("/profile"), 200, "None.")
	anna.wantAnswer(anna.ask("shop", "prompt", "none"), "error", "consent_required")
	ben.wantAnswer(ben.ask("shop", "prompt", "none"), "code", "") // his own stands
}

// Signing out ends the session itself, not only this browser's copy of it.
func TestSignOutEndsEveryCopy(t *testing.T) {
	n := newTown(t)
	b := n.signedIn("anna")
	copied := &browser{n, maps.Clone(b.cookies)}
	b.wantPage(b.follow(b.post("/auth/logout")), 200, "signed out")
	if len(b.cookies) > 0 {
		t.Error("the cookie is still there")
	}
	copied.wantSignedOut()
	copied.wantAnswer(copied.ask("house", "prompt", "none"), "error", "login_required")
	b.wantPage(b.follow(b.post("/auth/logout")), 200, "signed out") // twice is no error
}

func TestPasswordChange(t *testing.T) {
	n := newTown(t)
	here, elsewhere := n.signedIn("anna"), n.signedIn("anna")
	const next = "quite another phrase of words"
	here.wantPage(here.post("/profile/password", "old", "wrong", "new", next), 403, "present password is wrong")
	here.wantPage(here.post("/profile/password", "new", next), 403, "present password is wrong")
	here.wantPage(here.post("/profile/password", "old", annasPassword, "new", "short"), 422, "new password")
	here.wantPage(here.post("/profile/password", "old", annasPassword), 422, "new password")
	here.wantPage(here.post("/profile/password", "old", annasPassword, "new", annasPassword), 422, "is the present one")
	elsewhere.wantPage(elsewhere.get("/profile"), 200, "anna")
	before := maps.Clone(here.cookies)
	r := here.post("/profile/password", "old", annasPassword, "new", next)
	here.wantPage(here.follow(r), 200, "Your password is changed")
	ben := n.signedIn("ben")
	for _, link := range []string{r.header.Get("Location"), "/profile?done=password", "/profile?done=revoked"} { // no link makes it say so
		if page := ben.get(link); strings.Contains(page.body, `role="status"`) {
			t.Errorf("%s: got\n%s", link, page.body)
		}
	}
	elsewhere.wantSignedOut()
	(&browser{n, before}).wantSignedOut()
	for range 4 { // the session of behind the cut-off stands
		n.tier.AwaitPoll()
	}
	here.wantPage(here.get("/profile"), 200, "anna")
	b := n.browser()
	b.wantPage(b.post("/auth/login", "username", "anna", "password", annasPassword), 401, "wrong")
	if r := b.post("/auth/login", "username", "anna", "password", next); r.status != 303 {
		t.Errorf("got %d", r.status)
	}
}

// What ends a user's sessions: an operator, in the store at once; a cut-off, as soon as the replica is told.
func TestSessionsEnd(t *testing.T) {
	n := newTown(t)
	b := n.signedIn("anna")
	n.change(n.anna.ID, func(u *store.User) (*store.User, error) { u.Disabled = true; return u, nil })
	b.wantSignedOut()

	b = n.signedIn("ben")
	if _, err := n.db.CutOff(t.Context(), actor(), store.CutSubject, n.ben.ID.String()); err != nil {
		t.Fatal(err)
	}
	b.awaitSignedOut()

	b = n.signedIn("ben")
	if _, err := n.db.CutOff(t.Context(), actor(), store.CutAll, ""); err != nil {
		t.Fatal(err)
	}
	b.awaitSignedOut()

	b = n.signedIn("ben")
	if _, err := n.db.ChangeUser(t.Context(), actor(), "user.delete", n.ben.ID, func(*store.User) (*store.User, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	b.wantSignedOut()
}
