package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

// Values by Java's own definition: "Aa" and "BB" are its best known collision.
func TestJavaHash(t *testing.T) {
	f := func(s string, want int32) {
		t.Helper()
		if got := javaHash(s); got != want {
			t.Errorf("javaHash(%q) = %d, want %d", s, got, want)
		}
	}
	f("", 0)
	f("a", 97)
	f("Aa", 2112)
	f("BB", 2112)
	f("hello", 99162322)
	f("\U0001F600", 31*0xD83D+0xDE00) // two UTF-16 units
	f("polygenelubricants", -1<<31)
}

func TestMigrateTwiceAppliesOnce(t *testing.T) {
	db := connectURL(t, private.TestDatabase(t))
	var (
		mu      sync.Mutex
		applied []migrations.Migration
		group   sync.WaitGroup
	)
	for range 4 {
		group.Go(func() {
			steps, err := db.Migrate(within(t, 30*time.Second))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, steps...)
		})
	}
	group.Wait()
	if len(applied) != len(db.steps) {
		t.Errorf("four at once applied %d steps, want %d", len(applied), len(db.steps))
	}
	all, err := db.MigrationStatus(t.Context())
	if err != nil || len(all) != len(db.steps) || all[0].State != migrations.StateApplied {
		t.Errorf("MigrationStatus = %v, %v", all, err)
	}
	if age := time.Since(all[0].InstalledOn).Abs(); age > time.Hour {
		t.Errorf("installed on %v", all[0].InstalledOn)
	}
}

// Flyway takes this lock for the history in schema public: its magic number
// and the hash of "public"."flyway_schema_history", quotes included.
func TestMigrateWaitsForFlyway(t *testing.T) {
	address := private.TestDatabase(t)
	db := connectURL(t, address)
	flyway := sql(t, address)
	key := int64(77431708279161) + int64(javaHash(`"public"."flyway_schema_history"`))
	run(t, flyway, "select pg_advisory_lock($1)", key)

	_, err := db.Migrate(within(t, 300*time.Millisecond))
	wantFault(t, "Migrate beside Flyway", err, store.StepQuery)
	if get[bool](t, flyway, "select to_regclass('changes') is not null") {
		t.Error("Migrate made tables while Flyway held the lock")
	}
	done := make(chan error)
	go func() {
		_, err := db.Migrate(within(t, 30*time.Second))
		done <- err
	}()
	run(t, flyway, "select pg_advisory_unlock($1)", key)
	if err := <-done; err != nil {
		t.Errorf("Migrate after Flyway: %v", err)
	}
}

// The table and its row as Flyway's PostgreSQLDatabase.getRawCreateScript and
// JdbcTableSchemaHistory write them.
func TestHistoryIsFlyways(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	rows, _ := conn.Query(t.Context(), `select column_name || ' ' || data_type || coalesce('(' || character_maximum_length || ')', '') || ' ' || is_nullable || coalesce(' ' || column_default, '')
		from information_schema.columns where table_name = 'flyway_schema_history' order by ordinal_position`)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := `installed_rank integer NO
version character varying(50) YES
description character varying(200) NO
type character varying(20) NO
script character varying(1000) NO
checksum integer YES
installed_by character varying(100) NO
installed_on timestamp without time zone NO now()
execution_time integer NO
success boolean NO`
	if got := strings.Join(columns, "\n"); got != want {
		t.Errorf("columns:\n%s\nwant:\n%s", got, want)
	}
	indexes := get[string](t, conn, "select string_agg(indexname, ' ' order by indexname) from pg_indexes where tablename = 'flyway_schema_history'")
	if indexes != "flyway_schema_history_pk flyway_schema_history_s_idx" {
		t.Errorf("indexes: %s", indexes)
	}
	first := get[string](t, conn, "select concat_ws('|', installed_rank, version, description, type, script, checksum, installed_by, success) from flyway_schema_history where installed_rank = 1")
	step := db.steps[0]
	if want := "1|1|" + step.Description + "|SQL|" + step.Script + "|" + get[string](t, conn, "select $1::int::text", step.Checksum) + "|postgres|t"; first != want {
		t.Errorf("row %s, want %s", first, want)
	}
}

func TestMigrateRefusesAHistoryItCannotContinue(t *testing.T) {
	f := func(want, forge string) {
		t.Helper()
		db := openDB(t)
		run(t, sql(t, db.options.URL), forge)
		_, err := db.Migrate(within(t, 10*time.Second))
		wantFault(t, "Migrate", err, store.StepSchema)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Migrate = %v, want the words %q", err, want)
		}
		_, err = db.Load(within(t, 10*time.Second), func(*store.Change) error { return nil })
		wantFault(t, "Load", err, store.StepSchema)
	}
	f("changed after it was applied", "update flyway_schema_history set checksum = checksum + 1")
	f("failed", "update flyway_schema_history set success = false")
	f("does not know it", "update flyway_schema_history set version = '0'")
}

func TestNewerSchemaIsServedAndOlderIsNot(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	run(t, conn, `insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		values (99, '99', 'later', 'SQL', 'V99__later.sql', 1, 'x', 1, true)`)
	load := func() error {
		_, err := db.Load(within(t, 10*time.Second), func(*store.Change) error { return nil })
		return err
	}
	if err := load(); err != nil {
		t.Errorf("Load on a newer schema: %v", err)
	}
	all, err := db.MigrationStatus(t.Context())
	if err != nil || all[len(all)-1].State != migrations.StateNewer {
		t.Errorf("MigrationStatus = %v, %v, want a newer one", all, err)
	}
	run(t, conn, "delete from flyway_schema_history")
	err = load()
	wantFault(t, "Load on an older schema", err, store.StepSchema)
	if err == nil || !strings.Contains(err.Error(), migrateHint) {
		t.Errorf("Load = %v, want %s", err, migrateHint)
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	db := openDB(t)
	good := db.steps
	db.steps = append(good[:len(good):len(good)], migrations.Migration{
		Version: 98, Script: "V98__bad.sql", SQL: "create table half (x int); insert into half values (1); select 1/0;",
	})
	if _, err := db.Migrate(within(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "V98__bad.sql") {
		t.Errorf("Migrate = %v, want an error that names the script", err)
	}
	conn := sql(t, db.options.URL)
	if get[bool](t, conn, "select to_regclass('half') is not null") {
		t.Error("a failed migration left a table")
	}
	if n := get[int](t, conn, "select count(*) from flyway_schema_history"); n != len(good) {
		t.Errorf("the history has %d rows, want %d", n, len(good))
	}
	db.steps = good
	if steps, err := db.Migrate(within(t, 10*time.Second)); err != nil || len(steps) != 0 {
		t.Errorf("Migrate afterwards = %v, %v", steps, err)
	}
}

func TestStatusOfAnEmptyDatabaseChangesNothing(t *testing.T) {
	address := private.TestDatabase(t)
	db := connectURL(t, address)
	all, err := db.MigrationStatus(t.Context())
	if err != nil || len(all) != len(db.steps) || all[0].State != migrations.StatePending {
		t.Errorf("MigrationStatus = %v, %v, want all pending", all, err)
	}
	if n := get[int](t, sql(t, address), "select count(*) from pg_tables where schemaname = 'public'"); n != 0 {
		t.Errorf("the status made %d tables", n)
	}
	if _, err := db.Load(context.Background(), nil); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), migrateHint) {
		t.Errorf("Load = %v, want %s", err, migrateHint)
	}
}
