package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
	"oauth2-server/store/storetest"
)

func ageing(t testing.TB) storetest.Ageing {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	return storetest.Ageing{
		Store: db,
		Age: func(table, column string, by time.Duration) {
			t.Helper()
			was := fmt.Sprintf("%s - interval '%d seconds'", column, by/time.Second)
			if table == "limit_minutes" {
				was = fmt.Sprintf("%s - %d", column, by/time.Minute)
			}
			run(t, conn, fmt.Sprintf("update %s set %s = %s", table, column, was))
		},
		Count: func(table string) int {
			t.Helper()
			return get[int](t, conn, "select count(*) from "+table)
		},
	}
}

func TestRetention(t *testing.T) { storetest.Retention(t, ageing) }

// The variables by which this test binary, started once more, becomes a replica that prunes until it is killed.
const (
	childDatabase = "POSTGRES_TEST_CHILD_DATABASE"
	childHung     = time.Second // until a silent child's lock is another's
)

// pruneUntilKilled tells on stdout of the first row that it removed.
func pruneUntilKilled(url string) {
	db, err := Open(Options{URL: url})
	if err != nil {
		panic(err)
	}
	db.hungAfter = childHung
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		done, err := db.Prune(ctx, store.KeptDenials)
		cancel()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if done[0].Removed > 0 {
			fmt.Println("removed", done[0].Removed)
		}
	}
}

// startPruner starts a replica of which every deletion lasts for some time, and returns when it has the lock and is at it.
func startPruner(t *testing.T, db *DB, conn *pgx.Conn) *exec.Cmd {
	t.Helper()
	run(t, conn, "insert into denials select 1, gen_random_uuid(), now() - interval '1 day' - interval '1 second' * i, 'x', now() from generate_series(1, 25000) i")
	run(t, conn, `create function slow() returns trigger language plpgsql as $$
		begin if random() < 0.001 then perform pg_sleep(0.02); end if; return old; end $$`)
	run(t, conn, "create trigger slow before delete on denials for each row execute function slow()")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDatabase+"="+db.options.URL)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	for get[int](t, conn, "select count(*) from denials") == 25_000 { // until the first batch is committed
		if t.Context().Err() != nil {
			t.Fatal("the child removed nothing")
		}
	}
	return child
}

// takesOver checks that this replica prunes once the other is out of the way, and that nothing which was acknowledged meanwhile is lost.
func takesOver(t *testing.T, db *DB, conn *pgx.Conn, disable func()) {
	t.Helper()
	disable()
	ctx := within(t, time.Minute)
	row := token(time.Hour)
	denial := store.Denial{Kind: store.DenyToken, ID: row.ID, Expires: row.Expires}
	if err := errors.Join(db.InsertTokens(ctx, []store.Token{row}), db.Deny(ctx, []store.Denial{denial})); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := db.Prune(ctx, store.KeptDenials)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("prune: %v", err)
		}
	}
	if n := get[int](t, conn, "select count(*) from denials"); n != 1 {
		t.Errorf("%d denials are left, want the one that has not expired", n)
	}
	if _, err := db.FindToken(ctx, row.ID); err != nil {
		t.Errorf("the token: %v", err)
	}
	if k, err := db.Kept(ctx); err != nil || k[1].Kind != store.KeptDenials || k[1].Fault != "" || k[1].Removed == 0 {
		t.Errorf("after the run: %+v, %v", k[1], err)
	}
}

func TestPrunerIsKilledHalfWay(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	child := startPruner(t, db, conn)
	takesOver(t, db, conn, func() {
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	})
}

// A process that is stopped keeps its connection, and with it the lock: the server takes that back.
func TestPrunerHangs(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	child := startPruner(t, db, conn)
	takesOver(t, db, conn, func() {
		if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	})
}

