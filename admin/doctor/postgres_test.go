package doctor

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
	"oauth2-server/store/postgres"
)

// A patient is a database that a test may hurt, and its doctor.
type patient struct {
	*testing.T
	url string
	db  *postgres.DB
}

// newPatient is a migrated database on a server of its own, as durable as Postgres is.
func newPatient(t *testing.T, settings ...string) *patient {
	t.Helper()
	_, address := private.TestOwnPostgres(t, settings...)
	p := onURL(t, address)
	if _, err := p.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func onURL(t *testing.T, address string) *patient {
	t.Helper()
	db, err := postgres.Open(postgres.Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &patient{t, address, db}
}

// connect is a connection beside the server's own.
func (p *patient) connect() *pgx.Conn {
	p.Helper()
	conn, err := pgx.Connect(p.Context(), p.url)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (p *patient) run(statements ...string) {
	p.Helper()
	conn := p.connect()
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(p.Context(), sql); err != nil {
			p.Fatalf("%s: %v", sql, err)
		}
	}
}

// facts is what Gather sees.
func (p *patient) facts() *Facts {
	p.Helper()
	return Gather(p.Context(), Sources{
		Store:         p.db,
		ReachDatabase: func(ctx context.Context) []store.Reach { return postgres.Reach(ctx, p.url) },
	})
}

// wants checks that the scenario has the finding, and that its evidence has the text.
func wants(t *testing.T, f *Facts, scenario, id string, severity Severity, evidence string) {
	t.Helper()
	report := Judge(f, scenario)
	i := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.ID == id })
	if i < 0 {
		t.Errorf("%s is not found; got %+v", id, report.Findings)
		return
	}
	got := report.Findings[i]
	if got.Severity != severity || !strings.Contains(got.Evidence, evidence) || got.Cause == "" || got.Fix == "" || !strings.Contains(got.Runbook, "#") {
		t.Errorf("got %+v, want it %s with %q", got, severity, evidence)
	}
}

// wantsNone checks that nothing is to be mended.
func wantsNone(t *testing.T, f *Facts, scenarios ...string) {
	t.Helper()
	for _, scenario := range scenarios {
		if report := Judge(f, scenario); report.Bad() {
			t.Errorf("%s of a healthy one: got %+v", scenario, report.Findings)
		}
	}
}

func TestHealthyPostgres(t *testing.T) {
	p := newPatient(t)
	f := p.facts()
	if f.Database == nil || len(f.Database.Unseen) > 0 || f.DatabaseFault != nil || len(f.DatabaseWay) != 1 {
		t.Fatalf("got %+v, way %+v", f.Database, f.DatabaseWay)
	}
	f.Capacity = 1 << 40               // whatever else lies on this machine's disk
	f.Database.Ping = time.Millisecond // however busy that is
	f.Unseen = nil                     // what the other parts miss is not the question
	wantsNone(t, f, Database, Storage, Tokens)
}

func TestSchemaFindings(t *testing.T) {
	p := onURL(t, private.TestDatabase(t))
	f := p.facts()
	wants(t, f, Database, "database.schema_behind", Critical, "V1__")
	if _, err := p.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.run(`insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		values (100, '1000', 'later', 'SQL', 'V1000__later.sql', 1, 'x', 1, true)`)
	wants(t, p.facts(), Database, "database.schema_newer", Info, "V1000__later.sql")
	p.run("update flyway_schema_history set success = false where installed_rank = 100")
	wants(t, p.facts(), Database, "database.schema_refused", Critical, "V1000__later.sql failed")
}

func TestNotDurable(t *testing.T) {
	p := onURL(t, private.TestDatabase(t)) // whose server does not sync
	wants(t, p.facts(), Database, "database.not_durable", Critical, "fsync = off")
	wants(t, p.facts(), Database, "database.full_page_writes", Warning, "full_page_writes = off")
}

func TestUnreachableSaysTheStep(t *testing.T) {
	good := private.TestDatabase(t)
	for step, change := range map[string]func(*url.URL){
		store.StepName:           func(u *url.URL) { u.Host = "no-such-host.invalid:5432" },
		store.StepTCP:            func(u *url.URL) { u.Host = "127.0.0.1:1" },
		store.StepTLS:            func(u *url.URL) { u.RawQuery = "sslmode=require" },
		store.StepAuthentication: func(u *url.URL) { u.User = url.UserPassword("stranger", "hunter2") },
		store.StepDatabase:       func(u *url.URL) { u.Path = "/nowhere" },
	} {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		f := onURL(t, u.String()).facts()
		wants(t, f, Health, "database.unreachable", Critical, "the step "+step+":")
		if text := fmt.Sprint(Judge(f, All)); strings.Contains(text, "hunter2") {
			t.Errorf("the password shows: %s", text)
		}
	}
}

