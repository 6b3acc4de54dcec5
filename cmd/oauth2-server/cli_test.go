package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// console runs commands in this process, on a database of the test's own. It keeps all that they print.
type console struct {
	t       *testing.T
	env     []string
	printed strings.Builder
}

// onEachStore runs the test on SQLite and on Postgres, both migrated.
func onEachStore(t *testing.T, test func(t *testing.T, c *console)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newConsole(t)) })
	t.Run("postgres", func(t *testing.T) {
		c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}, testEnv...)}
		c.must("migrate")
		test(t, c)
	})
}

// newConsole is on a migrated SQLite database.
func newConsole(t *testing.T, env ...string) *console {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oauth2.db")
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=sqlite:" + file}, slices.Concat(testEnv, env)...)}
	c.must("migrate")
	return c
}

// run is the exit status of a command line, and what it printed to standard output and to standard error.
func (c *console) run(stdin string, args ...string) (status int, out, errOut string) {
	c.t.Helper()
	root := newRootCommand(c.env)
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	status = execute(c.t.Context(), root)
	c.printed.WriteString(stdout.String() + stderr.String())
	return status, stdout.String(), stderr.String()
}

// must is what a command prints that has to succeed.
func (c *console) must(args ...string) string {
	c.t.Helper()
	status, out, errOut := c.run("", args...)
	if status != 0 {
		c.t.Fatalf("%v: got status %d, want 0: %s", args, status, errOut)
	}
	return out
}

// refused is what a command says that has to fail.
func (c *console) refused(args ...string) string {
	c.t.Helper()
	status, out, errOut := c.run("", args...)
	if status != 1 && status != 2 || out != "" { // TestMisuseEndsWithStatus2 tells them apart
		c.t.Fatalf("%v: got status %d and %q, want 1 or 2 and nothing: %s", args, status, out, errOut)
	}
	return errOut
}

// decodeJSON reads what a command prints with --json.
func decodeJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// config is the console's configuration, with its secrets.
func (c *console) config() *Config {
	c.t.Helper()
	config, err := loadConfig(c.env)
	if err != nil {
		c.t.Fatal(err)
	}
	return config
}

// open is the console's store.
func (c *console) open() database {
	c.t.Helper()
	db, err := openDatabase(c.config(), false, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(db.Close)
	return db
}

// ring is the ring in the store, made if there is none.
func (c *console) ring() *keys.Ring {
	c.t.Helper()
	config := c.config()
	all, err := keys.Ensure(c.t.Context(), c.open(), store.Actor{Kind: "test"}, config.secrets, keys.Alg(config.JWTAlg), time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	ring := keys.NewRing(config.secrets, keys.Alg(config.JWTAlg))
	if err := ring.Replace(all); err != nil {
		c.t.Fatal(err)
	}
	return ring
}

const testIssuer = "http://127.0.0.1:8080"

// record is what a token of the client says that is issued now.
func (c *console) record(client string, life time.Duration) *store.Record {
	c.t.Helper()
	now := time.Now()
	beat, err := c.open().Load(c.t.Context(), func(*store.Change) error { return nil })
	if err != nil {
		c.t.Fatal(err)
	}
	return &store.Record{
		ID: store.NewID(now), Issued: now.Unix(), Expires: now.Add(life).Unix(), Position: beat.Cursor.Seq,
		Client: []byte(client), Subject: []byte(client), Scope: []byte("read"), Audience: []byte("https://api.example.com"),
	}
}

// opaque is the text of an opaque token of the record, which is put into the store.
func (c *console) opaque(r *store.Record) string {
	c.t.Helper()
	row := store.Token{TokenKey: store.TokenKey{ID: r.ID, Expires: r.Expires}, Record: r.Append(nil)}
	if err := c.open().InsertTokens(c.t.Context(), []store.Token{row}); err != nil {
		c.t.Fatal(err)
	}
	return string(token.AppendOpaque(nil, c.ring().ActiveMAC(), token.Access, r.ID, r.Expires))
}

// jwt is the text of a JWT of the record.
func (c *console) jwt(r *store.Record, issuer string) string {
	c.t.Helper()
	text, err := token.AppendJWT(nil, c.ring().Signer(), issuer, r)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// lastAudit is the newest row of the audit.
func (c *console) lastAudit() store.Audit {
	c.t.Helper()
	rows, err := c.open().Audits(c.t.Context(), store.AuditQuery{Limit: 1})
	if err != nil || len(rows) != 1 {
		c.t.Fatalf("got %d rows and %v, want the newest row of the audit", len(rows), err)
	}
	return rows[0]
}

// wantAudit: the newest row of the audit is of the command line.
func (c *console) wantAudit(action string) {
	c.t.Helper()
	row := c.lastAudit()
	if row.Action != action || row.Actor != operator().String() || !strings.HasPrefix(row.Actor, "cli:") {
		c.t.Errorf("got audit of %s by %s, want %s by %s", row.Action, row.Actor, action, operator())
	}
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want it to hold %q", text, part)
		}
	}
}

func TestCommandsNeverCreateADatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "oauth2.db")
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=sqlite:" + file}}
	for _, line := range []string{
		"client create", "client list", "client show x", "client update x --name y", "client disable x", "client enable x", "client delete x",
		"client rotate-secret x", "revoke --all --yes", "token explain x", "grants list --client x", "user export x", "user update x --email y", "keys list", "keys hs256", "keys reset --yes", "replicas", "migrate status",
	} {
		want(t, c.refused(strings.Fields(line)...), "no database at", "oauth2-server migrate")
	}
	if files, _ := filepath.Glob(file + "*"); files != nil {
		t.Errorf("got files %v, want none", files)
	}
}

