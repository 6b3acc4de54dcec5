package hotpath

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// halfway is a store that fails behind the end of a session, until it does not.
type halfway struct {
	oauth.Departures
	fault   error
	revoked int
}

func (h *halfway) RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error) {
	if h.fault != nil {
		return 0, h.fault
	}
	h.revoked++
	return h.Departures.RevokeGrants(ctx, actor, query)
}

// What failed half way is completed by who tries again, though the session has ended (promise P5).
func TestSignOutThatFailsHalfWayIsCompleted(t *testing.T) {
	for _, path := range []string{"/auth/logout", "/oauth/logout"} {
		n := newTown(t)
		h := &halfway{Departures: n.server.rules.Departures, fault: store.ErrUnavailable}
		n.server.rules.Departures = h
		b := n.signedIn("anna")
		b.wantPage(b.post(path, "confirmed", "yes"), 503, "Try again")
		if len(b.cookies) != 1 {
			t.Fatalf("%s: the cookie is gone", path)
		}
		b.awaitSignedOut()
		b.wantPage(b.post(path, "confirmed", "yes"), 503, "Try again")
		h.fault = nil
		b.wantPage(b.follow(b.post(path, "confirmed", "yes")), 200, "signed out")
		if h.revoked != 1 || len(b.cookies) > 0 {
			t.Errorf("%s: revoked %d times, cookies %v", path, h.revoked, b.cookies)
		}
	}
}

// RFC 9126 §4: a pushed request is completed once, by one of the two buttons.
func TestDeniedPushedRequestIsSpent(t *testing.T) {
	n := newTown(t)
	form, err := url.ParseQuery(asking("shop"))
	if err != nil {
		t.Fatal(err)
	}
	r := n.do(call{path: pushPath, basic: "shop", form: form})
	reference, _ := r.field("request_uri").(string)
	b := n.signedIn("anna")
	page := b.follow(b.get("/oauth/authorize?" + values("client_id", "shop", "request_uri", reference).Encode()))
	sealed := b.hidden(page)
	b.wantAnswer(b.post("/auth/consent", "request", sealed, "decision", "deny"), "error", "access_denied")
	b.wantPage(b.post("/auth/consent", "request", sealed, "decision", "allow"), 400, "faulty")
	b.wantPage(b.get("/oauth/authorize?"+values("client_id", "shop", "request_uri", reference).Encode()), 400, "faulty")
}

// Without a public URL forms come from whatever host they are sent to; the scheme is ours always.
func TestFormsOfAnyHost(t *testing.T) {
	n := newTown(t)
	n.server.front.AnyHost = true
	host := strings.TrimPrefix(n.url, "http://")
	for origin, ours := range map[string]bool{"https://" + host: true, "http://" + host: false, "https://x" + host: false} {
		r := n.browser().send("POST", "/auth/login", values("username", "x"), map[string]string{"Origin": origin})
		if refused := strings.Contains(r.body, "another site"); refused == ours {
			t.Errorf("%s: got %d", origin, r.status)
		}
	}
}

func TestSignInsAreCounted(t *testing.T) {
	n := newTown(t)
	b := n.signedIn("anna")
	b.post("/auth/login", "username", "anna", "password", "wrong")
	page := b.get("/metrics").body
	for _, want := range []string{`oauth2_server_logins_total{outcome="ok"} 1`, `oauth2_server_logins_total{outcome="wrong"} 1`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}
