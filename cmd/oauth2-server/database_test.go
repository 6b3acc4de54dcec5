package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// wantBroken wants "database check" to fail, naming the parts.
func (c *console) wantBroken(parts ...string) {
	c.t.Helper()
	status, out, errOut := c.run("", "database", "check", "--json")
	report := decodeJSON[databaseReport](c.t, out)
	if status != 1 || report.Whole || len(report.Faults) == 0 || errOut != "" {
		c.t.Errorf("got status %d, %s%s, want 1 and faults", status, out, errOut)
	}
	want(c.t, strings.Join(report.Faults, "\n"), parts...)
}

func TestDatabaseCheckCountsWhatIsThere(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.wantBroken("the key ring is empty")
		c.ring()
		c.must("client", "create", "--id", "web")
		before := time.Now().Add(-time.Second)
		c.opaque(c.record("web", time.Hour))
		c.opaque(c.record("web", 23*time.Hour))
		r := decodeJSON[databaseReport](t, c.must("database", "check", "--json"))
		if !r.Whole || r.Clients != 1 || r.Tokens != 2 || r.Keys == 0 || r.Opens != r.Keys || r.Newest == nil || r.Newest.Before(before) || r.Position == 0 || r.Rows["clients"] != 1 {
			t.Errorf("got %+v", r)
		}
		want(t, c.must("database", "check"), "whole", "newest token", "clients")
		other := &console{t: t, env: slices.Clone(c.env)}
		other.env = append(other.env, "OAUTH2_JWT_SECRET=another-secret-of-the-tests-with-more-than-32-bytes")
		other.wantBroken("do not open", "OAUTH2_JWT_SECRET")
	})
}

// Each thing that is missing is named, with what to do.
func TestDatabaseCheckNamesWhatIsMissing(t *testing.T) {
	f := func(sql string, parts ...string) {
		t.Helper()
		url := private.TestDatabase(t)
		c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + url}, testEnv...)}
		c.must("migrate")
		c.ring()
		conn := connect(t, url)
		runSQL(t, conn, sql)
		c.wantBroken(parts...)
	}
	today := "tokens_" + time.Now().UTC().Format("20060102")
	f("alter table tokens detach partition "+today, "no partition for "+time.Now().UTC().Format(time.DateOnly), "oauth2-server migrate")
	f("delete from flyway_schema_history where installed_rank = (select max(installed_rank) from flyway_schema_history)", "steps of the schema are missing", "V5__")
	f("delete from changes", "feed is empty")
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}, testEnv...)}
	c.wantBroken("V1__")
}

// After "restored" nothing of before is good, the numbers are past all clocks nearby, and it may be repeated.
func TestRestoredCutsOffEverything(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.must("client", "create", "--id", "web")
		old := c.opaque(c.record("web", time.Hour))
		c.must("token", "explain", old)
		want(t, c.refused("database", "restored"), "not confirmed")
		for range 2 {
			cut := decodeJSON[struct{ Cutoff store.Cutoff }](t, c.must("database", "restored", "--yes", "--json")).Cutoff
			if least := store.Position(time.Now().Add(clockSlack - 10*time.Second).UnixMilli()); cut.Kind != store.CutAll || cut.Number < least {
				t.Errorf("got %+v, want a cut-off of all above %d", cut, least)
			}
			c.wantAudit("cutoff")
		}
		if status, _, _ := c.run("", "token", "explain", old); status != 3 {
			t.Errorf("a token of before: got status %d, want 3", status)
		}
		c.must("token", "explain", c.opaque(c.record("web", time.Hour)))
	})
}

// A copy of the embedded database is a database; a file that is there is never written over.
func TestEmbeddedBackup(t *testing.T) {
	c := newConsole(t)
	c.ring()
	c.must("client", "create", "--id", "web")
	file := filepath.Join(t.TempDir(), "copy.db")
	c.must("database", "backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner only", info, err)
	}
	want(t, c.refused("database", "backup", file), "is there already")
	copied := &console{t: t, env: append(slices.Clone(c.env), "OAUTH2_DATABASE_URL=sqlite:"+file)}
	if r := decodeJSON[databaseReport](t, copied.must("database", "check", "--json")); !r.Whole || r.Clients != 1 {
		t.Errorf("got %+v, want a database with the client", r)
	}
	if left, _ := filepath.Glob(file + ".part*"); left != nil {
		t.Errorf("got %v left over", left)
	}
	pg := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}, testEnv...)}
	want(t, pg.refused("database", "backup", file+"2"), "deploy/backup/dump.sh")
}

