package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/cache"
	"oauth2-server/deploy/private"
	"oauth2-server/hotpath/explain"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// explains runs token explain in all its forms, and returns the JSON.
func (c *console) explains(text string, active bool, cause string) *explain.Explanation {
	c.t.Helper()
	wanted := 3
	if active {
		wanted = 0
	}
	status, out, errOut := c.run("", "token", "explain", "--json", text)
	if status != wanted {
		c.t.Fatalf("got status %d, want %d: %s %s", status, wanted, out, errOut)
	}
	told := decodeJSON[*explain.Explanation](c.t, out)
	if told.Active != active || !strings.Contains(told.Cause, cause) {
		c.t.Errorf("got active %v because %q, want %v because %q", told.Active, told.Cause, active, cause)
	}
	status, out, errOut = c.run(text+"\n", "token", "explain", "-")
	if first, _, _ := strings.Cut(out, "\n"); status != wanted || first != told.Cause || errOut != "" {
		c.t.Errorf("for people: got status %d, %q and %q, want %d and first the cause", status, first, errOut, wanted)
	}
	if len(text) > 20 && strings.Contains(c.printed.String(), text) {
		c.t.Error("the token was printed")
	}
	return told
}

func is(known *bool) bool    { return known != nil && *known }
func isNot(known *bool) bool { return known != nil && !*known }

func TestExplainActive(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.create("--id", "x")
		r := c.record("x", time.Hour)
		told := c.explains(c.opaque(r), true, "is active")
		if told.Kind != "access" || told.ID != r.ID || told.Client != "x" || told.ClientState != "enabled" || told.Subject != "x" || told.Scope != "read" ||
			!is(told.KeyKnown) || !is(told.Authentic) || !is(told.InStore) || told.InRedis != nil || told.Issued.Unix() != r.Issued || told.Expires.Unix() != r.Expires || !isNot(told.Expired) {
			t.Errorf("got %+v, want all of the record", told)
		}
		told = c.explains(c.jwt(r, testIssuer), true, "is active")
		if told.Kind != "jwt" || told.Issuer != testIssuer || told.Expected != testIssuer || !is(told.Authentic) || told.InStore != nil || told.Client != "x" {
			t.Errorf("got %+v, want all of the JWT", told)
		}
	})
}

func TestExplainText(t *testing.T) {
	c := newConsole(t)
	c.create("--id", "x")
	r := c.record("x", time.Hour)
	opaque, jwt := c.opaque(r), c.jwt(r, testIssuer)
	flip := func(text string, i int) string {
		other := byte('A')
		if text[i] == 'A' {
			other = 'B'
		}
		return text[:i] + string(other) + text[i+1:]
	}
	for name, test := range map[string]struct{ text, kind, cause string }{
		"garbage":            {"garbage", "unknown", "no token of this server"},
		"white space before": {" " + opaque, "unknown", "white space"},
		"cut":                {opaque[:40], "access", "malformed: it has 40 characters"},
		"extended":           {opaque + "A", "access", "malformed"},
		"other key byte":     {flip(opaque, 4), "access", "No key of the ring"},
		"other id":           {flip(opaque, 10), "access", "MAC is wrong"},
		"other MAC":          {flip(opaque, 40), "access", "MAC is wrong"},
		"refresh":            {string(token.AppendOpaque(nil, c.ring().ActiveMAC(), token.Refresh, r.ID, 1)), "refresh", "refresh token"},
		"forged refresh":     {"ort_" + opaque[4:], "refresh", "MAC is wrong"},
		"cut JWT":            {jwt[:len(jwt)-100], "jwt", "malformed"},
		"JWT without dots":   {"eyJhbGciOiJub25lIn0", "jwt", "malformed"},
		"JWT of no key":      {"eyJhbGciOiJub25lIn0.e30.", "jwt", "No key of the ring"},
		"forged JWT":         {flip(jwt, len(jwt)-50), "jwt", "signature is wrong"},
		"altered JWT":        {flip(jwt, len(jwt)-120), "jwt", "signature is wrong"},
		"JWT of another":     {c.jwt(r, "https://other.example.com"), "jwt", `issuer is "https://other.example.com", and that of this server is "` + testIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			c := &console{t: t, env: c.env}
			if name == "white space before" { // which reading from standard input takes away
				if status, out, _ := c.run("", "token", "explain", test.text); status != 3 || !strings.Contains(out, test.cause) {
					t.Errorf("got status %d, %q", status, out)
				}
				return
			}
			if told := c.explains(test.text, false, test.cause); told.Kind != test.kind {
				t.Errorf("got kind %s, want %s", told.Kind, test.kind)
			}
		})
	}
}

