package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/admin"
	"oauth2-server/hotpath/explain"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// giver is what the tests need of a store to make grants.
type giver interface {
	PutCode(ctx context.Context, code store.Code, pushed store.ID) error
	RedeemCode(ctx context.Context, r store.Redemption) (store.Code, error)
	RotateGrants(ctx context.Context, rotations []store.Rotation, done func(i int, r store.Rotated)) error
	SaveConsent(ctx context.Context, consent store.Consent) error
}

// grant is what a user has allowed the client app, redeemed.
func (c *console) grant(user *store.User, change ...func(*store.Grant)) store.Grant {
	c.t.Helper()
	const client = "app"
	now, r := time.Now(), c.record(client, time.Hour)
	g := store.Grant{
		ID: store.NewID(now), Client: client, Subject: user.ID.String(), Scope: "openid email", Session: store.NewID(now), AuthTime: now.Unix(),
		Offline: true, Refresh: true, Position: r.Position, Key: c.ring().ActiveMAC().Number, Expires: now.Add(time.Hour),
	}
	for _, f := range change {
		f(&g)
	}
	code := store.Code{ID: store.NewID(now), Expires: now.Unix() + 60, Client: client, Redirect: "https://app.example.com/cb", Grant: g}
	db := c.open().(giver)
	if err := db.PutCode(c.t.Context(), code, store.ID{}); err != nil {
		c.t.Fatal(err)
	}
	made, err := db.RedeemCode(c.t.Context(), store.Redemption{Code: code.ID, Client: client, Redirect: code.Redirect})
	if err != nil {
		c.t.Fatal(err)
	}
	return made.Grant
}

func (c *console) refreshToken(g *store.Grant, generation uint32) string {
	return string(token.AppendRefresh(nil, c.ring().ActiveMAC(), g.ID, generation))
}

func TestGrantsListAndRevoke(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		anna, ben := c.createUser("anna"), c.createUser("ben")
		c.create("--id", "app")
		want(t, c.must("grants", "list", "--client", "app"), "no such grant")
		want(t, c.must("grants", "list", "--client", "app", "--json"), "[]")
		hers, his := c.grant(&anna), c.grant(&ben)
		want(t, c.must("grants", "list", "--subject", "Anna"), hers.ID.String(), "openid email", "active", anna.ID.String())
		f := func(wanted []store.ID, args ...string) {
			t.Helper()
			var ids []store.ID
			for _, g := range decodeJSON[[]explain.Grant](t, c.must(append([]string{"grants", "list", "--json"}, args...)...)) {
				ids = append(ids, g.ID)
			}
			slices.SortFunc(ids, func(a, b store.ID) int { return strings.Compare(a.String(), b.String()) })
			slices.SortFunc(wanted, func(a, b store.ID) int { return strings.Compare(a.String(), b.String()) })
			if !slices.Equal(ids, wanted) {
				t.Errorf("%v: got %v, want %v", args, ids, wanted)
			}
		}
		f([]store.ID{hers.ID}, "--subject", anna.ID.String())
		f([]store.ID{hers.ID, his.ID}, "--client", "app")
		want(t, c.must("grants", "list", "--client", "app", "--limit", "1"), "There are more")
		want(t, c.must("revoke", "--grant", hers.ID.String()), "is revoked", `"app"`)
		want(t, c.must("grants", "list", "--subject", "anna"), "revoked")
		f([]store.ID{his.ID}, "--client", "app", "--live")
		if _, err := c.open().Denied(t.Context(), store.DenyGrant, hers.ID); err != nil {
			t.Errorf("got %v, want the grant denied", err)
		}
		want(t, c.refused("revoke", "--grant", hers.ID.String()), "nothing to revoke")
		want(t, c.refused("revoke", "--grant", anna.ID.String()), "there is no grant")
		want(t, c.refused("revoke", "--grant", "x"), "--grant")
		want(t, c.refused("grants", "list", "--subject", "nobody"), `no user "nobody"`)
		want(t, c.refused("grants", "list", "--client", "nothing"), `no client "nothing"`)
		want(t, c.refused("grants", "list"), "subject", "client")
		want(t, c.must("revoke", "--subject", "Ben"), ben.ID.String(), `It hits user "ben".`)
		want(t, c.must("grants", "list", "--subject", "ben"), "cut off")
	})
}

