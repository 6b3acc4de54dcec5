package postgres

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

const (
	inspectPatience = 2 * time.Second
	// sqlInspect begins a part: what waits for a lock must not keep the rest from being seen. The settings are of the
	// transaction: those of a session would stay behind in PgBouncer.
	sqlInspect = "begin read only; set local statement_timeout = '500ms'; set local lock_timeout = '100ms'"
)

// Inspect looks at the database, for two seconds at most, on a connection of its own and without changing anything. An error
// means that nothing was seen; a part that could not be seen is told in the result.
func (db *DB) Inspect(ctx context.Context) (store.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	s := &inspection{db: db, Inspection: store.Inspection{Kind: "postgres", Unseen: map[string]string{}}}
	err := db.alone(ctx, queryExplain, s.see)
	return s.Inspection, err
}

// An inspection is one that is being made.
type inspection struct {
	store.Inspection
	db *DB
}

// see fills in the parts, the most urgent first: time may be short.
func (s *inspection) see(ctx context.Context, conn *pgx.Conn) error {
	if err := s.seeServer(ctx, conn); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		see  func(ctx context.Context, conn *pgx.Conn) error
	}{
		{"settings", s.seeSettings},
		{"schema", s.seeSchema},
		{"connections", s.seeConnections},
		{"locks", s.seeWaits},
		{"held locks", s.seeLocks},
		{"transactions", s.seeTransactions},
		{"standbys", s.seeStandbys},
		{"slots", s.seeSlots},
		{"partitions", s.seePartitions},
		{"frozen", s.seeFrozen},
		{"counters", s.seeCounters},
		{"checkpoints", s.seeCheckpoints},
		{"sizes", s.seeSizes},
		{"bytes", s.seeBytes},
		{"disk", s.seeDisk},
		{"tables", s.seeTables},
	} {
		if err := apart(ctx, conn, part.see); err != nil {
			s.Unseen[part.name] = classify(err).Error()
		}
	}
	return nil
}

// apart runs a part in a transaction of its own, which it ends in either case.
func apart(ctx context.Context, conn *pgx.Conn, see func(ctx context.Context, conn *pgx.Conn) error) error {
	if _, err := conn.Exec(ctx, sqlInspect, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	seen := see(ctx, conn)
	_, err := conn.Exec(ctx, "rollback")
	return cmp.Or(seen, err)
}

func (s *inspection) seeServer(ctx context.Context, conn *pgx.Conn) error {
	if err := conn.Ping(ctx); err != nil { // what is first takes longer
		return err
	}
	begin := time.Now()
	if err := conn.QueryRow(ctx, "select clock_timestamp(), current_setting('server_version')").Scan(&s.Now, &s.Version); err != nil {
		return err
	}
	s.Ping = time.Since(begin)
	s.Skew = s.Now.Sub(begin.Add(s.Ping / 2))
	s.Now = s.Now.UTC()
	return nil
}

// What is worth knowing of the settings. synchronous_commit is that of our connections, which ask for "on": it is another one
// only if something between here and the server drops what they ask for.
var shownSettings = []string{
	"fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "wal_level", "autovacuum", "max_wal_size",
	"shared_buffers", "max_slot_wal_keep_size", "autovacuum_freeze_max_age", "track_counts", "max_connections",
}

func (s *inspection) seeSettings(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "select name, current_setting(name) from pg_settings where name = any ($1)", shownSettings)
	if err != nil {
		return err
	}
	s.Settings = map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		s.Settings[name] = value
		return nil
	})
	return err
}

func (s *inspection) seeSchema(ctx context.Context, conn *pgx.Conn) error {
	applied, err := history{conn}.Applied(ctx)
	if err != nil {
		return err
	}
	s.Schema = migrations.Standing(s.db.steps, applied)
	return nil
}

// Backends whose kind is hidden from our user count: others than clients have no database, or are few.
const sqlConnections = `select coalesce(nullif(application_name, ''), 'unnamed'), count(*), count(*) filter (where state = 'idle')
	from pg_stat_activity where datid is not null and coalesce(backend_type, 'client backend') = 'client backend' group by 1`

// reserved_connections came with Postgres 16.
const sqlReserved = `select sum(setting::int) from pg_settings where name in ('superuser_reserved_connections', 'reserved_connections')`

func (s *inspection) seeConnections(ctx context.Context, conn *pgx.Conn) error {
	c := &s.Connections
	c.Places, c.By = 1, map[string]int{} // Maintain and the like have a connection of their own
	for _, p := range s.db.pools() {
		c.Places += cap(p.places)
	}
	if err := conn.QueryRow(ctx, "select current_setting('max_connections')::int").Scan(&c.Max); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, sqlReserved).Scan(&c.Reserved); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, sqlConnections)
	if err != nil {
		return err
	}
	var name string
	var count, idle int
	_, err = pgx.ForEachRow(rows, []any{&name, &count, &idle}, func() error {
		c.By[name] += count
		c.Used += count
		c.Idle += idle
		return nil
	})
	return err
}