func TestExplainDeath(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.create("--id", "x")
		me := operator().String()
		expired := c.record("x", -2*time.Second) // of today: an empty database has no partition of yesterday
		if told := c.explains(c.opaque(expired), false, "expired at"); !is(told.Expired) || !is(told.InStore) || told.Client != "x" {
			t.Errorf("got %+v, want the record of the expired token", told)
		}
		c.explains(c.jwt(expired, testIssuer), false, "expired at")
		past := store.Denial{Kind: store.DenyToken, ID: expired.ID, Expires: expired.Expires, Actor: "client:x"}
		if err := c.open().Deny(t.Context(), []store.Denial{past}); err != nil {
			t.Fatal(err)
		}
		if told := c.explains(c.jwt(expired, testIssuer), false, "expired at"); told.Denied == nil || told.Denied.By != "client:x" {
			t.Errorf("got %+v, want that it was denied, too", told.Denied)
		}

		gone := c.record("x", time.Hour)
		text := string(token.AppendOpaque(nil, c.ring().ActiveMAC(), token.Access, gone.ID, gone.Expires))
		if told := c.explains(text, false, "no record"); !isNot(told.InStore) {
			t.Errorf("got %+v, want that the store has no record", told)
		}

		for _, write := range []func(*store.Record) string{c.opaque, func(r *store.Record) string { return c.jwt(r, testIssuer) }} {
			denied := write(c.record("x", time.Hour))
			bySubject := write(c.record("x", time.Hour))
			c.must("revoke", "--token", denied)
			if told := c.explains(denied, false, "token was revoked at"); told.Denied == nil || told.Denied.By != me || told.Denied.At.IsZero() {
				t.Errorf("got %+v, want who and when", told.Denied)
			}
			c.explains(bySubject, true, "")
			c.must("revoke", "--subject", "x")
			if told := c.explains(bySubject, false, `All tokens of subject "x" were revoked`); told.CutOff == nil || told.CutOff.By != me || told.CutOff.Change == 0 {
				t.Errorf("got %+v, want who and when", told.CutOff)
			}
			byClient := write(c.record("x", time.Hour))
			c.must("revoke", "--client", "x")
			c.explains(byClient, false, `of client "x" were revoked`)
			byAll := write(c.record("x", time.Hour))
			c.must("revoke", "--all", "--yes")
			c.explains(byAll, false, "All tokens were revoked")
		}

		last := c.opaque(c.record("x", time.Hour))
		c.must("client", "disable", "x")
		if told := c.explains(last, false, `of client "x" were revoked`); told.ClientState != "disabled" {
			t.Errorf("got client %s, want disabled", told.ClientState)
		}
		c.must("client", "delete", "x")
		if told := c.explains(last, false, "revoked"); told.ClientState != "missing" {
			t.Errorf("got client %s, want missing", told.ClientState)
		}
		c.create("--id", "y")
		reset := c.opaque(c.record("y", time.Hour))
		c.must("keys", "reset", "--yes")
		c.explains(reset, false, "the keys were reset since")
	})
}

