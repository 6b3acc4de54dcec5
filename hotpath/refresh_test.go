package hotpath

import (
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// RFC 6749 §6: a new access token, the successor, and for OpenID Connect an id_token that goes on (OpenID Connect Core §12.2).
func TestRefresh(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"web", "spa"} {
		first := s.redeem(client, s.code(client))
		access, refresh := wantTokens(t, first)
		r := s.refresh(client, refresh)
		next, successor := wantTokens(t, r)
		if next == access || successor == refresh || successor == "" {
			t.Errorf("%s: a refresh gave what there was", client)
		}
		s.wantActive("auditor", access)
		s.wantActive("auditor", next)
		before, after := payload(t, first.field("id_token")), payload(t, r.field("id_token"))
		for _, claim := range []string{"iss", "sub", "aud", "auth_time", "sid"} {
			if before[claim] == nil || before[claim] != after[claim] {
				t.Errorf("%s: %s was %v, is %v", client, claim, before[claim], after[claim])
			}
		}
		if after["nonce"] != nil || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: id_token %v, headers %v", client, after, r.header)
		}
	}
	wantError(t, s.refresh("web", ""), 400, "invalid_request") // §6: it is required
	wantError(t, s.refresh("web", "ort_"+strings.Repeat("A", 52)), 400, "invalid_grant")
}

// RFC 6749 §6: scope may only narrow, for this answer, and so the resource (RFC 8707 §2.2). A refusal costs the token nothing.
func TestRefreshNarrows(t *testing.T) {
	s := newSite(t, withGrace(0))
	_, refresh := s.family("web", func(c *store.Code) { c.Grant.Scope, c.Grant.Audience = "read write", "files" })
	wantError(t, s.refresh("web", refresh, "scope", "read openid"), 400, "invalid_scope") // registered, not granted
	wantError(t, s.refresh("web", refresh, "scope", "read  write"), 400, "invalid_scope")
	wantError(t, s.refresh("web", refresh, "resource", "https://api.example.com"), 400, "invalid_target")
	r := s.refresh("web", refresh, "scope", "write", "resource", "files")
	access, refresh := wantTokens(t, r)
	if got := s.wantActive("auditor", access); got.field("scope") != "write" || r.field("scope") != "write" {
		t.Errorf("got %s, %s", r.body, got.body)
	}
	access, _ = wantTokens(t, s.refresh("web", refresh))
	if got := s.wantActive("auditor", access).field("scope"); got != "read write" {
		t.Errorf("the refresh after a narrower one: scope %v", got)
	}
}

func withGrace(grace time.Duration) func(*Options) {
	return func(o *Options) {
		options := o.Rules.Options
		options.RefreshGrace = grace
		o.Rules = oauth.New(options)
	}
}

// Promise P4: a retry within the grace time gets the same successor, with a fresh access token.
func TestRefreshRetriedGetsTheSameSuccessor(t *testing.T) {
	s := newSite(t)
	_, refresh := s.family("web")
	access, successor := wantTokens(t, s.refresh("web", refresh))
	again, same := wantTokens(t, s.refresh("web", refresh))
	if same != successor || again == access {
		t.Errorf("got %q and %q", same, successor)
	}
	_, third := wantTokens(t, s.refresh("web", successor))
	if third == successor {
		t.Error("the successor was not rotated")
	}
}

// RFC 9700 §4.14.2: a token of an older generation ends the family; with grace 0 that is any but the newest.
func TestRefreshReuseEndsFamily(t *testing.T) {
	for name, grace := range map[string]time.Duration{"two generations ago": time.Minute, "grace 0": 0} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, withGrace(grace))
			access, first := s.family("web")
			_, newest := wantTokens(t, s.refresh("web", first))
			if grace > 0 {
				_, newest = wantTokens(t, s.refresh("web", newest))
			}
			wantError(t, s.refresh("web", first), 400, "invalid_grant")
			s.wantInactive("auditor", access) // on this replica at once
			s.wantGone(access, newest)
		})
	}
}

// RFC 6749 §6, §10.4: a refresh token is its client's. Another's attempt changes nothing, even with a token used before.
func TestRefreshOfAnotherClientChangesNothing(t *testing.T) {
	s := newSite(t, withGrace(0))
	access, first := s.family("web")
	_, second := wantTokens(t, s.refresh("web", first))
	for _, text := range []string{first, second} {
		wantError(t, s.refresh("static", text), 400, "invalid_grant")
		wantError(t, s.refresh("spa", text, "resource", "https://other.example.com"), 400, "invalid_grant") // nor does it learn what was granted
		wantError(t, s.refresh("app", text), 400, "unauthorized_client")
	}
	s.applied()
	s.wantActive("auditor", access)
	wantTokens(t, s.refresh("web", second))
}

