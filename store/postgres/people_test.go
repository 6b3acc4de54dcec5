package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// plan is how a statement of a pool is executed, by the one plan made for any arguments, with the rows each step read.
func plan(t testing.TB, db *DB, statement string, args ...any) string {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), db.read.config.Load())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangUp(conn) })
	run(t, conn, "prepare it as "+statement)
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = fmt.Sprintf("'%v'", arg)
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf("explain (analyze, costs off, timing off, summary off) execute it (%s)", strings.Join(literals, ", ")))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// seeded is a store with 30,000 tokens spread over three partitions, and statistics of them.
func seeded(t testing.TB) (*DB, *pgx.Conn) {
	t.Helper()
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, `insert into tokens select ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
		clock_timestamp() + i % 3 * interval '1 day', 'x' from generate_series(1, 30000) i`)
	run(t, conn, "analyze tokens")
	return db, conn
}

func TestNewestTokensAreNotSorted(t *testing.T) {
	db, _ := seeded(t)
	got := plan(t, db, sqlNewestTokens, lastID)
	if !strings.Contains(got, "Merge Append") || !strings.Contains(got, "Index Scan Backward") || strings.Contains(got, "Seq Scan") {
		t.Errorf("the newest tokens are found by\n%s", got)
	}
	for _, step := range strings.Split(got, "\n") {
		if strings.Contains(step, "Scan") && strings.Contains(step, "rows=10000 ") {
			t.Errorf("a step reads all: %s", step)
		}
	}
}

func TestTokenIsFoundByIDInEachPrimaryKey(t *testing.T) {
	db, _ := seeded(t)
	got := plan(t, db, sqlFindToken, "01900000-0000-7000-8000-000000000007")
	if !strings.Contains(got, "Index Cond: (id = ") || strings.Contains(got, "Seq Scan") {
		t.Errorf("a token is found by\n%s", got)
	}
}

func TestAuditOfAnObjectIsFoundByIndex(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, "insert into audit (at, actor, action, object) select now(), 'cli:x', 'deny', 'token ' || i from generate_series(1, 20000) i")
	run(t, conn, "insert into audit (at, actor, action, object) select now(), 'cli:x', 'limit.update', 'limit one' from generate_series(1, 3) i")
	run(t, conn, "analyze audit")
	f := func(query store.AuditQuery, index string) {
		t.Helper()
		statement, args := auditSQL(query)
		got := plan(t, db, statement, args...)
		if !strings.Contains(got, " "+index+" ") || strings.Contains(got, "Seq Scan") {
			t.Errorf("%+v is found by\n%s", query, got)
		}
	}
	f(store.AuditQuery{Object: "limit one", Limit: 50}, "audit_object")
	f(store.AuditQuery{Object: "limit one", Before: 20002, Action: "limit.", Limit: 50}, "audit_object")
	f(store.AuditQuery{Limit: 50}, "audit_pkey")
	f(store.AuditQuery{Before: 100, Limit: 50}, "audit_pkey")
}

func TestManyTokensAreEstimated(t *testing.T) {
	db, conn := seeded(t)
	f := func(low, high int64) {
		t.Helper()
		n, err := db.CountTokens(within(t, 10*time.Second))
		if err != nil || n < low || n > high {
			t.Errorf("CountTokens = %d, %v, want %d to %d", n, err, low, high)
		}
	}
	f(29_000, 31_000)
	run(t, conn, `insert into tokens select gen_random_uuid(), clock_timestamp() + i % 3 * interval '1 day', 'x' from generate_series(1, 30000) i`)
	f(50_000, 70_000) // though nobody has analyzed them
	run(t, conn, "truncate tokens")
	f(0, 0)
}
