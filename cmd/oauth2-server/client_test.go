package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

type created struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func (c *console) create(args ...string) created {
	c.t.Helper()
	return decodeJSON[created](c.t, c.must(append([]string{"client", "create", "--json"}, args...)...))
}

func (c *console) client(id string) store.Client {
	c.t.Helper()
	client, err := c.open().Client(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

func TestClientCreate(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.create("--name", "Billing", "--scope", "read write,admin", "--scope", "read", "--audience", "https://a.example.com,b", "--audience", "c",
			"--resource", "gate", "--auth-method", "client_secret_post", "--token-format", "jwt", "--introspect", "any", "--access-ttl", "5m",
			"--redirect-uri", "https://app.example.com/cb", "--origin", "https://app.example.com", "--grant", "client_credentials")
		c.wantAudit("client.create")
		if _, err := store.ParseID(made.ID); err != nil {
			t.Errorf("got id %q, want a UUID", made.ID)
		}
		got, _ := json.Marshal(c.client(made.ID))
		want(t, string(got), `"name":"Billing"`, `"scopes":["read","write","admin"]`, `"audiences":["https://a.example.com","b","c"]`, `"resources":["gate"]`,
			`"auth_method":"client_secret_post"`, `"token_format":"jwt"`, `"introspect":"any"`, `"access_ttl":300`, `"grants":["client_credentials"]`,
			`"redirect_uris":["https://app.example.com/cb"]`, `"origins":["https://app.example.com"]`)
		if hashes := c.client(made.ID).Secrets; len(made.Secret) != 43 || len(hashes) != 1 || hashes[0] != store.HashSecret(made.Secret) {
			t.Errorf("got a secret of %d characters and %d hashes, want 43 and its own", len(made.Secret), len(hashes))
		}
		want(t, c.refused("client", "create", "--id", made.ID), "already")
	})
}

func TestClientCreateForPeople(t *testing.T) {
	c := newConsole(t)
	out := c.must("client", "create", "--id", "demo")
	want(t, out, "client_id", "demo", "client_secret")
	if strings.Contains(c.must("client", "create", "--id", "page", "--auth-method", "none"), "client_secret") {
		t.Error("a public client got a secret")
	}
	if page := c.client("page"); page.Secrets != nil || page.Grants != nil {
		t.Errorf("got %+v, want a public client without secret and grants", page)
	}
}

func TestClientCreateTakesAChosenSecret(t *testing.T) {
	c := newConsole(t)
	chosen := store.NewSecret()
	if made := c.create("--id", "a", "--secret", chosen); made.Secret != chosen {
		t.Error("the secret is not the chosen one")
	}
	if status, out, _ := c.run(chosen+"\n", "client", "create", "--id", "b", "--secret", "-"); status != 0 || !strings.Contains(out, chosen) {
		t.Error("the secret was not read from standard input")
	}
	if c.client("b").Secrets[0] != store.HashSecret(chosen) {
		t.Error("another secret than that of standard input is kept")
	}
	short := "only-31-characters-and-not-one-"
	if errOut := c.refused("client", "create", "--secret", short); !strings.Contains(errOut, "--secret: has 31 characters") || strings.Contains(errOut, short) {
		t.Errorf("got %q, want the length and not the secret", errOut)
	}
}

func TestClientCreateTellsAllFaultsByFlag(t *testing.T) {
	c := newConsole(t)
	errOut := c.refused("client", "create", "--id", "a b", "--secret", "short", "--grant", "password", "--scope", `a"`, "--audience", "x#y", "--resource", "x#y",
		"--auth-method", "tls", "--token-format", "xml", "--introspect", "all", "--access-ttl", "1500ms", "--redirect-uri", "javascript:alert(1)", "--origin", "null", "--name", "\x1b")
	want(t, errOut, "--id:", "--secret:", "--grant:", "--scope:", "--audience:", "--resource:", "--auth-method:", "--token-format:", "--introspect:",
		"--access-ttl:", "--redirect-uri:", "--origin:", "--name:")
	want(t, c.refused("client", "create", "--auth-method", "none", "--grant", "client_credentials"), "--grant:", "RFC 6749 §4.4")
	want(t, c.refused("client", "create", "--access-ttl", "25h"), "--access-ttl:")
}