// FAPI 2.0 §5.3.2.1: a static client keeps its token, however often it is used.
func TestStaticRefreshStaysTheSame(t *testing.T) {
	s := newSite(t, withGrace(0))
	_, refresh := s.family("static")
	for range 3 {
		if _, next := wantTokens(t, s.refresh("static", refresh)); next != refresh {
			t.Errorf("got %q, want %q", next, refresh)
		}
	}
}

// One lineage at any concurrency: within the grace time all get the same successor; with grace 0 one has success, and the
// others end the family.
func TestRefreshHasOneLineage(t *testing.T) {
	s, strict := newSite(t), newSite(t, withGrace(0))
	for range 4 {
		_, refresh := s.family("web")
		replies := atOnce(64, func() reply { return s.refresh("web", refresh) })
		successors := map[string]bool{}
		for _, r := range replies {
			_, successor := wantTokens(t, r)
			successors[successor] = true
		}
		if len(successors) != 1 || successors[refresh] {
			t.Fatalf("got %d successors", len(successors))
		}

		access, once := strict.family("web")
		replies = atOnce(64, func() reply { return strict.refresh("web", once) })
		if ok, refused := count(replies, 200), count(replies, 400); ok != 1 || refused != 63 {
			t.Fatalf("grace 0: got %d successes and %d refusals", ok, refused)
		}
		for _, r := range replies {
			if r.status == 200 {
				_, successor := wantTokens(t, r)
				strict.wantGone(access, successor)
			}
		}
	}
}

