package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// A pruning is how the rows of a kind are found that have to go: each of due is what follows "where". @before is a time and not an
// expression of the clock: only then does an index end the search where nothing more is due.
type pruning struct {
	table, key string
	due        []string
}

var prunings = map[string]pruning{
	store.KeptDenials: {"denials", "kind, id", []string{"expires < @before order by expires"}},
	store.KeptCutoffs: {"cutoffs", "kind, name", []string{"at < @before order by at"}},
	store.KeptChanges: {"changes", "seq", []string{
		// The newest stays: followers stand on it. Numbers and times go up together, so only the oldest are looked at.
		oldest("changes", "seq") + " and seq < (select max(seq) from changes)",
	}},
	store.KeptAudit: {"audit", "id", []string{oldest("audit", "id")}},
	store.KeptCodes: {"codes", "id", []string{"expires < @before order by expires"}},
	store.KeptPushed: {"pushed", "id", []string{
		"expires < @before order by expires",
		"expires >= @before and not exists (select from clients where clients.id = client)",
	}},
	store.KeptJTIs: {"jtis", "hash", []string{"expires < @before order by expires"}},
	store.KeptGrants: {"grants", "id", []string{
		"ends < @before order by ends",
		"ends >= @before and client in " + goneClients("grants"),
	}},
	store.KeptConsents: {"consents", "user_id, client", []string{"at < @before and client in " + goneClients("consents")}},
	store.KeptLogouts: {"logouts", "id", []string{
		"next < @before order by next",
		"next >= @before and not exists (select from clients where clients.id = client)",
	}},
	store.KeptMinutes: {"limit_minutes", "minute, replica", []string{"minute < (extract(epoch from @before::timestamptz) / 60)::bigint - 1 order by minute"}},
	store.KeptRefused: {"limit_refused", "name, hash", []string{"at < @before order by at"}},
	store.KeptReplicas: {"replicas", "id", []string{
		"seen < @before",
		// A server that ends and starts again and again leaves one each time. There are never many more, so they need no index.
		fmt.Sprintf("seen >= @before and id in (select id from replicas order by seen desc offset %d)", store.MaxReplicas),
	}},
	store.KeptSizes: {"sizes", "name, at", []string{"at < @before"}},
}

// oldest is those of the oldest rows of a table that are past: it has no index by time, but its keys are drawn in order.
func oldest(table, key string) string {
	return fmt.Sprintf("%[2]s in (select %[2]s from (select %[2]s, at from %[1]s order by %[2]s limit @rows) as oldest where at < @before)", table, key)
}

// goneClients is the clients that a table names and that are gone. Of a table of many rows only the index is walked, from one client to the next.
func goneClients(table string) string {
	return fmt.Sprintf(`(with recursive owners (client) as (
			select min(client) from %[1]s union all
			select (select min(client) from %[1]s where client > owners.client) from owners where owners.client is not null
		) select client from owners where client is not null and not exists (select from clients where id = client))`, table)
}

// deletion removes at most @rows of those due. Rows that a mutation holds are left for the next time.
func (p *pruning) deletion(i int) string {
	return fmt.Sprintf("delete from %[1]s where (%[2]s) in (select %[2]s from %[1]s where %[3]s limit @rows for update skip locked)", p.table, p.key, p.due[i])
}

// count counts those due, each part up to @rows.
func (p *pruning) count() string {
	parts := make([]string, len(p.due))
	for i, due := range p.due {
		parts[i] = fmt.Sprintf("(select count(*) from (select from %s where %s limit @rows) as due)", p.table, due)
	}
	return "select " + strings.Join(parts, " + ")
}

// due is how many rows of a kind have to go, partitions of tokens; each way in which rows can be due is counted up to most.
func (r *pruner) due(k *store.Kept, most int) (n int64, err error) {
	if k.Kind == store.KeptTokens {
		all, now, err := listPartitions(r.ctx, r.conn)
		return int64(len(past(all, now, time.Duration(k.Keep)))), err
	}
	p := prunings[k.Kind]
	err = r.conn.QueryRow(r.ctx, p.count(), pgx.NamedArgs{"before": k.Before(r.now), "rows": most}).Scan(&n)
	return min(n, store.MaxDue), err
}