// A kind that cannot be removed, on a full disk say, is told of, and the others are done.
func TestFaultOfAKindIsToldAndTheOthersAreDone(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 30*time.Second)
	conn := sql(t, db.options.URL)
	run(t, conn, "insert into denials values (1, gen_random_uuid(), now() - interval '25 hours', 'x', now())")
	run(t, conn, "insert into jtis values ('a', now() - interval '1 hour')")
	run(t, conn, `create function full_disk() returns trigger language plpgsql as $$
		begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
	run(t, conn, "create trigger full_disk before delete on denials for each row execute function full_disk()")
	state := func() (denials, jtis store.Kept) {
		t.Helper()
		all, err := db.Kept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			switch k.Kind {
			case store.KeptDenials:
				denials = k
			case store.KeptJTIs:
				jtis = k
			}
		}
		return denials, jtis
	}
	if err := db.Maintain(ctx); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "prune denials") {
		t.Errorf("Maintain on a full disk: got %v, want %v for denials", err, store.ErrUnavailable)
	}
	denials, jtis := state()
	if !strings.Contains(denials.Fault, "No space left") || denials.Due != 1 || jtis.Fault != "" || jtis.Removed != 1 {
		t.Errorf("after a fault: denials %+v, jtis %+v", denials, jtis)
	}
	run(t, conn, "drop trigger full_disk on denials")
	if err := db.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if denials, _ = state(); denials.Fault != "" || denials.Total != 1 {
		t.Errorf("after the fault: denials %+v", denials)
	}
}

// What others hold is left for the next time, and nobody waits: a row that a mutation has, or a whole table.
func TestPruneWaitsForNobody(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 30*time.Second)
	conn, holder := sql(t, db.options.URL), sql(t, db.options.URL)
	run(t, conn, "insert into jtis select i::text::bytea, now() - interval '1 hour' from generate_series(1, 3) i")
	run(t, conn, "insert into denials values (1, gen_random_uuid(), now() - interval '25 hours', 'x', now())")
	run(t, holder, "begin")
	run(t, holder, "update jtis set expires = expires where hash = '2'")
	run(t, holder, "lock table codes in access exclusive mode")
	done, err := db.Prune(ctx)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "prune codes") {
		t.Errorf("Prune beside a locked table: got %v, want a fault of codes", err)
	}
	for _, k := range done {
		held := int64(0)
		if k.Kind == store.KeptJTIs {
			held = 1
		}
		if k.Due != held {
			t.Errorf("%s: %d are due, want %d: the one that is held, of jtis", k.Kind, k.Due, held)
		}
		if (k.Fault != "") != (k.Kind == store.KeptCodes || k.Kind == store.KeptSizes) { // a locked table cannot be measured
			t.Errorf("%s has the fault %q", k.Kind, k.Fault)
		}
	}
	if n := get[int](t, conn, "select count(*) from jtis"); n != 1 {
		t.Errorf("%d jtis are left, want the one that is held", n)
	}
	if n := get[int](t, conn, "select count(*) from denials"); n != 0 {
		t.Errorf("%d denials are left", n)
	}
	run(t, holder, "rollback")
	if _, err := db.Prune(ctx, store.KeptJTIs); err != nil || get[int](t, conn, "select count(*) from jtis") != 0 {
		t.Errorf("Prune afterwards: %v", err)
	}
}

// A run that had to end early says how much is due still, not only that there is as much as one deletion takes.
func TestPruneThatEndsEarlySaysWhatIsLeft(t *testing.T) {
	db := openDB(t)
	run(t, sql(t, db.options.URL), fmt.Sprintf("insert into jtis select i::text::bytea, now() - interval '1 hour' from generate_series(1, %d) i", 2*pruneRows+7))
	kept := store.Kept{Kind: store.KeptJTIs}
	err := db.alone(within(t, 30*time.Second), queryMaintain, func(ctx context.Context, conn *pgx.Conn) error {
		r, err := db.pruner(ctx, conn)
		if err != nil {
			return err
		}
		return r.one(&kept, time.Now().Add(-time.Second))
	})
	if err != nil || kept.Removed != pruneRows || kept.Due != pruneRows+7 {
		t.Errorf("got %+v, %v, want %d removed and %d due", kept, err, pruneRows, pruneRows+7)
	}
}

// An index ends the search where nothing more is due: else each run reads all there is.
func TestPruningEndsWhereNothingIsDue(t *testing.T) {
	conn := sql(t, openDB(t).options.URL)
	run(t, conn, "set enable_seqscan = off")
	for kind, p := range prunings {
		if !strings.Contains(p.due[0], " order by ") || strings.Contains(p.due[0], " in (") {
			continue // looks at few rows in any case
		}
		rows, err := conn.Query(t.Context(), "explain "+p.deletion(0), pgx.QueryExecModeExec, pgx.NamedArgs{"before": time.Now(), "rows": 10})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		column, _, _ := strings.Cut(p.due[0], " ")
		if !strings.Contains(text, "Index Cond: ("+column+" < ") || strings.Contains(text, "Sort") {
			t.Errorf("%s is looked for by\n%s", kind, text)
		}
	}
}

func TestPartitionsAreKeptAsLongAsIsSet(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 30*time.Second)
	conn := sql(t, db.options.URL)
	for _, days := range []int{2, 3} {
		start := get[time.Time](t, conn, "select date_trunc('day', clock_timestamp(), 'UTC')").UTC().AddDate(0, 0, -days)
		p := partition{start: start}
		run(t, conn, "create table "+p.name()+" partition of tokens for values from ('"+start.Format(time.RFC3339)+"') to ('"+start.Add(day).Format(time.RFC3339)+"')")
	}
	want := func(keep time.Duration, due, removed int64) {
		t.Helper()
		set := func(k *store.Kept) error { k.Own, k.Keep = true, store.Period(keep); return nil }
		if err := db.SetKept(ctx, tester, store.KeptTokens, set); err != nil {
			t.Fatal(err)
		}
		all, err := db.Kept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		done, err := db.Prune(ctx, store.KeptTokens)
		if err != nil || all[0].Due != due || done[0].Removed != removed {
			t.Errorf("kept for %v: %d are due, %+v done, %v; want %d and %d", keep, all[0].Due, done, err, due, removed)
		}
	}
	want(72*time.Hour, 0, 0)
	want(48*time.Hour, 1, 1)
	want(24*time.Hour, 1, 1)
}

// A setting out of bounds, of another release say, is read as the nearest within.
func TestSettingsAreReadWithinTheirBounds(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, `insert into retention values ('denials', 60, 1, null, 0, 0, 0, ''), ('tokens', 9223372036854775807, 1, null, 0, 0, 0, '')`)
	all, err := db.Kept(within(t, 10*time.Second))
	if err != nil || all[1].Keep != all[1].Least || all[0].Keep != store.Period(store.MaxKept) {
		t.Errorf("got %+v and %+v, %v", all[0], all[1], err)
	}
}

// Partitions of the days ahead are made though nothing else can be done; what could not be made keeps none of the past.
func TestPartitionsAheadAreMadeWhateverElseFails(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	want := due(t, conn)
	run(t, conn, "drop table "+strings.Fields(want)[3])
	run(t, conn, "alter table retention rename to elsewhere")
	if err := db.Maintain(within(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "read the settings") {
		t.Errorf("without settings: got %v, want a fault of them", err)
	}
	if got := partitions(t, conn); got != want {
		t.Errorf("partitions are %s, want %s", got, want)
	}
	run(t, conn, "alter table elsewhere rename to retention")
	run(t, conn, "create table tokens_20200101 partition of tokens for values from ('2020-01-01Z') to ('2020-01-02Z')")
	last := strings.Fields(want)[3]
	run(t, conn, "drop table "+last)
	run(t, conn, "create view "+last+" as select 1 as one")
	done, err := db.Prune(within(t, 10*time.Second), store.KeptTokens)
	if err == nil || len(done) != 1 || done[0].Removed != 1 || !strings.Contains(done[0].Fault, "make partition "+last) {
		t.Errorf("one that cannot be made: got %+v, %v", done, err)
	}
}

// A partition that a long reader holds is due still, and the run says so.
func TestHeldPartitionIsDue(t *testing.T) {
	db := openDB(t)
	conn, reader := sql(t, db.options.URL), sql(t, db.options.URL)
	run(t, conn, "create table tokens_20200101 partition of tokens for values from ('2020-01-01Z') to ('2020-01-02Z')")
	run(t, reader, "begin isolation level repeatable read")
	get[int](t, reader, "select count(*) from tokens")
	done, err := db.Prune(within(t, 30*time.Second), store.KeptTokens)
	if err != nil || done[0].Removed != 0 || done[0].Due != 1 {
		t.Errorf("beside a long reader: got %+v, %v, want one that is due", done, err)
	}
	run(t, reader, "rollback")
	if done, err = db.Prune(within(t, 30*time.Second), store.KeptTokens); err != nil || done[0].Removed != 1 || done[0].Due != 0 {
		t.Errorf("afterwards: got %+v, %v", done, err)
	}
}

// Of servers that start and end again and again the newest are kept, as many as a list shows.
func TestReplicasBeyondTheNewestGo(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, fmt.Sprintf(`insert into replicas (id, version, started, public, admin, fence_ms, position, seen)
		select gen_random_uuid(), '', now(), '', '', 0, 0, now() - interval '1 second' * i from generate_series(1, %d) i`, store.MaxReplicas+7))
	done, err := db.Prune(within(t, 10*time.Second), store.KeptReplicas)
	if err != nil || done[0].Removed != 7 {
		t.Errorf("got %+v, %v, want 7 removed", done, err)
	}
	if oldest := get[int](t, conn, "select extract(epoch from now() - min(seen))::int from replicas"); oldest > store.MaxReplicas+5 {
		t.Errorf("one of %d s ago is left: not the oldest went", oldest)
	}
}
