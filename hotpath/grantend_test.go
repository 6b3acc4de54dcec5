package hotpath

import (
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

// alter changes the registration of a client, and waits until it is in force.
func (s *site) alter(client string, change func(*store.Client)) {
	s.t.Helper()
	_, err := s.db.UpdateClient(s.t.Context(), actor(), client, func(c *store.Client) error { change(c); return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	s.applied()
}

// Nothing that is made from a grant outlives it.
func TestAccessTokenEndsWithItsGrant(t *testing.T) {
	s := newSite(t)
	ends := time.Now().Add(100 * time.Second)
	r := s.redeem("web", s.code("web", func(c *store.Code) { c.Grant.Expires = ends }))
	access, refresh := wantTokens(t, r)
	again := s.refresh("web", refresh)
	next, _ := wantTokens(t, again)
	for _, in := range []reply{r, again} {
		if life, _ := in.field("expires_in").(float64); life > 100 {
			t.Errorf("expires_in %v, beyond the grant", life)
		}
	}
	for _, text := range []string{access, next} {
		if exp := s.wantActive("auditor", text).field("exp"); exp != float64(ends.Unix()) {
			t.Errorf("exp %v, want the grant's, %d", exp, ends.Unix())
		}
	}
}

// RFC 8707 §2: a target that the client is registered for no more is in no further token.
func TestGrantLosesTargetsOfItsClient(t *testing.T) {
	s := newSite(t)
	_, refresh := s.family("web")
	s.alter("web", func(c *store.Client) {
		c.Audiences = slices.DeleteFunc(slices.Clone(c.Audiences), func(a string) bool { return a == "files" })
	})
	access, refresh := wantTokens(t, s.refresh("web", refresh))
	if aud := s.wantActive("auditor", access).field("aud"); aud != "https://api.example.com" {
		t.Errorf("aud %v after files was taken away", aud)
	}
	wantError(t, s.refresh("web", refresh, "resource", "files"), 400, "invalid_target")
	code := s.code("web")
	wantError(t, s.redeem("web", code, "resource", "files"), 400, "invalid_target")
	wantTokens(t, s.redeem("web", code)) // it was not spent for that

	s.alter("web", func(c *store.Client) { c.Audiences = []string{"https://new.example.com"} })
	var grant store.ID
	code = s.code("web", func(c *store.Code) { grant = c.Grant.ID })
	wantError(t, s.redeem("web", code), 400, "invalid_target")
	if g, err := s.db.Grant(t.Context(), grant); err != nil || !g.Revoked {
		t.Errorf("the grant of a code that was refused is not revoked: %+v, %v", g, err)
	}
}

// RFC 7662 §2.2: a refresh token that its client cannot use is not active.
func TestRefreshTokenOfAClientThatMayNotUseIt(t *testing.T) {
	s := newSite(t)
	_, refresh := s.family("web")
	s.wantActive("auditor", refresh)
	s.alter("web", func(c *store.Client) { c.Grants = []string{"authorization_code"} })
	s.wantInactive("auditor", refresh)
}
