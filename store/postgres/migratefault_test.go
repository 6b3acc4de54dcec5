package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"oauth2-server/store/migrations"
)

// withStep gives the store one more step.
func withStep(db *DB, sql string) {
	db.steps = append(db.steps[:len(db.steps):len(db.steps)], migrations.Migration{Version: 97, Script: "V97__more.sql", SQL: sql})
}

func wantNoHalf(t *testing.T, db *DB) {
	t.Helper()
	conn := sql(t, db.options.URL)
	if get[bool](t, conn, "select to_regclass('half') is not null") || get[int](t, conn, "select count(*) from flyway_schema_history where version = '97'") != 0 {
		t.Error("a step that was not finished left something")
	}
}

// A step that meets a long reader gives up, so that those who wait behind it go on; the next try does it.
func TestMigrationGivesWayToALongReader(t *testing.T) {
	db := openDB(t)
	withStep(db, "create table half (x int); alter table clients add column late int")
	reader := sql(t, db.options.URL)
	run(t, reader, "begin")
	run(t, reader, "select from clients")
	failed := make(chan error, 1)
	go func() { _, err := db.Migrate(within(t, 20*time.Second)); failed <- err }()
	watcher := sql(t, db.options.URL)
	for !get[bool](t, watcher, "select exists (select from pg_locks where relation = 'clients'::regclass and not granted)") {
		select {
		case err := <-failed:
			t.Fatalf("the step does not wait for the reader: %v", err)
		default:
		}
	}
	if _, err := db.Clients(within(t, 10*time.Second)); err != nil { // behind the step, in the queue for the lock
		t.Errorf("a look-up while a step waits: %v", err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "V97__more.sql") || !busy(err) {
		t.Errorf("got %v, want that the lock was not to be had", err)
	}
	wantNoHalf(t, db)
	run(t, reader, "commit")
	if steps, err := db.Migrate(within(t, 20*time.Second)); err != nil || len(steps) != 1 {
		t.Errorf("the next try: %v, %v, want one step", steps, err)
	}
}

// Whoever migrates may die in the middle: nothing is left of the step, and its lock is free for the next.
func TestMigrationThatDiesLeavesNothing(t *testing.T) {
	db := openDB(t)
	good := db.steps
	withStep(db, "create table half (x int); select pg_sleep(600)")
	failed := make(chan error, 1)
	go func() { _, err := db.Migrate(context.Background()); failed <- err }()
	conn := sql(t, db.options.URL)
	for !get[bool](t, conn, "select count(pg_terminate_backend(pid)) > 0 from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid() and state = 'active' and datname = current_database()") {
		select {
		case err := <-failed:
			t.Fatalf("the step ended: %v", err)
		default:
		}
	}
	if err := <-failed; err == nil {
		t.Error("a migration that was killed succeeds")
	}
	wantNoHalf(t, db)
	db.steps = good
	withStep(db, "create table half (x int)")
	if steps, err := db.Migrate(within(t, 20*time.Second)); err != nil || len(steps) != 1 {
		t.Errorf("the next try: %v, %v, want one step", steps, err)
	}
}