func TestClientUpdateChangesOnlyWhatIsGiven(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.create("--id", "x", "--name", "X", "--scope", "a b", "--access-ttl", "1m")
		before := c.client("x")
		c.must("client", "update", "x", "--scope", "c")
		c.wantAudit("client.update")
		after := c.client("x")
		if after.ScopeText() != "c" || after.Version != 2 {
			t.Errorf("got scopes %q, version %d, want c, 2", after.ScopeText(), after.Version)
		}
		after.Scopes, after.Version, after.Updated = before.Scopes, before.Version, before.Updated
		got, _ := json.Marshal(after)
		old, _ := json.Marshal(before)
		if string(got) != string(old) {
			t.Errorf("got %s, want %s", got, old)
		}
		if c.client("x").Secrets[0] != store.HashSecret(made.Secret) {
			t.Error("the secret changed")
		}
		c.must("client", "update", "x", "--scope", "")
		if scopes := c.client("x").Scopes; scopes != nil {
			t.Errorf("got scopes %v, want none", scopes)
		}
	})
}

func TestClientUpdateRefuses(t *testing.T) {
	c := newConsole(t)
	c.create("--id", "x", "--name", "X")
	want(t, c.refused("client", "update", "x"), "nothing to do")
	want(t, c.refused("client", "update", "x", "--name", "X"), "nothing to do")
	want(t, c.refused("client", "update", "y", "--name", "Y"), `there is no client "y"`)
	want(t, c.refused("client", "update", "x", "--scope", `"`, "--origin", "null"), "--scope:", "--origin:")
	want(t, c.refused("client", "update", "x", "--name", "Y", "--if-version", "7"), "version 1 now, not 7")
	want(t, c.refused("client", "update"), "id of one client")
	if version := c.client("x").Version; version != 1 {
		t.Errorf("got version %d, want 1: nothing was changed", version)
	}
	c.must("client", "update", "x", "--name", "Y", "--if-version", "1")
}

func TestClientThatBeginsToAuthenticateGetsASecret(t *testing.T) {
	c := newConsole(t)
	c.create("--id", "x", "--auth-method", "none")
	made := decodeJSON[created](t, c.must("client", "update", "x", "--auth-method", "client_secret_basic", "--json"))
	if hashes := c.client("x").Secrets; len(hashes) != 1 || hashes[0] != store.HashSecret(made.Secret) {
		t.Error("the client does not have the secret that was printed")
	}
	c.must("client", "update", "x", "--auth-method", "none")
	if hashes := c.client("x").Secrets; hashes != nil {
		t.Errorf("got %d secrets of a public client, want none", len(hashes))
	}
}

func TestClientRotateSecretKeepsThePreviousOne(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		first := c.create("--id", "x").Secret
		rotate := func() string {
			return decodeJSON[created](t, c.must("client", "rotate-secret", "x", "--json")).Secret
		}
		valid := func(secrets ...string) {
			t.Helper()
			var hashes []store.SecretHash
			for _, secret := range secrets {
				hashes = append(hashes, store.HashSecret(secret))
			}
			if got := c.client("x").Secrets; len(got) != len(hashes) || got[0] != hashes[0] || got[len(got)-1] != hashes[len(hashes)-1] {
				t.Errorf("the secrets are not those expected: %d, want %d", len(got), len(hashes))
			}
		}
		second := rotate()
		c.wantAudit("client.update")
		valid(second, first)
		third := rotate()
		valid(third, second)
		c.must("client", "rotate-secret", "x", "--drop-old")
		valid(third)
		want(t, c.refused("client", "rotate-secret", "x", "--drop-old"), "nothing to do")
		want(t, c.refused("client", "rotate-secret", "x", "--secret", third), "is the one")
		want(t, c.refused("client", "rotate-secret", "x", "--secret", "short"), "--secret: has 5")
		want(t, c.refused("client", "rotate-secret", "nobody"), "there is no client")
		c.create("--id", "page", "--auth-method", "none")
		want(t, c.refused("client", "rotate-secret", "page"), "does not authenticate")
	})
}