// A dump that was cut, changed or lost its counts is refused, before anything is restored.
func TestDamagedDumpIsRefused(t *testing.T) {
	url := private.TestDatabase(t)
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + url}, testEnv...)}
	c.must("migrate")
	c.ring()
	c.must("client", "create", "--id", "web")
	v := newVault(t, c.env)
	v.must("dump.sh")
	v.refused("dump.sh", nil, "is there already")
	v.must("check.sh")
	whole, manifest := readFile(t, v.file), readFile(t, v.file+".json")
	empty := []string{"RESTORE_URL=" + private.TestDatabase(t)}
	damage := func(dump, counts string, parts ...string) {
		t.Helper()
		writeFile(t, v.file, dump)
		writeFile(t, v.file+".json", counts)
		v.refused("check.sh", nil, parts...)
		v.refused("restore.sh", empty, parts...)
	}
	damage(whole[:len(whole)-100], manifest, "was cut or changed")
	damage(whole[:len(whole)/2], manifest, "was cut or changed")
	damage(strings.Replace(whole, "clients", "clientz", 1), manifest, "was cut or changed")
	damage(whole, strings.Replace(manifest, `"clients": 1`, `"clients": 2`, 1), "other rows")
	damage(whole, manifest[:len(manifest)/2], "other rows")
	writeFile(t, v.file, whole)
	if err := os.Remove(v.file + ".json"); err != nil {
		t.Fatal(err)
	}
	v.refused("check.sh", nil, "without it nobody can say")
	v.refused("restore.sh", append(empty, "OAUTH2_JWT_SECRET="), "OAUTH2_JWT_SECRET is not set")
}

// With another secret than the dump's every row is restored, and no server may use them: what is missing is finished by hand.
func TestRestoreWithAnotherSecretIsFinishedLater(t *testing.T) {
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}, testEnv...)}
	c.must("migrate")
	c.ring()
	v := newVault(t, c.env)
	v.must("dump.sh")
	restored := private.TestDatabase(t)
	v.refused("restore.sh", []string{"RESTORE_URL=" + restored, "OAUTH2_JWT_SECRET=another-secret-of-the-tests-with-more-than-32-bytes"},
		"none of the secrets given opens it", "every row is restored", "database restored --yes &&")
	c.env[0] = "OAUTH2_DATABASE_URL=" + restored
	c.must("migrate")
	c.must("database", "restored", "--yes")
	want(t, c.must("database", "check"), "whole")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A dump that fails leaves nothing that looks like one: no database, no password, no space.
func TestFailedDumpLeavesNoFile(t *testing.T) {
	url := private.TestDatabase(t)
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + url}, testEnv...)}
	c.must("migrate")
	runSQL(t, connect(t, url), "insert into audit (at, actor, action, object) select now(), 'x', 'x', md5(i::text) || md5((i + 1)::text) from generate_series(1, 20000) i")
	v := newVault(t, c.env)
	f := func(env []string, parts ...string) {
		t.Helper()
		v.refused("dump.sh", env, parts...)
		if left, _ := filepath.Glob(v.file + "*"); left != nil {
			t.Errorf("got %v left over", left)
		}
	}
	f([]string{"OAUTH2_DATABASE_URL="}, "OAUTH2_DATABASE_URL is not set", "OAUTH2_DATABASE_URL_FILE")
	f([]string{"OAUTH2_DATABASE_URL=sqlite:./oauth2.db"}, "database backup")
	f([]string{"OAUTH2_DATABASE_URL=postgres://x@127.0.0.1:1/y?password=secret"}, "before the @")
	f([]string{"OAUTH2_DATABASE_URL=postgres://x:secret@127.0.0.1:1/y"}, "cannot be reached")
	if strings.Contains(c.printed.String(), "secret") {
		t.Error("the password was printed")
	}
	limited := *v
	limited.env = append(slices.Clone(v.env), "BASH_ENV="+noSpace(t, 64))
	limited.refused("dump.sh", nil, "there is no dump")
	if left, _ := filepath.Glob(v.file + "*"); left != nil {
		t.Errorf("on a full disk: got %v left over", left)
	}
	secret := filepath.Join(t.TempDir(), "url")
	writeFile(t, secret, url+"\n")
	v.must("dump.sh", "OAUTH2_DATABASE_URL=", "OAUTH2_DATABASE_URL_FILE="+secret)
	v.must("check.sh")
}

// The password goes through the environment: whoever lists processes does not see it.
func TestPasswordStaysOutOfTheProcessList(t *testing.T) {
	url := private.TestDatabase(t)
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + url}, testEnv...)}
	c.must("migrate")
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	for _, name := range []string{"psql", "pg_dump"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		stub := fmt.Sprintf("#!/bin/sh\necho \"$0 $*; password $PGPASSWORD\" >> '%s'\nexec %s \"$@\"\n", seen, real)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(stub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v := newVault(t, c.env)
	v.must("dump.sh", "PATH="+dir+":"+os.Getenv("PATH"), "OAUTH2_DATABASE_URL="+strings.Replace(url, "postgres@", "postgres:hush%2Dhush@", 1))
	lines := readFile(t, seen)
	want(t, lines, "/psql", "/pg_dump", "password hush-hush")
	for line := range strings.Lines(lines) {
		if before, _, _ := strings.Cut(line, "; password"); strings.Contains(before, "hush") {
			t.Errorf("the password is in the list of processes: %s", before)
		}
	}
}

// noSpace is a file for BASH_ENV that lets no file grow past so many KiB.
func noSpace(t *testing.T, kib int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "limit.sh")
	writeFile(t, name, fmt.Sprintf("ulimit -f %d\n", kib))
	return name
}
