package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

func partitions(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	return get[string](t, conn, "select coalesce(string_agg(inhrelid::regclass::text, ' ' order by inhrelid::regclass::text), '') from pg_inherits where inhparent = 'tokens'::regclass")
}

func tables(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	return get[string](t, conn, "select coalesce(string_agg(tablename, ' ' order by tablename), '') from pg_tables where tablename ~ '^tokens_'")
}

// due is the partitions that must be there now, by the clock of the server.
func due(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	return get[string](t, conn, "select string_agg(to_char(clock_timestamp() at time zone 'UTC' + i * interval '1 day', '\"tokens_\"YYYYMMDD'), ' ' order by i) from generate_series(0, 3) i")
}

func TestPartitionsTurnOver(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	want := due(t, conn)
	if got := partitions(t, conn); got != want {
		t.Fatalf("after Migrate: %s, want %s", got, want)
	}
	run(t, conn, "create table tokens_20200101 partition of tokens for values from ('2020-01-01Z') to ('2020-01-02Z')")
	run(t, conn, "create table tokens_20200102 (like tokens including all)") // detached, and then the maintainer died
	run(t, conn, "create table tokens_20201399 (note text)")                 // not ours: no such day
	run(t, conn, "insert into tokens values (gen_random_uuid(), '2020-01-01 12:00Z', 'x')")
	run(t, conn, "drop table "+strings.Fields(want)[2])
	for range 2 { // the second time there is nothing to do
		if err := db.Maintain(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if got := partitions(t, conn); got != want {
		t.Errorf("partitions are %s, want %s", got, want)
	}
	if got := tables(t, conn); got != "tokens_20201399 "+want {
		t.Errorf("tables are %s, want tokens_20201399 %s", got, want)
	}
}

// A partition outlives its last token by a day.
func TestYesterdaysPartitionStays(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	f := func(daysAgo int, stays bool) {
		t.Helper()
		start := get[time.Time](t, conn, "select date_trunc('day', clock_timestamp(), 'UTC')").UTC().AddDate(0, 0, -daysAgo)
		p := partition{start: start}
		run(t, conn, "create table "+p.name()+" partition of tokens for values from ('"+start.Format(time.RFC3339)+"') to ('"+start.Add(day).Format(time.RFC3339)+"')")
		if err := db.Maintain(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(tables(t, conn), p.name()); got != stays {
			t.Errorf("the partition of %d days ago is there: %v, want %v", daysAgo, got, stays)
		}
	}
	f(1, true)
	f(2, false)
}

// While a long reader holds every partition, the old one is being detached and a new
// one attached, inserts and reads go on. All of them end before the reader does.
func TestLongReaderStopsNothingWhilePartitionsTurnOver(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	want := due(t, conn)
	run(t, conn, "create table tokens_20200101 partition of tokens for values from ('2020-01-01Z') to ('2020-01-02Z')")
	run(t, conn, "create table tokens_20200102 partition of tokens for values from ('2020-01-02Z') to ('2020-01-03Z')")
	run(t, conn, "drop table "+strings.Fields(want)[3])

	reader := sql(t, db.options.URL)
	run(t, reader, "begin isolation level repeatable read")
	get[int](t, reader, "select count(*) from tokens")

	maintained := make(chan error, 2)
	go func() {
		maintained <- db.Maintain(within(t, 10*time.Second))
		maintained <- db.Maintain(within(t, 10*time.Second)) // finds the detaching begun
	}()
	writes := 0
	for len(maintained) < 2 {
		row := token(time.Hour)
		if err := db.InsertTokens(within(t, 2*time.Second), []store.Token{row}); err != nil {
			t.Fatalf("InsertTokens beside a long reader: %v", err)
		}
		found := false
		err := db.FindTokens(within(t, 2*time.Second), []store.TokenKey{row.TokenKey}, func(int, []byte) { found = true })
		if err != nil || !found {
			t.Fatalf("FindTokens beside a long reader: %v, found %v", err, found)
		}
		writes++
	}
	for range 2 {
		if err := <-maintained; err != nil {
			t.Errorf("Maintain beside a long reader: %v", err)
		}
	}
	if writes < 10 {
		t.Errorf("only %d inserts while partitions turned over", writes)
	}
	if got := tables(t, conn); got != "tokens_20200101 tokens_20200102 "+want {
		t.Errorf("beside a long reader the tables are %s, want %s and the old ones", got, want)
	}
	if !get[bool](t, conn, "select bool_or(inhdetachpending) from pg_inherits where inhparent = 'tokens'::regclass") {
		t.Error("no old partition is being detached concurrently")
	}
	run(t, reader, "commit")
	if err := db.Maintain(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := tables(t, conn); got != want {
		t.Errorf("after the reader ended the tables are %s, want %s", got, want)
	}
}

func TestOneMaintains(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, "drop table "+strings.Fields(due(t, conn))[3])
	run(t, conn, "select pg_advisory_lock($1)", int64(maintainLock))
	before := partitions(t, conn)
	if err := db.Maintain(within(t, 10*time.Second)); err != nil {
		t.Errorf("Maintain beside another: %v", err)
	}
	if _, err := db.Prune(within(t, 10*time.Second)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Prune beside another: got %v, want %v", err, store.ErrConflict)
	}
	if got := partitions(t, conn); got != before {
		t.Errorf("two maintained at once: partitions are %s, were %s", got, before)
	}
}

func TestMaintainPrunes(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 30*time.Second)
	conn := sql(t, db.options.URL)
	run(t, conn, "update changes set at = at - interval '2 hours'")
	run(t, conn, "insert into changes (seq, at, body) select nextval('changes_seq'), now() - interval '61 minutes', '{}' from generate_series(1, 10500)")
	run(t, conn, "insert into denials select 1, gen_random_uuid(), now() - interval '1 day' - interval '1 second' * i, 'x', now() from generate_series(1, 10500) i")
	run(t, conn, "insert into denials select 1, gen_random_uuid(), now() + interval '1 hour', 'x', now() from generate_series(1, 5) i")
	newest := get[int](t, conn, "select max(seq) from changes")
	if err := db.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if n, last := get[int](t, conn, "select count(*) from changes"), get[int](t, conn, "select max(seq) from changes"); n != 1 || last != newest {
		t.Errorf("%d changes are left, the newest %d; want only %d", n, last, newest)
	}
	if n := get[int](t, conn, "select count(*) from denials"); n != 5 {
		t.Errorf("%d denials are left, want the 5 that have not expired", n)
	}
	if _, err := db.CutOff(ctx, tester, store.CutAll, ""); err != nil {
		t.Fatal(err)
	}
	if err := db.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if n := get[int](t, conn, "select count(*) from changes"); n != 1 {
		t.Errorf("%d changes are left, want only the young one", n)
	}
}