func TestExplainARefreshToken(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		anna := c.createUser("anna")
		c.create("--id", "app", "--redirect-uri", "https://app.example.com/cb")
		g := c.grant(&anna)
		first := c.refreshToken(&g, 1)
		told := c.explains(first, true, "The refresh token is active")
		if told.Kind != "refresh" || told.Grant != g.ID || told.Generation != 1 || told.Newest != 1 || told.Client != "app" || told.Subject != anna.ID.String() {
			t.Errorf("got %+v, want what the grant says", told)
		}
		want(t, c.must("token", "explain", first), "grant ", g.ID.String(), "generation", "app (enabled)")

		rotation := store.Rotation{Grant: g.ID, Client: "app", Generation: 1, Key: g.Key}
		err := c.open().(giver).RotateGrants(t.Context(), []store.Rotation{rotation}, func(int, store.Rotated) {})
		if err != nil {
			t.Fatal(err)
		}
		c.explains(first, false, "it is of generation 1, and the newest")
		second := c.refreshToken(&g, 2)
		c.explains(second, true, "active")
		c.explains(c.refreshToken(&store.Grant{ID: store.NewID(time.Now())}, 1), false, "There is no grant")
		c.explains(second[:len(second)-1]+"!", false, "malformed")

		want(t, c.must("revoke", "--token", second), g.ID.String(), "is revoked")
		c.explains(second, false, "The grant was revoked at")
		want(t, c.refused("revoke", "--token", second), "nothing to revoke")

		bound := c.grant(&anna, func(g *store.Grant) { g.Offline = false })
		c.explains(c.refreshToken(&bound, 1), true, "active")
		denial := store.Denial{Kind: store.DenySession, ID: bound.Session, Expires: time.Now().Add(time.Hour).Unix(), Actor: "user:x"}
		if err := c.open().Deny(t.Context(), []store.Denial{denial}); err != nil {
			t.Fatal(err)
		}
		c.explains(c.refreshToken(&bound, 1), false, "The session was revoked at")
		bare := c.grant(&anna, func(g *store.Grant) { g.Refresh = false })
		c.explains(c.refreshToken(&bare, 1), false, "has no refresh token")
		over := c.grant(&anna, func(g *store.Grant) { g.Offline, g.AuthTime = false, time.Now().Add(-13*time.Hour).Unix() })
		c.explains(c.refreshToken(&over, 1), false, "offline_access was not allowed")
		last := c.grant(&anna)
		c.must("user", "disable", "anna")
		c.explains(c.refreshToken(&last, 1), false, "All tokens of subject")
	})
}

func TestExplainACode(t *testing.T) {
	c := newConsole(t)
	make := func(kind token.Kind, expires time.Time) string {
		return string(token.AppendOpaque(nil, c.ring().ActiveMAC(), kind, store.NewID(time.Now()), expires.Unix()))
	}
	if told := c.explains(make(token.Code, time.Now().Add(time.Minute)), false, "It is an authorization code"); told.Kind != "code" || !is(told.Authentic) || !isNot(told.Expired) {
		t.Errorf("got %+v, want an authentic code", told)
	}
	c.explains(make(token.Code, time.Now().Add(-time.Minute)), false, "it expired at")
	c.explains(make(token.Pushed, time.Now().Add(time.Minute)), false, "pushed authorization request")
	// One kind does not pass for another.
	code := make(token.Code, time.Now().Add(time.Minute))
	c.explains("ort_"+code[4:], false, "MAC is wrong")
}

