package private

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

// startPostgres is a server of the test's own, which it may mistreat.
func startPostgres(t *testing.T) *Postgres {
	t.Helper()
	p, err := StartPostgres("", "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// connect is a connection to url. It waits a minute at most.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func query[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var got T
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestPostgresIsDurableByDefault(t *testing.T) {
	p, err := StartPostgres("")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn := connect(t, p.URL("postgres"))
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := query[string](t, conn, "show "+setting); got != "on" {
			t.Errorf("%s: got %s, want on", setting, got)
		}
	}
}

func TestPostgresTakesSettings(t *testing.T) {
	conn := connect(t, TestPostgres(t).URL("postgres"))
	if got := query[string](t, conn, "show fsync"); got != "off" {
		t.Errorf("fsync: got %s, want off", got)
	}
	if got := query[int](t, conn, "select setting::int from pg_settings where name = 'max_connections'"); got != 200 {
		t.Errorf("max_connections: got %d, want 200", got)
	}
}

func TestPostgresFailureTellsTheLog(t *testing.T) {
	dir, err := os.MkdirTemp("", "private-test-") //nolint:usetesting // t.TempDir lets no other user pass
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := StartPostgres(dir, "no_such_setting=1")
	if err == nil {
		p.Close()
		t.Fatal("a server with an unknown setting started")
	}
	if !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %q, want what the log says", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	first, second := TestDatabase(t), TestDatabase(t)
	execute(t, connect(t, first), "create table only_here (n int)")
	if n := query[int](t, connect(t, second), "select count(*) from pg_tables where tablename = 'only_here'"); n != 0 {
		t.Error("the second database has the table of the first")
	}
}

func TestDatabaseIsDroppedAfterItsTest(t *testing.T) {
	var name string
	t.Run("user", func(t *testing.T) {
		conn := connect(t, TestDatabase(t))
		name = query[string](t, conn, "select current_database()")
	})
	conn := connect(t, TestPostgres(t).URL("postgres"))
	if n := query[int](t, conn, fmt.Sprintf("select count(*) from pg_database where datname = '%s'", name)); n != 0 {
		t.Errorf("database %s is left", name)
	}
}

func TestPostgresKeepsCommitsThroughKill(t *testing.T) {
	p := startPostgres(t)
	url, err := p.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	execute(t, conn, "create table kept (n int)")
	execute(t, conn, "insert into kept values (42)")
	procs, pid := tree(p.Pid()), p.Pid()
	if len(procs) < 5 {
		t.Fatalf("got %d processes, want the server and its children", len(procs))
	}

	p.Kill()
	for _, proc := range procs {
		if proc.alive() {
			t.Errorf("process %d survived", proc.pid)
		}
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a killed server answers")
	}
	if _, err := os.Stat(filepath.Join(p.data, "postmaster.pid")); !os.IsNotExist(err) {
		t.Errorf("the lock file is left, which may name another's process by now: %v", err)
	}

	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if p.Pid() == pid {
		t.Error("the pid is the old one")
	}
	if got := query[int](t, connect(t, url), "select n from kept"); got != 42 {
		t.Errorf("got %d, want 42", got)
	}
}

func TestStoppedPostgresAnswersLater(t *testing.T) {
	p := startPostgres(t)
	conn := connect(t, p.URL("postgres"))
	p.Stop()
	for _, proc := range tree(p.Pid()) {
		if !proc.still() {
			t.Errorf("process %d is in state %c, not stopped", proc.pid, proc.state)
		}
	}
	answer := make(chan error, 1)
	go func() { answer <- conn.Ping(context.Background()) }()
	select {
	case err := <-answer:
		t.Errorf("a stopped server answered: %v", err)
	case <-time.After(50 * time.Millisecond): // long for an answer that takes a tenth of a millisecond
	}
	p.Continue()
	if err := <-answer; err != nil {
		t.Errorf("after it was continued: %v", err)
	}
}

func TestStoppedPostgresCanBeKilled(t *testing.T) {
	p := startPostgres(t)
	p.Stop()
	procs := tree(p.Pid())
	p.Kill()
	for _, proc := range procs {
		if proc.alive() {
			t.Errorf("process %d survived", proc.pid)
		}
	}
	p.Stop() // of what is not running: nothing happens
	p.Continue()
	p.Kill()
}

func TestCloseLeavesNothing(t *testing.T) {
	before := descendants(t)
	p, err := StartPostgres("", "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	procs, pid := tree(p.Pid()), p.Pid()
	if segments(t, pid) == 0 {
		t.Error("no shared memory of the server is seen")
	}
	p.Close()
	p.Close() // a second time does nothing
	for _, proc := range procs {
		if proc.alive() {
			t.Errorf("process %d is left", proc.pid)
		}
	}
	for pid := range descendants(t) {
		if !before[pid] {
			t.Errorf("descendant %d is left", pid)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for n := segments(t, pid); n != 0; n = segments(t, pid) { // the kernel takes its time with the last process
		if time.Now().After(deadline) {
			t.Fatalf("%d segments of shared memory are left", n)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("folder %s is left: %v", p.dir, err)
	}
}

// segments counts the segments of System V shared memory that process pid made.
func segments(t *testing.T, pid int) int {
	t.Helper()
	const creator = 4 // key shmid perms size cpid lpid …
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > creator && fields[creator] == strconv.Itoa(pid) {
			n++
		}
	}
	return n
}