// A replica believes a record that Redis holds under its seal, so explaining does, too.
func TestExplainLooksIntoRedis(t *testing.T) {
	server := private.TestRedis(t)
	c := newConsole(t, "OAUTH2_REDIS_URL="+server.URL())
	c.create("--id", "x")
	r := c.record("x", time.Hour)
	text := c.opaque(r)
	if told := c.explains(text, true, ""); !isNot(told.InRedis) || !is(told.InStore) {
		t.Errorf("got %+v, want it in the store only", told)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	key := store.TokenKey{ID: r.ID, Expires: r.Expires}
	put := func(value []byte) {
		t.Helper()
		if err := client.Set(t.Context(), "oauth2:t:"+string(r.ID[:]), value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte("forged"))
	if record, err := cache.Peek(t.Context(), client, c.ring(), key); record != nil || err != nil {
		t.Errorf("a forged value: got %d bytes and %v, want none", len(record), err)
	}
	put(c.ring().Seal(nil, 't', r.ID, r.Expires, r.Append(nil)))
	if told := c.explains(text, true, ""); !is(told.InRedis) || !is(told.InStore) {
		t.Errorf("got %+v, want it in both", told)
	}
	lonely := c.record("x", time.Hour)
	r, text = lonely, string(token.AppendOpaque(nil, c.ring().ActiveMAC(), token.Access, lonely.ID, lonely.Expires))
	put(c.ring().Seal(nil, 't', r.ID, r.Expires, r.Append(nil)))
	if told := c.explains(text, true, ""); !is(told.InRedis) || !isNot(told.InStore) || told.Client != "x" {
		t.Errorf("got %+v, want it in Redis only", told)
	}
	r = c.record("x", time.Hour)
	text = c.opaque(r)
	server.Kill()
	if told := c.explains(text, true, ""); told.InRedis != nil || told.RedisFault == "" || !is(told.InStore) {
		t.Errorf("got %+v, want the fault of Redis and the store's record", told)
	}
}

func TestExplainThatCannotTellEndsWithStatus1(t *testing.T) {
	c := newConsole(t)
	c.create("--id", "x")
	r := c.record("x", time.Hour)
	opaque, jwt := c.opaque(r), c.jwt(r, testIssuer)
	wrong := &console{t: t, env: []string{c.env[0], "OAUTH2_JWT_SECRET=another-secret-than-that-of-the-servers"}}
	for _, text := range []string{opaque, jwt} {
		want(t, wrong.refused("token", "explain", text), "cannot be told", "OAUTH2_JWT_SECRET")
	}
	none := &console{t: t, env: c.env[:1]}
	want(t, none.refused("token", "explain", opaque), "oauth2.db.secret")
	want(t, c.refused("token", "explain"), "text of one token")

	lost := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=postgres://u:p@127.0.0.1:1/none", "OAUTH2_JWT_SECRET=" + testSecret}}
	want(t, lost.refused("token", "explain", opaque), "tcp: ")
}

func TestRevokeTokenRefusesWhatIsNotAlive(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.create("--id", "x")
		r := c.record("x", time.Hour)
		text := c.opaque(r)
		want(t, c.refused("revoke", "--token", r.ID.String()), "its id alone")
		want(t, c.refused("revoke", "--token", text[:50]), "nothing to revoke", "malformed")
		status, out, errOut := c.run(text+"\n", "revoke", "--token", "-")
		if status != 0 {
			t.Fatal(errOut)
		}
		want(t, out, r.ID.String(), "is revoked")
		c.wantAudit("deny")
		denial, err := c.open().Denied(t.Context(), store.DenyToken, r.ID)
		if err != nil || denial.Expires != r.Expires || denial.Actor != operator().String() {
			t.Errorf("got %+v and %v, want the denial with the token's own expiry", denial, err)
		}
		want(t, c.refused("revoke", "--token", text), "nothing to revoke", "was revoked at")
	})
}