func TestUserUpdate(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.createUser("anna", "--email", "anna@example.com")
		c.createUser("ben")
		changed := decodeJSON[store.User](t, c.must("user", "update", "anna", "--email", "a@example.com", "--json"))
		c.wantAudit("user.update")
		if changed.Email != "a@example.com" || changed.Version != 2 || changed.Sessions != made.Sessions || changed.Password != "" {
			t.Errorf("got %+v, want another address and the same sessions", changed)
		}
		c.must("user", "update", "anna", "--email", "", "--username", " Annabel")
		if now := c.user("annabel"); now.Email != "" || now.ID != made.ID {
			t.Errorf("got %+v, want annabel without an address", now.Masked())
		}
		c.wantPassword("annabel", testPassword)
		want(t, c.must("user", "update", "annabel", "--role", "admin"), "given the role admin", "(change ")
		if now := c.user("annabel"); now.Role != store.RoleAdmin || now.Sessions != made.Sessions+1 {
			t.Errorf("got %+v, want an operator whose sessions are ended", now.Masked())
		}
		want(t, c.refused("user", "update", "annabel"), "nothing to do")
		want(t, c.refused("user", "update", "annabel", "--role", "admin"), "nothing to do")
		want(t, c.refused("user", "update", "annabel", "--username", "ben"), "already")
		want(t, c.refused("user", "update", "annabel", "--username", "a b", "--email", "x", "--role", "root"), "--username:", "--email:", "--role:")
		want(t, c.refused("user", "update", "nobody", "--email", "x@example.com"), `no user "nobody"`)
	})
}

func TestUserExportAndDeleteAreWhole(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		anna := c.createUser("anna")
		c.create("--id", "app")
		g := c.grant(&anna)
		consent := store.Consent{User: anna.ID, Client: "app", Scopes: []string{"openid"}, At: time.Now()}
		if err := c.open().(giver).SaveConsent(t.Context(), consent); err != nil {
			t.Fatal(err)
		}
		c.must("user", "disable", "anna")
		text := c.must("user", "export", "anna")
		export := decodeJSON[admin.UserExport](t, text)
		if export.User.ID != anna.ID || len(export.Consents) != 1 || export.Consents[0].Client != "app" || len(export.Grants) != 1 || export.Grants[0].ID != g.ID || len(export.Audit) < 2 {
			t.Errorf("got %s, want anna with her consent, her grant and what was done to her", text)
		}
		if strings.Contains(text, "argon2") || strings.Contains(text, `"password"`) {
			t.Error("the password's hash is in the export")
		}
		c.must("user", "delete", "anna")
		want(t, c.refused("user", "export", "anna"), `no user "anna"`)
		if left, err := c.open().Consents(t.Context(), anna.ID); err != nil || len(left) != 0 {
			t.Errorf("got %+v and %v, want no consent of a user who was deleted", left, err)
		}
		if left, err := c.open().Grants(t.Context(), store.GrantQuery{Subject: anna.ID.String(), Live: true, Limit: 1}); err != nil || len(left) != 0 {
			t.Errorf("got %+v and %v, want no live grant of a user who was deleted", left, err)
		}
	})
}

const publicKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

