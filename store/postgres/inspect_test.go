package postgres

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func inspect(t *testing.T, db *DB) store.Inspection {
	t.Helper()
	s, err := db.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rawConn is a connection beside the store's, which may misbehave.
func rawConn(t *testing.T, url, application string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = application
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestInspectSeesEverything(t *testing.T) {
	db := openDB(t)
	s := inspect(t, db)
	if len(s.Unseen) != 0 {
		t.Errorf("unseen: %v", s.Unseen)
	}
	if s.Kind != "postgres" || s.Version == "" || s.Now.IsZero() || s.Ping <= 0 || s.Bytes == 0 || s.FrozenAge == 0 || s.Skew.Abs() > time.Second {
		t.Errorf("got %+v", s)
	}
	if s.Schema.Applied == 0 || s.Schema.Applied != s.Schema.Known || len(s.Schema.Pending) > 0 || s.Schema.Refusal != "" {
		t.Errorf("got schema %+v", s.Schema)
	}
	if s.Settings["synchronous_commit"] != "on" || s.Settings["fsync"] != "off" {
		t.Errorf("got settings %v", s.Settings)
	}
	if c := s.Connections; c.Max != 200 || c.Reserved < 3 || c.Used < 1 || c.Places < 10 || c.By["oauth2-server/dev"] == 0 {
		t.Errorf("got connections %+v", c)
	}
	if len(s.Partitions) != daysAhead+1 || !s.Partitions[0].Attached {
		t.Errorf("got partitions %v", s.Partitions)
	}
	if i := slices.IndexFunc(s.Tables, func(t store.Table) bool { return t.Name == "tokens" }); i < 0 || s.Tables[i].Bytes+s.Tables[i].Indexes == 0 {
		t.Errorf("got tables %+v", s.Tables)
	}
	if s.Disk.Free == 0 || s.Disk.Free > s.Disk.Bytes {
		t.Errorf("got disk %+v of a server on this machine", s.Disk)
	}
}

func TestInspectChangesNothing(t *testing.T) {
	db := openDB(t)
	err := db.alone(t.Context(), queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		return apart(ctx, conn, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "delete from changes")
			return err
		})
	})
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("got %v, want it refused as read-only", err)
	}
}

func TestInspectSeesPendingSteps(t *testing.T) {
	s := inspect(t, connectURL(t, private.TestDatabase(t)))
	if s.Schema.Applied != 0 || len(s.Schema.Pending) != s.Schema.Known-1 && len(s.Schema.Pending) != s.Schema.Known {
		t.Errorf("got schema %+v", s.Schema)
	}
	if s.Unseen["partitions"] == "" || s.Bytes == 0 {
		t.Errorf("unseen %v: want the partitions, and the rest seen", s.Unseen)
	}
}

