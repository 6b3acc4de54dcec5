package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// A vault keeps a backup: it runs the scripts of deploy/backup.
type vault struct {
	t    *testing.T
	file string
	env  []string
}

func newVault(t *testing.T, env []string) *vault {
	return &vault{t: t, file: filepath.Join(t.TempDir(), "oauth2.dump"), env: append(env, "SERVER="+os.Args[0])}
}

// script runs one, with the file as its argument.
func (v *vault) script(name string, env ...string) (output string, err error) {
	v.t.Helper()
	cmd := exec.Command("../../deploy/backup/"+name, v.file)
	cmd.Env = append(append(os.Environ(), v.env...), env...)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (v *vault) must(name string, env ...string) string {
	v.t.Helper()
	output, err := v.script(name, env...)
	if err != nil {
		v.t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return output
}

// refused wants a script to fail, saying the parts.
func (v *vault) refused(name string, env []string, parts ...string) {
	v.t.Helper()
	output, err := v.script(name, env...)
	if err == nil {
		v.t.Errorf("%s succeeds: %s", name, output)
	}
	want(v.t, output, parts...)
}

// connect is a connection of the test's own.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func runSQL(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// swap puts the database of one URL in the place of that of another, which is set aside, under those who use it.
func swap(t *testing.T, place, with string) {
	t.Helper()
	a, b := databaseOf(t, place), databaseOf(t, with)
	conn := connect(t, strings.Replace(place, "/"+a+"?", "/postgres?", 1))
	runSQL(t, conn, "alter database "+a+" with allow_connections false")
	deadline := time.Now().Add(20 * time.Second)
	for {
		runSQL(t, conn, fmt.Sprintf("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname in ('%s', '%s')", a, b))
		_, err := conn.Exec(t.Context(), "alter database "+a+" rename to "+a+"_lost")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	runSQL(t, conn, "alter database "+b+" rename to "+a)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), strings.Replace(place, "/"+a+"?", "/postgres?", 1))
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		for _, sql := range []string{"drop database " + a + "_lost with (force)", "create database " + b} { // the other is dropped by who made it
			if _, err := conn.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
}

func databaseOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// A lostHistory is what happened before a backup, and what happened after it and is lost.
type lostHistory struct {
	*site
	app, jwt, cut   identity
	flow            *flow
	code            string   // not redeemed
	early           string   // a token of before the backup, never revoked
	dead            []string // tokens that were revoked after the backup
	generations     []string // of one grant: refreshed after the backup
	late, cutToken  string
	session         string // an operator's, of before the backup
	anna            *person
	place, restored string // URLs of databases
}

// before is what the backup has.
func (h *lostHistory) before() {
	h.t.Helper()
	r := h.replicas[0]
	h.app = h.register(store.Client{ID: "app", Grants: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"openid", "read", "offline_access"}})
	h.jwt, h.cut = h.newClient("jwt", asJWT), h.newClient("cut", asJWT)
	h.anna = h.newPerson("anna")
	h.flow = h.newFlow(h.app, "openid offline_access")
	h.generations = []string{h.flow.tokens(h.anna).text("refresh_token")}
	h.code = h.flow.code(h.anna)
	h.early, h.cutToken = r.mustIssue(h.app), r.mustIssue(h.cut)
	h.dead = []string{r.mustIssue(h.app), r.mustIssue(h.jwt)}
	session, a := r.signIn(testSeedPassword)
	if a.status != http.StatusOK {
		h.t.Fatalf("sign in: %s", a)
	}
	h.session = session
	h.partitions()
}

// partitions adds one of yesterday with an expired token, one of tomorrow's tokens, and a table that is detached.
func (h *lostHistory) partitions() {
	h.t.Helper()
	conn := connect(h.t, h.place)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	yesterday := "tokens_" + today.Add(-24*time.Hour).Format("20060102")
	for _, sql := range []string{
		"create table " + yesterday + " (like tokens including all)",
		fmt.Sprintf("alter table tokens attach partition %s for values from ('%s') to ('%s')", yesterday,
			today.Add(-24*time.Hour).Format(time.RFC3339), today.Format(time.RFC3339)),
		fmt.Sprintf("insert into tokens select gen_random_uuid(), '%s', '\\x01' from generate_series(1, 7)", today.Add(-time.Hour).Format(time.RFC3339)),
		fmt.Sprintf("insert into tokens select gen_random_uuid(), '%s', '\\x01' from generate_series(1, 11)", today.Add(36*time.Hour).Format(time.RFC3339)),
		"create table tokens_29990101 (like tokens including all)", // by a server whose clock was wrong
		"insert into tokens_29990101 select gen_random_uuid(), '2999-01-01 12:00Z', '\\x01' from generate_series(1, 3)",
	} {
		runSQL(h.t, conn, sql)
	}
}

// after is what the backup does not have.
func (h *lostHistory) after() {
	h.t.Helper()
	r := h.replicas[0]
	for i, as := range []identity{h.app, h.jwt} {
		if a := r.revoke(as, h.dead[i]); a.status != http.StatusOK {
			h.t.Fatalf("revoke: %s", a)
		}
	}
	for range 2 {
		a := r.refresh(h.app, h.generations[len(h.generations)-1])
		if a.status != http.StatusOK {
			h.t.Fatalf("refresh: %s", a)
		}
		h.generations = append(h.generations, a.text("refresh_token"))
	}
	if _, err := h.db.CutOff(h.t.Context(), rotator, store.CutClient, "cut"); err != nil {
		h.t.Fatal(err)
	}
	h.late = r.mustIssue(h.jwt)
	for i, r := range h.replicas {
		r.await("follow", func() bool {
			return !r.isActive(h.app, h.dead[0]) && !r.isActive(h.jwt, h.dead[1]) && !r.isActive(h.cut, h.cutToken)
		})
		if !r.isActive(h.app, h.early) || !r.isActive(h.jwt, h.late) {
			h.t.Fatalf("replica %d: a live token is not active", i)
		}
	}
}

// A backup is taken under load, and restored under replicas that go on with what they know: nothing that was revoked is ever active, all
// that was issued before is dead, and what is issued afterwards is good.
func TestBackupRoundTrip(t *testing.T) {
	h := &lostHistory{site: newSite(t, 2)}
	h.place = strings.TrimPrefix(h.env[0], "OAUTH2_DATABASE_URL=")
	h.before()
	v := newVault(t, h.env)

	busy := h.newClient("busy")
	var issued atomic.Int64
	stop := load(4, func(worker int) {
		if h.replicas[worker%2].issue(busy).status == http.StatusOK {
			issued.Add(1)
		}
	})
	defer stop()
	h.replicas[0].await("be busy", func() bool { return issued.Load() > 100 })
	v.must("dump.sh")
	stop()
	want(t, v.must("check.sh"), "is whole")
	h.after()

	h.restored = private.TestDatabase(t)
	want(t, v.must("restore.sh", "RESTORE_URL="+h.restored), "whole", "is whole", "All tokens", "newest token")
	v.refused("restore.sh", []string{"RESTORE_URL=" + h.restored}, "not empty")
	counted := connect(t, h.restored)
	for table, n := range map[string]int{"tokens_29990101": 3, "codes": 0, "pushed": 0, "users": 2, "clients": 4} {
		var got int
		if err := counted.QueryRow(t.Context(), "select count(*) from "+table).Scan(&got); err != nil || got != n {
			t.Errorf("%s: got %d rows and %v, want %d", table, got, err, n)
		}
	}

	watch := load(2, func(worker int) { // replicas that go on: never active again
		for i, as := range []identity{h.app, h.jwt} {
			if a := h.replicas[worker%2].introspect(as, h.dead[i]); a.field("active") == true {
				t.Errorf("a token that was revoked after the backup is active: %s", a)
			}
		}
	})
	defer watch()
	counted.Close(t.Context())
	swap(t, h.place, h.restored)
	for _, r := range h.replicas {
		r.await("see that everything was revoked", func() bool { return r.introspect(h.app, h.early).field("active") == false })
		r.awaitReady()
	}
	h.wantEnded(t, append(h.replicas, h.newcomer()))
	watch()
}

// newcomer starts after the restore, and knows what the database knows.
func (h *lostHistory) newcomer() *replica {
	h.t.Helper()
	r := startReplica(h.t, h.env)
	r.awaitReady()
	return r
}

func (h *lostHistory) wantEnded(t *testing.T, replicas []*replica) {
	t.Helper()
	for i, r := range replicas {
		for _, token := range append(h.dead, h.early, h.late) {
			if r.isActive(h.app, token) || r.isActive(h.jwt, token) {
				t.Errorf("replica %d: a token of before the restore is active", i)
			}
		}
		if r.isActive(h.cut, h.cutToken) {
			t.Errorf("replica %d: a token that was cut off after the backup is active", i)
		}
		for g, token := range h.generations {
			if a := r.refresh(h.app, token); !a.isGrantRefused() {
				t.Errorf("replica %d: generation %d of before the restore: %s, want invalid_grant", i, g+1, a)
			}
		}
		if a := r.post("/oauth/token", h.app, h.flow.tokenForm(h.code)); !a.isGrantRefused() {
			t.Errorf("replica %d: a code of before the restore: %s, want invalid_grant", i, a)
		}
		if a := r.ask("GET", "/admin/api/stats", h.session); a.status != http.StatusUnauthorized {
			t.Errorf("replica %d: an operator's session of before the restore: %s, want 401", i, a)
		}
		fresh := r.mustIssue(h.app)
		for j, other := range replicas {
			other.await(fmt.Sprintf("know a token of replica %d (it is %d)", i, j), func() bool { return other.isActive(h.app, fresh) })
		}
	}
	if w := h.anna.walk(h.newFlow(h.app, "openid").url()); !w.signedIn() {
		t.Error("a person's session outlived the restore")
	}
	conn := connect(t, h.place)
	var lost int
	if err := conn.QueryRow(t.Context(), "select count(*) from denials where kind = 1").Scan(&lost); err != nil || lost < len(h.dead) {
		t.Errorf("got %d denials of tokens and %v, want those that the replicas wrote back", lost, err)
	}
}