func TestClientOfPeople(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		const redirect = "https://app.example.com/cb"
		c.create("--id", "app", "--redirect-uri", redirect)
		if app := c.client("app"); !slices.Equal(app.Grants, []string{"authorization_code", "refresh_token"}) || app.ScopeText() != "openid profile email offline_access" || len(app.Secrets) != 1 {
			t.Errorf("got %+v, want the code flow and the scopes of OpenID Connect", app.Masked())
		}
		c.create("--id", "page", "--redirect-uri", redirect, "--public", "--scope", "openid", "--trusted", "--refresh-ttl", "48h", "--id-token-alg", "ES256",
			"--post-logout-uri", "https://app.example.com/bye", "--backchannel-logout-uri", "https://app.example.com/logout")
		page := c.client("page")
		if !page.Public() || page.Secrets != nil || page.ScopeText() != "openid" || !page.Trusted || page.RefreshTTL != 172800 || page.IDTokenAlg != "ES256" ||
			page.PostLogoutURIs[0] != "https://app.example.com/bye" || page.BackchannelLogout != "https://app.example.com/logout" {
			t.Errorf("got %+v, want what the flags say", page)
		}
		want(t, c.must("client", "show", "page"), "https://app.example.com/bye", "48h0m0s", "ES256", "trusted", "yes", "rotate")
		c.must("client", "update", "page", "--trusted=false", "--public=false", "--refresh", "static")
		if page = c.client("page"); page.Trusted || page.Public() || len(page.Secrets) != 1 || page.Refresh != store.RefreshStatic {
			t.Errorf("got %+v, want it to authenticate", page.Masked())
		}

		file := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(file, []byte(publicKeys+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		made := c.create("--id", "keyed", "--redirect-uri", redirect, "--auth-method", "private_key_jwt", "--auth-alg", "ES256", "--jwks", file)
		if keyed := c.client("keyed"); made.Secret != "" || string(keyed.JWKS) == "" || keyed.AuthAlg != "ES256" {
			t.Errorf("got %+v, want its keys and no secret", keyed)
		}
		want(t, c.refused("client", "update", "keyed", "--jwks", file), "nothing to do")
		c.must("client", "update", "keyed", "--jwks-uri", "https://app.example.com/jwks")
		if keyed := c.client("keyed"); keyed.JWKS != nil || keyed.JWKSURI == "" {
			t.Errorf("got %+v, want the URI in the place of the keys", keyed)
		}
		want(t, c.refused("client", "rotate-secret", "keyed"), "has no secret")
		if status, _, errOut := c.run(publicKeys, "client", "update", "keyed", "--jwks", "-"); status != 0 || c.client("keyed").JWKSURI != "" {
			t.Errorf("keys of standard input: got %d, %s", status, errOut)
		}
	})
}

func TestClientSecretJWTIsKeptSealed(t *testing.T) {
	c := newConsole(t)
	made := c.create("--id", "sealed", "--auth-method", "client_secret_jwt")
	opens := func(secret string) {
		t.Helper()
		kept := c.client("sealed")
		text, err := c.config().secrets.OpenText("sealed", kept.SealedSecret)
		if err != nil || text != secret || len(kept.Secrets) != 0 || kept.AuthAlg != "HS256" {
			t.Errorf("got %v and %d hashes, want the secret that was printed, sealed", err, len(kept.Secrets))
		}
	}
	opens(made.Secret)
	want(t, c.must("client", "show", "sealed"), "secrets", "1", "HS256")
	opens(decodeJSON[created](t, c.must("client", "rotate-secret", "sealed", "--json")).Secret)
	kept := c.client("sealed")
	for _, line := range []string{"client show sealed --json", "client list --json"} {
		if out := c.must(strings.Fields(line)...); strings.Contains(out, "sealed_secret") || strings.Contains(out, string(kept.SealedSecret)) {
			t.Errorf("%s shows the sealed secret", line)
		}
	}
}

func TestClientOfPeopleTellsAllFaultsByFlag(t *testing.T) {
	c := newConsole(t)
	want(t, c.refused("client", "create", "--grant", "authorization_code", "--auth-method", "private_key_jwt", "--auth-alg", "none", "--jwks-uri", "http://x/",
		"--post-logout-uri", "javascript:x", "--backchannel-logout-uri", "http://x/", "--id-token-alg", "none", "--refresh", "never", "--refresh-ttl", "1s"),
		"--redirect-uri:", "--auth-alg:", "--jwks-uri:", "--post-logout-uri:", "--backchannel-logout-uri:", "--id-token-alg:", "--refresh:", "--refresh-ttl:")
	want(t, c.refused("client", "create", "--public", "--trusted", "--redirect-uri", "http://127.0.0.1/cb"), "--trusted:", "RFC 8252")
	want(t, c.refused("client", "create", "--public", "--auth-method", "none"), "public", "auth-method")
	want(t, c.refused("client", "create", "--jwks", filepath.Join(t.TempDir(), "none")), "--jwks:")
	status, _, errOut := c.run(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, "client", "create", "--auth-method", "private_key_jwt", "--auth-alg", "ES256", "--jwks", "-")
	if status != 1 || strings.Contains(errOut, "c2VjcmV0") {
		t.Errorf("got %d and %q, want a refusal that does not repeat the key", status, errOut)
	}
	want(t, errOut, "--jwks:", "private part")
}
