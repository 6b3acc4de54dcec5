package hotpath

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

const (
	callback = "https://app.example.com/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	nonce    = "n-0S6_WzA2Mj"
)

// code is a code as a user's consent makes it, for the client, with the challenge of verifier.
func (s *site) code(client string, change ...func(*store.Code)) string {
	s.t.Helper()
	now := time.Now()
	mac := s.server.ring.ActiveMAC()
	code := store.Code{
		ID: store.NewID(now), Expires: now.Unix() + 60, Client: client, Redirect: callback, Challenge: sha256.Sum256([]byte(verifier)), Nonce: nonce,
		Grant: store.Grant{
			ID: store.NewID(now), Client: client, Subject: store.NewID(now).String(), Scope: "openid offline_access read write",
			Audience: "https://api.example.com files", Session: store.NewID(now), AuthTime: now.Unix(), Offline: true, Refresh: client != "once",
			Position: s.tier.Position(), Generation: 1, Key: mac.Number, Rotated: now, Created: now, Expires: now.Add(time.Hour),
		},
	}
	for _, f := range change {
		f(&code)
	}
	if err := s.db.PutCode(s.t.Context(), code, store.ID{}); err != nil {
		s.t.Fatal(err)
	}
	return string(token.AppendOpaque(nil, mac, token.Code, code.ID, code.Expires))
}

// tokenForm is a token request of the client, which proves itself if it can. Of a parameter that is given twice the later value counts.
func tokenForm(client string, pairs ...string) call {
	c := call{path: "/oauth/token", form: url.Values{}}
	if client == "spa" {
		c.form.Set("client_id", client)
	} else {
		c.basic = client
	}
	for i := 0; i < len(pairs); i += 2 {
		c.form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			c.form.Del(pairs[i])
		}
	}
	return c
}

func (s *site) redeem(client, code string, more ...string) reply {
	s.t.Helper()
	pairs := []string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}
	return s.do(tokenForm(client, append(pairs, more...)...))
}

func (s *site) refresh(client, text string, more ...string) reply {
	s.t.Helper()
	return s.do(tokenForm(client, append([]string{"grant_type", "refresh_token", "refresh_token", text}, more...)...))
}

// family is the tokens of a fresh grant of the client.
func (s *site) family(client string, change ...func(*store.Code)) (access, refresh string) {
	s.t.Helper()
	return wantTokens(s.t, s.redeem(client, s.code(client, change...)))
}

func wantTokens(t testing.TB, r reply) (access, refresh string) {
	t.Helper()
	access, _ = r.field("access_token").(string)
	refresh, _ = r.field("refresh_token").(string)
	if r.status != http.StatusOK || access == "" {
		t.Fatalf("got %d %s, want tokens", r.status, r.body)
	}
	return access, refresh
}

// atOnce is the answers to n calls of f, begun together.
func atOnce(n int, f func() reply) []reply {
	replies := make([]reply, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range replies {
		done.Go(func() {
			start.Wait()
			replies[i] = f()
		})
	}
	start.Done()
	done.Wait()
	return replies
}

// count counts the answers of a status.
func count(replies []reply, status int) (n int) {
	for _, r := range replies {
		if r.status == status {
			n++
		}
	}
	return n
}

// applied waits until what the store has told by now is applied: what follows is judged by it.
func (s *site) applied() {
	s.t.Helper()
	s.tier.AwaitPoll()
	s.tier.AwaitPoll()
	if _, err := s.tier.Fresh(); err != nil {
		s.t.Fatal(err)
	}
}

// wantGone: neither of the two, of the client web, is good for anything, anywhere.
func (s *site) wantGone(access, refresh string) {
	s.t.Helper()
	s.applied()
	s.wantInactive("auditor", access)
	s.wantInactive("auditor", refresh)
	wantError(s.t, s.refresh("web", refresh), 400, "invalid_grant")
}