func TestRevokeTakesExactlyOneTarget(t *testing.T) {
	c := newConsole(t)
	c.create("--id", "x")
	c.refused("revoke")
	c.refused("revoke", "--client", "x", "--all")
	want(t, c.refused("revoke", "--client", ""), "no value")
	want(t, c.refused("revoke", "--client", "mistyped"), "there is no client")
	cuts, err := c.open().Cutoffs(t.Context())
	if err != nil || len(cuts) != 0 {
		t.Errorf("got %+v and %v, want nothing cut off", cuts, err)
	}
	cut := decodeJSON[store.Cutoff](t, c.must("revoke", "--client", "x", "--json"))
	c.wantAudit("cutoff")
	if cut.Kind != store.CutClient || cut.Name != "x" || cut.Number == 0 {
		t.Errorf("got %+v, want the cut-off with its number", cut)
	}
	want(t, c.must("revoke", "--subject", "x"), `tokens of subject "x"`, `It hits client "x".`)
	want(t, c.must("revoke", "--subject", "mistyped"), "It hits nobody who is known", "no user of that id or name, and no client of that id")
	want(t, c.must("revoke", "--subject", "mistyped", "--json"), `"whom": "nobody who is known`, `"name": "mistyped"`)
}

func TestWhatEndsEverythingAsksBefore(t *testing.T) {
	c := newConsole(t)
	c.ring()
	for _, args := range [][]string{{"revoke", "--all"}, {"keys", "reset"}} {
		for _, no := range []string{"", "no\n", "y\n", "yes please\n"} {
			if status, _, errOut := c.run(no, args...); status != 1 || !strings.Contains(errOut, "not confirmed") {
				t.Errorf("%v answered %q: got status %d, want a refusal", args, no, status)
			}
		}
		if cuts, err := c.open().Cutoffs(t.Context()); err != nil || len(cuts) != 0 {
			t.Errorf("%v: got %+v and %v, want nothing cut off", args, cuts, err)
		}
	}
	if status, _, errOut := c.run("yes\n", "revoke", "--all"); status != 0 {
		t.Error(errOut)
	}
}

func TestKeysListAndReset(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		want(t, c.must("keys", "list"), "no key yet")
		c.ring()
		before := decodeJSON[[]keys.Listed](t, c.must("keys", "list", "--json"))
		if len(before) != 4 || !before[0].Open {
			t.Errorf("got %+v, want four keys that open", before)
		}
		want(t, c.must("keys", "list"), "ES256", "HMAC-SHA-256", "active", "next")
		want(t, c.must("keys", "reset", "--yes"), "all tokens are revoked (change ")
		c.wantAudit("keys.reset")
		after := decodeJSON[[]keys.Listed](t, c.must("keys", "list", "--json"))
		if len(after) != 8 {
			t.Errorf("got %d keys, want 8: those of id_tokens are not waited for", len(after))
		}
		for _, old := range before {
			for _, key := range after {
				if old.ID == key.ID || old.Number != 0 && old.Number == key.Number {
					t.Errorf("key %s or its number %d outlived the reset", old.ID, old.Number)
				}
			}
		}
	})
}

func TestKeysHS256(t *testing.T) {
	c := newConsole(t)
	shared := c.config().secrets.HS256()[0]
	want(t, c.must("keys", "hs256"), shared.KID, shared.Base64(), "neither signs")
	set := decodeJSON[struct {
		Keys []struct{ Kty, K, Alg, KID string }
	}](t, c.must("keys", "hs256", "--json"))
	if len(set.Keys) != 1 || set.Keys[0].K != shared.Base64() || set.Keys[0].Alg != "HS256" {
		t.Error("the JWK is not the key")
	}
	c.env = append(c.env, "OAUTH2_JWT_ALG=HS256")
	if strings.Contains(c.must("keys", "hs256"), "neither signs") {
		t.Error("a server that is told to use HS256 is said not to")
	}
	r := c.record("x", time.Hour)
	c.explains(c.jwt(r, testIssuer), true, "active")
}