// What is withdrawn is refused at once: the user, the client's right, its session.
func TestRefreshOfWhatHasEndedIsRefused(t *testing.T) {
	s := newSite(t)
	var grant store.Grant
	online := func(c *store.Code) { c.Grant.Offline, grant = false, c.Grant }

	access, refresh := s.family("web", online)
	if _, err := s.db.CutOff(t.Context(), actor(), store.CutSubject, grant.Subject); err != nil {
		t.Fatal(err)
	}
	s.wantGone(access, refresh)

	_, refresh = s.family("web", online)
	_, kept := s.family("web", func(c *store.Code) { c.Grant.Session = grant.Session })
	s.endSession(grant.Session)
	wantError(t, s.refresh("web", refresh), 400, "invalid_grant")
	wantTokens(t, s.refresh("web", kept)) // offline

	wantError(t, s.redeem("web", s.code("web", func(c *store.Code) { c.Grant.Expires = time.Now().Add(-time.Second) })), 400, "invalid_grant")

	_, refresh = s.family("web")
	_, err := s.db.UpdateClient(t.Context(), actor(), "web", func(c *store.Client) error {
		c.Grants = []string{"authorization_code"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.applied()
	wantError(t, s.refresh("web", refresh), 400, "unauthorized_client")
}

// RFC 7009 §2.1: revoking a refresh token, of any generation, ends the grant and its access tokens; revoking an access token ends that one.
func TestRevokeRefreshEndsGrant(t *testing.T) {
	s := newSite(t)
	revoke := func(client, text string) reply {
		c := tokenForm(client, "token", text)
		c.path = "/oauth/revoke"
		return s.do(c)
	}
	for _, old := range []bool{false, true} {
		access, refresh := s.family("web")
		second, successor := wantTokens(t, s.refresh("web", refresh))
		wantError(t, revoke("static", successor), 400, "unauthorized_client") // §2.1: it was issued to another client
		s.wantActive("auditor", access)
		if old {
			successor = refresh
		}
		for range 2 { // §2.2: an invalid token is no error
			if r := revoke("web", successor); r.status != 200 {
				t.Fatalf("got %d %s", r.status, r.body)
			}
			s.wantInactive("auditor", access) // on this replica at once
		}
		s.wantGone(second, successor)
	}
	access, refresh := s.family("spa")
	other, refresh := wantTokens(t, s.refresh("spa", refresh))
	if r := revoke("spa", access); r.status != 200 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	s.wantInactive("auditor", access)
	s.wantActive("auditor", other)
	wantTokens(t, s.refresh("spa", refresh))
	if r := revoke("web", "ort_"+strings.Repeat("A", 52)); r.status != 200 {
		t.Errorf("garbage: got %d %s", r.status, r.body)
	}
}

// A revocation raced against refreshes: whoever was first, nothing survives.
func TestNothingSurvivesARevocationAmongRefreshes(t *testing.T) {
	s := newSite(t)
	for range 8 {
		access, refresh := s.family("web")
		revoked := make(chan reply)
		go func() {
			c := tokenForm("web", "token", refresh)
			c.path = "/oauth/revoke"
			revoked <- s.do(c)
		}()
		replies := atOnce(16, func() reply { return s.refresh("web", refresh) })
		if r := <-revoked; r.status != 200 {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		s.wantGone(access, refresh)
		for _, r := range replies {
			if r.status == 200 {
				access, successor := wantTokens(t, r)
				s.wantGone(access, successor)
			} else {
				wantError(t, r, 400, "invalid_grant")
			}
		}
	}
}

// RFC 7662 §2.2, §4: a refresh token is seen by its client and by who may see all, and by no resource: it must not pass for
// an access token.
func TestIntrospectRefresh(t *testing.T) {
	s := newSite(t)
	_, refresh := s.family("web")
	for _, client := range []string{"web", "auditor"} {
		r := s.wantActive(client, refresh)
		if r.field("client_id") != "web" || r.field("token_use") != "refresh_token" || r.field("token_type") != nil || r.field("aud") != issuer ||
			r.field("scope") != "openid offline_access read write" || r.field("exp").(float64) < float64(time.Now().Unix()+3000) {
			t.Errorf("%s: got %s", client, r.body)
		}
	}
	s.wantInactive("static", refresh)
	s.wantInactive("gateway", refresh) // the audience of the grant
	batch := s.do(call{path: batchPath, basic: "auditor", body: `{"token":"` + refresh + `"}` + "\n", headers: map[string]string{"Content-Type": "application/x-ndjson"}})
	if strings.TrimSpace(batch.body) != oauth.Inactive {
		t.Errorf("in a batch: %d %s", batch.status, batch.body)
	}
	_, successor := wantTokens(t, s.refresh("web", refresh))
	s.wantInactive("web", refresh)
	if r := s.wantActive("web", successor); r.field("jti") == nil {
		t.Errorf("got %s", r.body)
	}
	if access := s.issue("app"); s.wantActive("app", access).field("token_type") != "Bearer" { // the memory of a reading is used again
		t.Error("an access token is shown as something else")
	}
}

// rotateKeys puts the next MAC key in the place of the active one, at a time when it is published long enough.
func (s *site) rotateKeys(at time.Time, emergency bool) {
	s.t.Helper()
	secrets, err := keys.ParseSecrets(testSecret)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = keys.RotateStored(s.t.Context(), s.db, actor(), secrets, "ES256", at, keys.Rotation{Use: store.UseMAC, Emergency: emergency})
	if err != nil {
		s.t.Fatal(err)
	}
	s.applied()
}

// Promise P4 holds across a rotation of keys: the successor is a function of the key in the row, not of the one that is active.
func TestRefreshAcrossKeyRotation(t *testing.T) {
	s := newSite(t)
	_, first := s.family("web")
	_, static := s.family("static")
	_, successor := wantTokens(t, s.refresh("web", first))
	code := s.code("web")
	s.rotateKeys(time.Now().Add(time.Hour), false)
	if _, again := wantTokens(t, s.refresh("web", first)); again != successor {
		t.Errorf("the retry got %q, want %q", again, successor)
	}
	if _, same := wantTokens(t, s.refresh("static", static)); same != static {
		t.Errorf("the static token became %q", same)
	}
	_, third := wantTokens(t, s.refresh("web", successor))
	_, fromCode := wantTokens(t, s.redeem("web", code))
	wantTokens(t, s.refresh("web", fromCode))

	s.rotateKeys(time.Now().Add(2*time.Hour), true) // the key that made third leaked
	for client, text := range map[string]string{"web": third, "static": static} {
		wantError(t, s.refresh(client, text), 400, "invalid_grant")
		s.wantInactive("auditor", text)
	}
}

// DESIGN §4: the deny set is asked for a grant as for any token, also where the row does not say so (a history that was lost).
func TestDeniedGrantIsDead(t *testing.T) {
	s := newSite(t)
	var grant store.ID
	access, refresh := s.family("web", func(c *store.Code) { grant = c.Grant.ID })
	err := s.tier.Deny(store.Denial{Kind: store.DenyGrant, ID: grant, Expires: time.Now().Unix() + 3600, Actor: actor().String()})
	if err != nil {
		t.Fatal(err)
	}
	s.wantGone(access, refresh)
}