func TestInspectSeesWhoHoldsWhomUp(t *testing.T) {
	address := private.TestDatabase(t)
	db := openURL(t, address)
	holder, waiter := rawConn(t, address, "holder"), rawConn(t, address, "waiter")
	run(t, holder, "begin")
	run(t, holder, "lock table clients in access exclusive mode")
	ended := make(chan error)
	go func() {
		_, err := waiter.Exec(context.Background(), "select 'secret text' from clients")
		ended <- err
	}()
	var s store.Inspection
	for len(s.Waits) == 0 { // until the waiter waits
		s = inspect(t, db)
	}
	if w := s.Waits[0]; w.Application != "waiter" || w.HolderApp != "holder" || w.HolderState != "idle in transaction" || w.PID == w.Holder || w.Waited < 0 || w.Held <= 0 || w.HolderVerb != "lock" {
		t.Errorf("got %+v", w)
	}
	if len(s.Locks) != 0 {
		t.Errorf("got %+v of a transaction that has just begun", s.Locks)
	}
	for len(s.Locks) == 0 { // until it is a second old
		s = inspect(t, db)
	}
	if l := s.Locks[0]; len(s.Locks) != 1 || l.Application != "holder" || l.PID != s.Waits[0].Holder || l.State != "idle in transaction" || l.Table != "clients" || l.Mode != "AccessExclusiveLock" || l.Held < time.Second || l.Verb != "lock" {
		t.Errorf("got %+v", s.Locks)
	}
	if strings.Contains(fmt.Sprintf("%+v", s), "secret") {
		t.Error("the text of a query shows")
	}
	if s.Unseen["bytes"] != "" || s.Unseen["tables"] == "" {
		t.Errorf("unseen %v: want the tables, which are locked", s.Unseen)
	}
	run(t, holder, "rollback")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestInspectListsOldTransactions(t *testing.T) {
	address := private.TestDatabase(t)
	db := openURL(t, address)
	conn := rawConn(t, address, "forgetful")
	run(t, conn, "begin")
	run(t, conn, "select txid_current()")
	list := func(age time.Duration) (all []store.Transaction) {
		err := db.alone(t.Context(), queryExplain, func(ctx context.Context, conn *pgx.Conn) (err error) {
			all, err = list[store.Transaction](ctx, conn, sqlTransactions, age.Microseconds(), inspectRows)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(t store.Transaction) bool { return t.Name != "forgetful" })
	}
	if all := list(store.OldTransaction); len(all) != 0 {
		t.Errorf("young transactions are listed: %+v", all)
	}
	if all := list(0); len(all) != 1 || all[0].State != "idle in transaction" || all[0].Age <= 0 || all[0].PID == 0 {
		t.Errorf("got %+v", all)
	}
}

func TestInspectSeesSlotsAndPrepared(t *testing.T) {
	_, address := private.TestOwnPostgres(t, "max_prepared_transactions=5")
	db := openURL(t, address)
	conn := rawConn(t, address, "standby")
	run(t, conn, "select pg_create_physical_replication_slot('gone', true)")
	run(t, conn, "select pg_switch_wal()")
	run(t, conn, "create table filler as select generate_series(1, 1000)")
	s := inspect(t, db)
	if len(s.Slots) != 1 || s.Slots[0].Name != "gone" || s.Slots[0].Active || s.Slots[0].Bytes < 1<<20 || s.Slots[0].Status == "" {
		t.Errorf("got slots %+v", s.Slots)
	}
	run(t, conn, "begin")
	run(t, conn, "select txid_current()")
	run(t, conn, "prepare transaction 'orphan'")
	all := []store.Transaction{}
	err := db.alone(t.Context(), queryExplain, func(ctx context.Context, conn *pgx.Conn) (err error) {
		all, err = list[store.Transaction](ctx, conn, sqlTransactions, 0, inspectRows)
		return err
	})
	if err != nil || !slices.ContainsFunc(all, func(t store.Transaction) bool { return t.Name == "orphan" && t.State == "prepared" }) {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestInspectLeavesOutWhatTheUserMayNotSee(t *testing.T) {
	address := private.TestDatabase(t)
	openURL(t, address)
	admin := rawConn(t, address, "admin")
	name := fmt.Sprintf("weak_%d", time.Now().UnixNano())
	run(t, admin, "create role "+name+" login")
	run(t, admin, "grant select on all tables in schema public to "+name)
	t.Cleanup(func() {
		_, _ = admin.Exec(context.Background(), "drop owned by "+name+"; drop role "+name, pgx.QueryExecModeSimpleProtocol)
	})
	weak, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	weak.User = url.User(name)
	s := inspect(t, connectURL(t, weak.String()))
	if len(s.Unseen) != 1 || s.Unseen["disk"] == "" {
		t.Errorf("unseen %v, want the disk alone", s.Unseen)
	}
	if s.Connections.Used < 2 || s.Schema.Applied == 0 || s.Bytes == 0 || len(s.Tables) == 0 {
		t.Errorf("got %+v", s)
	}
}

func TestInspectWorksWhenPoolsAreFull(t *testing.T) {
	db := openDB(t)
	for _, p := range db.pools() {
		for range cap(p.places) {
			place := <-p.places
			defer func() { p.places <- place }()
		}
	}
	inspect(t, db)
}

func TestInspectOfAStoppedServerEnds(t *testing.T) {
	server, db := ownServer(t)
	server.Stop()
	_, err := db.Inspect(t.Context())
	server.Continue()
	wantFault(t, "inspect", err, store.StepQuery) // as Reach
}
