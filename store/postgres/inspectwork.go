package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// inspectRows bounds every list: an incident may make thousands of one sort.
const inspectRows = 50

// Only a backend that waits is asked who holds it up: the question locks the table of locks. Of the texts of queries the first
// word is read and no more, they may hold what is secret.
const sqlWaits = `select w.pid, coalesce(nullif(w.application_name, ''), 'unnamed'),
		(extract(epoch from clock_timestamp() - coalesce((select min(l.waitstart) from pg_locks l where l.pid = w.pid and not l.granted), w.query_start, clock_timestamp())) * 1e9)::int8,
		holder, coalesce(nullif(h.application_name, ''), 'unnamed'), coalesce(h.state, ''),
		coalesce(extract(epoch from clock_timestamp() - h.xact_start) * 1e9, 0)::int8, coalesce(substring(h.query from '^[A-Za-z]{1,20}'), '')
	from pg_stat_activity w cross join unnest(pg_blocking_pids(w.pid)) as holder left join pg_stat_activity h on h.pid = holder
	where w.wait_event_type = 'Lock' order by 3 desc limit $1`

func (s *inspection) seeWaits(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Waits, err = list[store.LockWait](ctx, conn, sqlWaits, inspectRows)
	return err
}

// Locks that keep writers out, of transactions older than a second: ours have them for milliseconds. The strongest lock of a
// transaction is the first by name. How old one of another user is only some users may see.
const sqlLocks = `select l.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, ''),
		(array_agg(c.relname::text order by l.mode, c.relname))[1], min(l.mode),
		coalesce(extract(epoch from clock_timestamp() - a.xact_start) * 1e9, 0)::int8 as held, coalesce(substring(a.query from '^[A-Za-z]{1,20}'), '')
	from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace join pg_stat_activity a on a.pid = l.pid
	where l.granted and l.database = (select oid from pg_database where datname = current_database()) and n.nspname = current_schema()
		and c.relkind in ('r', 'p') and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		and l.pid <> pg_backend_pid() and coalesce(a.backend_type, 'client backend') = 'client backend'
		and (a.xact_start is null or a.xact_start < clock_timestamp() - interval '1 second')
	group by l.pid, a.application_name, a.state, a.xact_start, a.query order by held desc limit $1`

func (s *inspection) seeLocks(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Locks, err = list[store.Lock](ctx, conn, sqlLocks, inspectRows)
	return err
}

const sqlTransactions = `select pid, coalesce(nullif(application_name, ''), 'unnamed') as name, coalesce(state, ''),
		(extract(epoch from clock_timestamp() - xact_start) * 1e9)::int8 as age,
		coalesce(extract(epoch from clock_timestamp() - state_change) * 1e9, 0)::int8, coalesce(backend_type, '') = 'autovacuum worker'
	from pg_stat_activity where xact_start < clock_timestamp() - $1 * interval '1 microsecond' and pid <> pg_backend_pid()
		and coalesce(backend_type, 'client backend') in ('client backend', 'autovacuum worker')
	union all
	select 0, gid, 'prepared', (extract(epoch from clock_timestamp() - prepared) * 1e9)::int8, (extract(epoch from clock_timestamp() - prepared) * 1e9)::int8, false
	from pg_prepared_xacts where prepared < clock_timestamp() - $1 * interval '1 microsecond'
	order by age desc limit $2`

func (s *inspection) seeTransactions(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Transactions, err = list[store.Transaction](ctx, conn, sqlTransactions, store.OldTransaction.Microseconds(), inspectRows)
	return err
}

const sqlStandbys = `select application_name, coalesce(state, ''), coalesce(sync_state, ''),
		coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::int8, coalesce(extract(epoch from replay_lag) * 1e9, 0)::int8
	from pg_stat_replication order by 1 limit $1`

func (s *inspection) seeStandbys(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Standbys, err = list[store.Standby](ctx, conn, sqlStandbys, inspectRows)
	return err
}

const sqlSlots = `select slot_name, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8, coalesce(wal_status, '')
	from pg_replication_slots order by 3 desc limit $1`

func (s *inspection) seeSlots(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Slots, err = list[store.Slot](ctx, conn, sqlSlots, inspectRows)
	return err
}

func (s *inspection) seeFrozen(ctx context.Context, conn *pgx.Conn) error {
	return conn.QueryRow(ctx, "select age(datfrozenxid) from pg_database where datname = current_database()").Scan(&s.FrozenAge)
}

const sqlCounters = `select deadlocks, temp_bytes, coalesce(stats_reset, pg_postmaster_start_time())
	from pg_stat_database where datname = current_database()`

func (s *inspection) seeCounters(ctx context.Context, conn *pgx.Conn) error {
	c := &s.Counters
	return conn.QueryRow(ctx, sqlCounters).Scan(&c.Deadlocks, &c.TempBytes, &c.Since)
}

// Postgres 17 moved the checkpoints.
const (
	sqlCheckpointer = "select to_regclass('pg_catalog.pg_stat_checkpointer') is not null"
	sqlCheckpoints  = "select checkpoints_timed, checkpoints_req, coalesce(stats_reset, pg_postmaster_start_time()) from pg_stat_bgwriter"
	sqlCheckpoint17 = "select num_timed, num_requested, coalesce(stats_reset, pg_postmaster_start_time()) from pg_stat_checkpointer"
)

func (s *inspection) seeCheckpoints(ctx context.Context, conn *pgx.Conn) error {
	var moved bool
	if err := conn.QueryRow(ctx, sqlCheckpointer).Scan(&moved); err != nil {
		return err
	}
	sql := sqlCheckpoints
	if moved {
		sql = sqlCheckpoint17
	}
	c := &s.Counters
	return conn.QueryRow(ctx, sql).Scan(&c.Timed, &c.Requested, &c.LogSince)
}

// list is the rows of a query whose columns are the fields of T, in order.
func list[T any](ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