const (
	// By name, partitions together, also those that are detached but not dropped yet.
	sqlKeptSizes = `select case when relname ~ '^tokens_[0-9]{8}$' then 'tokens' else relname::text end as name,
			sum(greatest(reltuples, pg_stat_get_live_tuples(oid), 0))::bigint as rows, coalesce(sum(pg_total_relation_size(oid)), 0)::bigint as bytes
		from pg_class where relnamespace = (select relnamespace from pg_class where oid = 'tokens'::regclass) and relkind in ('r', 'p')
		group by 1`

	// Once an hour.
	sqlMeasure = "insert into sizes (name, at, bytes) select name, @now, bytes from (" +
		sqlKeptSizes + " union all select 'database', 0, pg_database_size(current_database())" +
		") as t where not exists (select from sizes where name = 'database' and at >= date_trunc('hour', @now::timestamptz))"

	sqlSettings = "select kind, keep, version, ran, removed, total, took, fault from retention"
)

// readSettings is every kind with how long it is kept and what the last run did.
func readSettings(ctx context.Context, conn *pgx.Conn) ([]store.Kept, error) {
	rows, err := conn.Query(ctx, sqlSettings)
	if err != nil {
		return nil, err
	}
	all := store.Unset()
	var (
		row  store.Kept
		keep *int64 // seconds
		ran  *time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&row.Kind, &keep, &row.Version, &ran, &row.Removed, &row.Total, &row.Took, &row.Fault}, func() error {
		for i := range all {
			if k := &all[i]; k.Kind == row.Kind { // one that is not known is of a newer release
				row.Own, row.Keep, row.Default, row.Least = keep != nil, k.Default, k.Default, k.Least
				if row.Own {
					row.Keep = k.Stored(*keep)
				}
				if ran != nil {
					row.Ran = ran.UTC()
				}
				*k = row
			}
		}
		return nil
	})
	return all, err
}

// Kept says how long each kind is kept, how much there is of it, and what is due. What it counts is bounded, however large the tables are.
func (db *DB) Kept(ctx context.Context) (all []store.Kept, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		r := &pruner{ctx: ctx, conn: conn}
		if err := conn.QueryRow(ctx, "select clock_timestamp()").Scan(&r.now); err != nil {
			return err
		}
		if all, err = readSettings(ctx, conn); err != nil {
			return err
		}
		return r.measure(all)
	})
	return all, err
}

// measure fills in how much there is, and how much of it is due.
func (r *pruner) measure(all []store.Kept) error {
	rows, err := r.conn.Query(r.ctx, sqlKeptSizes)
	if err != nil {
		return err
	}
	var size struct {
		name        string
		rows, bytes int64
	}
	_, err = pgx.ForEachRow(rows, []any{&size.name, &size.rows, &size.bytes}, func() error {
		for i := range all {
			if all[i].Kind == size.name {
				all[i].Rows, all[i].Bytes = size.rows, size.bytes
			}
		}
		return nil
	})
	for i := range all {
		if err != nil {
			return err
		}
		all[i].Due, err = r.due(&all[i], store.MaxDue)
	}
	return err
}

const (
	sqlFirstKept = `insert into retention (kind, version, removed, total, took, fault) values ($1, 0, 0, 0, 0, '') on conflict (kind) do nothing`
	sqlLockKept  = "select keep, version from retention where kind = $1 for update"
	sqlSetKept   = "update retention set keep = $2, version = $3 where kind = $1"
)

// SetKept lets change say how long a kind is kept: its Keep where Own is true, else the default. An error of change is returned as it is.
// ErrNotFound: there is no such kind.
func (db *DB) SetKept(ctx context.Context, actor store.Actor, kind string, change func(*store.Kept) error) error {
	_, err := db.mutate(ctx, queryMaintain, func(tx *transaction) (story, error) {
		before, err := tx.lockKept(kind)
		if err != nil {
			return story{}, err
		}
		after := before
		if err := change(&after); err != nil {
			return story{}, callerError{err}
		}
		if after, err = after.Next(&before); err != nil {
			return story{}, callerError{err}
		}
		var keep *int64
		if after.Own {
			keep = new(int64(time.Duration(after.Keep) / time.Second))
		}
		_, err = tx.conn.Exec(tx.ctx, sqlSetKept, kind, keep, after.Version)
		return story{audit: func(now time.Time, _ *store.Change) []store.Audit {
			return []store.Audit{store.AuditKept(now, actor, &before, &after)}
		}}, err
	})
	return err
}

// lockKept is the setting of a kind, locked.
func (tx *transaction) lockKept(kind string) (store.Kept, error) {
	for _, k := range store.Unset() {
		if k.Kind != kind {
			continue
		}
		if _, err := tx.conn.Exec(tx.ctx, sqlFirstKept, kind); err != nil {
			return k, err
		}
		var keep *int64
		err := tx.conn.QueryRow(tx.ctx, sqlLockKept, kind).Scan(&keep, &k.Version)
		if keep != nil {
			k.Own, k.Keep = true, k.Stored(*keep)
		}
		return k, err
	}
	return store.Kept{}, store.ErrNotFound
}