func TestCommandsSayWhatToDoAboutAMissingSchema(t *testing.T) {
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}}
	want(t, c.refused("client", "list"), "oauth2-server migrate")
	want(t, c.must("migrate", "status"), "pending")
}

// Who forgot the variables is told that first: it is not the database that is missing.
func TestCommandsSayThatNoDatabaseIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	const unset = "OAUTH2_DATABASE_URL is not set"
	for _, line := range []string{"doctor", "replicas", "client list", "migrate status"} {
		c := &console{t: t}
		status, _, errOut := c.run("", strings.Fields(line)...)
		want(t, errOut, unset, "no database at ./oauth2.db", "oauth2-server migrate")
		if status == 0 {
			t.Errorf("%s: got status 0", line)
		}
		c.env = []string{"OAUTH2_DATABASE_URL=sqlite:./oauth2.db"}
		if _, _, errOut = c.run("", strings.Fields(line)...); strings.Contains(errOut, unset) {
			t.Errorf("%s: got %q of a database that is named", line, errOut)
		}
	}
}

func TestCommandsSayWhoMakesADatabase(t *testing.T) {
	address, err := url.Parse(private.TestDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	address.Path = "/of_nobody"
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=" + address.String()}}
	for _, line := range []string{"migrate", "migrate status", "client list"} {
		want(t, c.refused(strings.Fields(line)...), `database: `, `"createdb --owner postgres of_nobody", then run "oauth2-server migrate"`)
	}
	_, out, _ := c.run("", "doctor", "database")
	want(t, out, "fails at the step database: ", "fix    createdb --owner ")
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "fix ") && strings.Contains(line, "migrate") && !strings.Contains(line, "createdb") {
			t.Errorf("got %q, which cannot work before there is a database", line)
		}
	}
}

// What migrate refuses, status does not send to migrate.
func TestMigrateStatusSaysWhatMigrateSays(t *testing.T) {
	address := private.TestDatabase(t)
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=" + address}}
	c.must("migrate")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "delete from flyway_schema_history where version = '2'"); err != nil {
		t.Fatal(err)
	}
	_, why, _ := strings.Cut(c.refused("migrate"), "schema: ")
	want(t, why, "was left out")
	if status := c.refused("migrate", "status"); !strings.HasSuffix(status, why) {
		t.Errorf("got %q, want what migrate says: %q", status, why)
	}
}

func TestMigrate(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		type step struct {
			Version            int
			Description, State string
			InstalledOn        time.Time `json:"installed_on"`
		}
		all := decodeJSON[[]step](t, c.must("migrate", "status", "--json"))
		if len(all) == 0 || all[0].Version != 1 || all[0].Description == "" || all[0].State != "applied" || all[0].InstalledOn.IsZero() {
			t.Errorf("got %+v, want version 1 applied, with its description and time", all)
		}
		want(t, c.must("migrate", "status"), "VERSION", "applied", all[0].Description)
		want(t, c.must("migrate"), "nothing to apply")
		want(t, c.must("migrate", "--json"), `"applied": []`)
	})
}

func TestReplicas(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		want(t, c.must("replicas"), "No replica is running.")
		want(t, c.must("replicas", "--json"), "[]")
		replica := store.Replica{ID: store.NewID(time.Now()), Version: "v9", Started: time.Now(), Public: "10.1.2.3:8080", Fence: 42, Position: 7}
		if err := c.open().Register(t.Context(), replica); err != nil {
			t.Fatal(err)
		}
		want(t, c.must("replicas"), replica.ID.String(), "v9", "10.1.2.3:8080", "42ms", "7")
		all := decodeJSON[[]store.Replica](t, c.must("replicas", "--json"))
		if len(all) != 1 || all[0].ID != replica.ID {
			t.Errorf("got %+v, want the replica", all)
		}
		want(t, c.must("replicas", "--all", "--json"), replica.ID.String())
	})
}

func TestUnknownCommandIsNotRepeated(t *testing.T) {
	c := newConsole(t)
	const secret = "oat_a-token-that-was-pasted-in-the-wrong-place"
	for _, args := range [][]string{{secret}, {"token", secret}, {"token", "explain", secret, secret}, {"client", secret}, {"keys", secret}, {"config", secret}} {
		if errOut := c.refused(args...); strings.Contains(errOut, secret) {
			t.Errorf("%v: the token is repeated: %s", args, errOut)
		}
	}
}

func TestFaultyConfigurationEndsWithStatus2(t *testing.T) {
	c := &console{t: t, env: []string{"OAUTH2_LOG_LEVEL=loud", "OAUTH2_DATABASE_URL=mysql://x"}}
	for _, line := range []string{"serve", "migrate", "client list", "config check"} {
		status, _, errOut := c.run("", strings.Fields(line)...)
		if status != 2 {
			t.Errorf("%s: got status %d, want 2", line, status)
		}
		want(t, errOut, "OAUTH2_LOG_LEVEL", "OAUTH2_DATABASE_URL")
	}
}

func TestVersion(t *testing.T) {
	c := &console{t: t}
	want(t, c.must("version"), "oauth2-server")
	want(t, c.must("version", "--json"), `"version"`, `"go"`)
}

func TestEveryCommandIsThere(t *testing.T) {
	var have []string
	for _, command := range newRootCommand(nil).Commands() {
		have = append(have, command.Name())
	}
	for _, name := range []string{"serve", "migrate", "client", "user", "grants", "token", "revoke", "limits", "keys", "replicas", "config", "version"} {
		if !slices.Contains(have, name) {
			t.Errorf("command %s is missing", name)
		}
	}
}