func TestOneHostOfTwoIsGone(t *testing.T) {
	u, err := url.Parse(private.TestDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "127.0.0.1:1," + u.Host
	p := onURL(t, u.String())
	if _, err := p.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants(t, p.facts(), Database, "database.host", Warning, "127.0.0.1:1 fails at the step tcp")
}

func TestLockWait(t *testing.T) {
	p := newPatient(t)
	holder, waiter := p.connect(), p.connect()
	for _, sql := range []string{"begin", "lock table clients in access exclusive mode"} {
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error)
	go func() {
		_, err := waiter.Exec(context.Background(), "select from clients")
		ended <- err
	}()
	f := p.facts()
	for len(f.Database.Waits) == 0 || f.Database.Waits[0].Waited < lockWaited {
		f = p.facts()
	}
	wants(t, f, Database, "database.lock_wait", Warning, fmt.Sprintf("pid %d, idle in transaction", holder.PgConn().PID()))
	if _, err := holder.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestConnectionsTaken(t *testing.T) {
	p := newPatient(t, "max_connections=120")
	for range 94 { // and those of the store: from four fifths on, below nineteen of twenty
		p.connect()
	}
	wants(t, p.facts(), Database, "database.connections", Warning, "of 117 connections taken")
	for i := range byte(10) {
		if err := p.db.Register(t.Context(), store.Replica{ID: id(i), Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, p.facts(), Database, "database.connections_need", Warning, "10 replicas and one more")
}

func TestSettingsFindings(t *testing.T) {
	p := newPatient(t)
	p.run("alter system set autovacuum = off", "select pg_reload_conf()")
	f := p.facts()
	for f.Database.Settings["autovacuum"] == "on" { // until the server has read it
		f = p.facts()
	}
	wants(t, f, Database, "database.autovacuum_off", Warning, "autovacuum = off")
	p.run("select pg_create_physical_replication_slot('gone', true)", "select pg_switch_wal()")
	wants(t, p.facts(), Storage, "database.slot", Info, "slot gone keeps")

	p.run("alter system set synchronous_standby_names = 'other'", "select pg_reload_conf()")
	for f.Database.Settings["synchronous_standby_names"] == "" {
		f = p.facts()
	}
	wants(t, f, Database, "database.standby_missing", Critical, `"other"`)
}

func TestPartitionsFindings(t *testing.T) {
	p := newPatient(t)
	now := time.Now().UTC().Truncate(day)
	name := func(at time.Time) string { return "tokens_" + at.Format("20060102") }
	old := now.Add(-5 * day)
	p.run(fmt.Sprintf("create table %s partition of tokens for values from ('%s') to ('%s')", name(old), old.Format(time.RFC3339), old.Add(day).Format(time.RFC3339)),
		"drop table "+name(now.Add(2*day)), "drop table "+name(now.Add(3*day)))
	f := p.facts()
	wants(t, f, Storage, "storage.partitions_past", Warning, name(old))
	wants(t, f, Database, "database.partitions_missing", Warning, now.Add(2*day).Format(time.DateOnly)+", "+now.Add(3*day).Format(time.DateOnly))
	p.run("drop table " + name(now.Add(day)))
	wants(t, p.facts(), Database, "database.partitions_missing", Critical, now.Add(day).Format(time.DateOnly))
}

func TestGrowthFindings(t *testing.T) {
	p := newPatient(t)
	wants(t, p.facts(), Storage, "storage.growth", Info, "not enough history")
	p.run(`delete from sizes`, `insert into sizes select 'database', now() - i * interval '6 hours', 1000000000 - i * 25000000 from generate_series(0, 20) i`)
	f := p.facts()
	f.Capacity = 1_000_000_000 // a tenth of it a day: 100 MB
	wants(t, f, Storage, "storage.full_in_days", Warning, "95.4 MiB a day")
	f.Capacity = f.Database.Bytes + 150_000_000
	wants(t, f, Storage, "storage.full_in_days", Critical, "in 1.5 days")
	f.Capacity = f.Database.Bytes + f.Database.Bytes/99
	wants(t, f, Storage, "storage.full", Critical, "OAUTH2_DATABASE_CAPACITY")
}
