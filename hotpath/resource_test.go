package hotpath

import (
	"net/url"
	"strings"
	"testing"

	"oauth2-server/store"
)

const files, mail = "https://files.example.com", "https://mail.example.com"

// reach registers the shop for resources, the first of which is meant where a request names none.
func (n *town) reach(resources ...string) {
	n.t.Helper()
	_, err := n.db.UpdateClient(n.t.Context(), actor(), "shop", func(c *store.Client) error { c.Audiences = resources; return nil })
	if err != nil {
		n.t.Fatal(err)
	}
	for len(n.tier.Client([]byte("shop")).Audiences) != len(resources) {
		n.tier.AwaitPoll()
	}
}

// RFC 8707 §2, RFC 9700 §2.3: what a user allowed at one resource is not allowed at another. Where he has not been asked for, he is.
func TestConsentIsAskedForEachResource(t *testing.T) {
	n := newTown(t)
	b := n.signedIn("anna")
	n.allow(b, "shop") // as before there were resources: at this server alone
	n.reach(files, mail)
	allow := func(resource string) {
		t.Helper()
		page := b.follow(b.ask("shop", "resource", resource))
		b.wantPage(page, 200, resource)
		b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "allow"), "code", "")
		b.wantAnswer(b.ask("shop", "resource", resource, "prompt", "none"), "code", "")
	}
	b.wantAnswer(b.ask("shop", "resource", files, "prompt", "none"), "error", "consent_required")
	allow(files)
	b.wantAnswer(b.ask("shop", "prompt", "none"), "code", "") // the first is the one that is meant
	b.wantAnswer(b.ask("shop", "resource", mail, "prompt", "none"), "error", "consent_required")
	page := b.follow(b.ask("shop", "resource", mail))
	b.wantAnswer(b.post("/auth/consent", "request", b.hidden(page), "decision", "deny"), "error", "access_denied")
	b.wantAnswer(b.ask("shop", "resource", mail, "prompt", "none"), "error", "consent_required") // a denial is no consent
	allow(mail)
	b.wantAnswer(b.ask("shop", "resource", files, "prompt", "none"), "code", "") // the first stands
	b.post("/profile/revoke", "client", "shop")
	b.wantAnswer(b.ask("shop", "resource", files, "prompt", "none"), "error", "consent_required")
}

// OpenID Connect Core §3.1.2.1: prompt=login is met on the page of the request alone, not by whatever sign-in of the browser comes next.
func TestSigningInForSomethingElseIsNoneForTheRequest(t *testing.T) {
	for _, wish := range [][2]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"}} {
		for _, client := range []string{"house", "shop"} {
			n := newTown(t)
			b := n.signedIn("anna")
			again := b.ask(client, wish[0], wish[1])
			request := url.QueryEscape(b.hidden(b.follow(again)))
			if r := b.post("/auth/login", "username", "anna", "password", annasPassword); r.header.Get("Location") != "/profile" {
				t.Fatalf("got %d to %q", r.status, r.header.Get("Location"))
			}
			page := b.get("/auth/consent?request=" + request)
			if !strings.HasPrefix(page.header.Get("Location"), "/auth/login?request=") {
				t.Errorf("%s, %s=%s: got %d to %q, want the page to sign in", client, wish[0], wish[1], page.status, page.header.Get("Location"))
			}
			answer := b.signIn(page, "anna")
			if client == "shop" { // asked, and after the page was opened once more
				page := b.get(answer.header.Get("Location"))
				b.follow(answer)
				answer = b.post("/auth/consent", "request", b.hidden(page), "decision", "allow")
			}
			b.wantAnswer(answer, "code", "")
		}
	}
}