func TestClientDisableEnableDelete(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.create("--id", "x")
		want(t, c.must("client", "disable", "x"), "tokens are revoked (change ")
		c.wantAudit("client.update")
		if !c.client("x").Disabled {
			t.Error("the client is not disabled")
		}
		want(t, c.must("client", "disable", "x"), "already")
		want(t, c.must("client", "show", "x"), "disabled")
		want(t, c.must("client", "enable", "x"), "stay revoked")
		if c.client("x").Disabled {
			t.Error("the client is still disabled")
		}
		outcome := decodeJSON[clientOutcome](t, c.must("client", "delete", "x", "--json"))
		c.wantAudit("client.delete")
		cuts, err := c.open().Cutoffs(t.Context())
		if err != nil || len(cuts) != 1 || outcome.Cutoff == nil || outcome.Cutoff.Number != cuts[0].Number {
			t.Errorf("got %+v, want the number of the cut-off %+v (%v)", outcome, cuts, err)
		}
		if _, err := c.open().Client(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want the client gone", err)
		}
		for _, command := range []string{"disable", "enable", "delete", "show"} {
			want(t, c.refused("client", command, "x"), `there is no client "x"`)
		}
	})
}

func TestClientListAndShow(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		want(t, c.must("client", "list"), "client create")
		want(t, c.must("client", "list", "--json"), "[]")
		c.create("--id", "b", "--name", "Bee")
		c.create("--id", "a")
		all := decodeJSON[[]clientView](t, c.must("client", "list", "--json"))
		if len(all) != 2 || all[0].ID != "a" || all[1].Name != "Bee" || all[1].Secrets != 1 {
			t.Errorf("got %+v, want a and b with one secret each", all)
		}
		want(t, c.must("client", "list"), "Bee", "client_credentials", "enabled")
		want(t, c.must("client", "show", "b"), "Bee", "secrets              1")
		if one := decodeJSON[clientView](t, c.must("client", "show", "b", "--json")); one.ID != "b" {
			t.Errorf("got %+v, want b", one)
		}
	})
}

// What is printed holds no secret but where it was made, and never a hash of one.
func TestSecretsArePrintedOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		chosen := store.NewSecret()
		c.create("--id", "y", "--secret", chosen)
		secrets := []string{testSecret, chosen, c.create("--id", "x").Secret, decodeJSON[created](t, c.must("client", "rotate-secret", "x", "--json")).Secret}
		text := c.opaque(c.record("x", time.Hour))
		for _, key := range c.config().secrets.HS256() {
			secrets = append(secrets, key.Base64())
		}
		c.printed.Reset()
		for _, line := range []string{
			"client list", "client list --json", "client show x", "client show x --json", "client update x --name n", "client disable x --json", "client enable x",
			"client rotate-secret x --drop-old --json", "client create --id x --secret " + chosen, "token explain " + text, "token explain --json " + text,
			"revoke --token " + text, "revoke --client x --json", "keys list", "keys list --json", "config check", "config check --json", "replicas", "migrate status",
			"config variables", "keys reset --yes --json", "client delete x", "client rotate-secret y --secret " + chosen,
		} {
			c.run("", strings.Fields(line)...)
		}
		for i, secret := range append(secrets, text) {
			hash, _ := store.HashSecret(secret).MarshalText()
			if strings.Contains(c.printed.String(), secret) || strings.Contains(c.printed.String(), string(hash)) {
				t.Errorf("secret %d or its hash was printed", i)
			}
		}
		if c.printed.Len() < 5000 {
			t.Errorf("only %d bytes were printed: the test looks at nothing", c.printed.Len())
		}
	})
}

// The largest client that is accepted still gets tokens.
func TestLargestClientFitsIntoAToken(t *testing.T) {
	c := newConsole(t, "OAUTH2_JWT_ALG=RS256")
	words := func(n int) string { return strings.TrimSuffix(strings.Repeat("abcdefg ", n), " ") }
	r := c.record(strings.Repeat("i", 128), time.Hour)
	r.Scope, r.Audience = []byte(words(256)), []byte(words(256))
	client := store.Client{
		ID: string(r.Client), Secrets: []store.SecretHash{{1}},
		Scopes: strings.Fields(string(r.Scope)), Audiences: strings.Fields(string(r.Audience)),
	}
	if err := client.Validate(nil); err != nil {
		t.Fatal(err)
	}
	text, err := token.AppendJWT(nil, c.ring().Signer(), "https://"+strings.Repeat("a", 200)+".example.com", r)
	if err != nil {
		t.Fatal(err)
	}
	var back store.Record
	if err := back.Parse(r.Append(nil)); err != nil || len(text) > token.MaxJWTBytes {
		t.Errorf("got a JWT of %d bytes and %v", len(text), err)
	}
	client.Scopes = append(client.Scopes, "x")
	if client.Validate(nil) == nil {
		t.Error("a larger client is accepted")
	}
}
