package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"oauth2-server/store"
)

// A pruning is how the rows of a kind are found that have to go: each of due is what follows "where". ?1 is the time before which
// they have, in the table's own unit, and ?2 how many rows at most.
type pruning struct {
	table, key string
	unit       func(time.Time) int64
	due        []string
}

var prunings = map[string]pruning{
	store.KeptTokens:  {"tokens", "expires, id", time.Time.Unix, []string{"expires < ?1 order by expires"}},
	store.KeptDenials: {"denials", "kind, id", time.Time.Unix, []string{"expires < ?1 order by expires"}},
	store.KeptCutoffs: {"cutoffs", "kind, name", time.Time.Unix, []string{"at < ?1 order by at"}},
	store.KeptChanges: {"changes", "seq", time.Time.Unix, []string{
		// Never the newest: it is where new followers stand, and the next number follows from it. Numbers and times go up
		// together, so only the oldest are looked at.
		oldest("changes", "seq") + " and seq < (select max(seq) from changes)",
	}},
	store.KeptAudit: {"audit", "id", time.Time.UnixMicro, []string{oldest("audit", "id")}},
	store.KeptCodes: {"codes", "id", time.Time.Unix, []string{"expires < ?1 order by expires"}},
	store.KeptPushed: {"pushed", "id", time.Time.Unix, []string{
		"expires < ?1 order by expires", "expires >= ?1 and client not in (select id from clients)",
	}},
	store.KeptJTIs: {"jtis", "hash", time.Time.Unix, []string{"expires < ?1 order by expires"}},
	store.KeptGrants: {"grants", "id", time.Time.UnixMicro, []string{
		"ends < ?1 order by ends", "ends >= ?1 and client in " + goneClients("grants"),
	}},
	store.KeptConsents: {"consents", "user_id, client", time.Time.Unix, []string{
		"unixepoch(body->>'at') < ?1 and client in " + goneClients("consents"),
	}},
	store.KeptLogouts: {"logouts", "id", time.Time.UnixMicro, []string{
		"next < ?1 order by next", "next >= ?1 and client not in (select id from clients)",
	}},
	store.KeptMinutes: {"limit_minutes", "minute, replica", func(t time.Time) int64 { return t.Unix()/60 - 1 }, []string{"minute < ?1 order by minute"}},
	store.KeptRefused: {"limit_refused", "name, hash", time.Time.Unix, []string{"at < ?1 order by at"}},
	store.KeptReplicas: {"replicas", "id", time.Time.UnixMilli, []string{
		"seen < ?1",
		// A server that ends and starts again and again leaves one each time. There are never many more, so they need no index.
		fmt.Sprintf("seen >= ?1 and id in (select id from replicas order by seen desc limit -1 offset %d)", store.MaxReplicas),
	}},
	store.KeptSizes: {"sizes", "name, at", time.Time.Unix, []string{"at < ?1"}},
}

// keepTokens is the default here, where tokens go one by one: what is past has no reason to fill the file for a day.
const keepTokens = store.Period(time.Hour)

// oldest is those of the oldest rows of a table that are past: it has no index by time, but its keys are drawn in order.
func oldest(table, key string) string {
	return fmt.Sprintf("%[2]s in (select %[2]s from (select %[2]s, at from %[1]s order by %[2]s limit ?2) where at < ?1)", table, key)
}

// goneClients is the clients that a table names and that are gone. Of a table of many rows only the index is walked, from one client to the next.
func goneClients(table string) string {
	return fmt.Sprintf(`(with recursive owners (client) as (
			select min(client) from %[1]s union all
			select (select min(client) from %[1]s where client > owners.client) from owners where owners.client is not null)
		select client from owners where client not in (select id from clients))`, table)
}

// deletion removes at most ?2 of those due.
func (p *pruning) deletion(i int) string {
	return fmt.Sprintf("delete from %[1]s where (%[2]s) in (select %[2]s from %[1]s where %[3]s limit ?2)", p.table, p.key, p.due[i])
}

// count counts those due, each part up to ?2.
func (p *pruning) count() string {
	parts := make([]string, len(p.due))
	for i, due := range p.due {
		parts[i] = fmt.Sprintf("(select count(*) from (select 1 from %s where %s limit ?2))", p.table, due)
	}
	return "select " + strings.Join(parts, " + ")
}

const (
	settingsSQL = "select kind, keep, version, ran, removed, total, took, fault from retention"
	recordSQL   = `insert into retention (kind, version, ran, removed, total, took, fault) values (?1, 0, ?2, ?3, ?3, ?4, ?5)
		on conflict (kind) do update set ran = excluded.ran, removed = excluded.removed, total = total + excluded.removed,
			took = excluded.took, fault = excluded.fault`

	// Tables apart would have to be read whole to be measured.
	measureSQL = `insert into sizes (name, at, bytes)
		select 'database', ?1, page_count * page_size from pragma_page_count, pragma_page_size
		where not exists (select 1 from sizes where name = 'database' and at >= ?2)`

	setKeptSQL = `insert into retention (kind, keep, version, removed, total, took, fault) values (?, ?, ?, 0, 0, 0, '')
		on conflict (kind) do update set keep = excluded.keep, version = excluded.version`
)

// unset is the retention of every kind while nobody has said or done anything.
func unset() []store.Kept {
	all := store.Unset()
	for i := range all {
		if k := &all[i]; k.Kind == store.KeptTokens {
			k.Keep, k.Default = keepTokens, keepTokens
		}
	}
	return all
}

// readSettings is every kind with how long it is kept and what the last run did.
func (db *DB) readSettings(ctx context.Context) ([]store.Kept, error) {
	all := unset()
	err := db.query(ctx, settingsSQL, func(row *sql.Rows) error { return scanSetting(row, all) })
	return all, err
}

func scanSetting(row *sql.Rows, all []store.Kept) error {
	var (
		found     store.Kept
		keep, ran sql.NullInt64
	)
	if err := row.Scan(&found.Kind, &keep, &found.Version, &ran, &found.Removed, &found.Total, &found.Took, &found.Fault); err != nil {
		return classify(err)
	}
	for i := range all {
		if k := &all[i]; k.Kind == found.Kind { // one that is not known is of a newer release
			found.Own, found.Keep, found.Default, found.Least = keep.Valid, k.Default, k.Default, k.Least
			if found.Own {
				found.Keep = k.Stored(keep.Int64)
			}
			if ran.Valid {
				found.Ran = time.UnixMicro(ran.Int64).UTC()
			}
			*k = found
		}
	}
	return nil
}

// due is how many rows of a kind have to go.
func (r *pruner) due(k *store.Kept) (int64, error) {
	p := prunings[k.Kind]
	n, err := r.count(p.count(), p.unit(k.Before(r.now)), store.MaxDue)
	return min(n, store.MaxDue), err
}

func (r *pruner) count(text string, args ...any) (n int64, err error) {
	err = r.db.query(r.ctx, text, func(row *sql.Rows) error { return classify(row.Scan(&n)) }, args...)
	return n, err
}

// Kept says how long each kind is kept, how many rows there are, and how many are due, both counted up to store.MaxDue.
func (db *DB) Kept(ctx context.Context) ([]store.Kept, error) {
	all, err := db.readSettings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the settings of retention: %w", err)
	}
	r := &pruner{ctx: ctx, db: db, now: db.now()}
	for i := range all {
		k := &all[i]
		if k.Rows, err = r.count(fmt.Sprintf("select count(*) from (select 1 from %s limit ?)", prunings[k.Kind].table), store.MaxDue); err != nil {
			return nil, fmt.Errorf("count %s: %w", k.Kind, err)
		}
		if k.Due, err = r.due(k); err != nil {
			return nil, fmt.Errorf("count %s that are due: %w", k.Kind, err)
		}
	}
	return all, nil
}

// SetKept lets change say how long a kind is kept: its Keep where Own is true, else the default. An error of change is returned as it is.
// ErrNotFound: there is no such kind.
func (db *DB) SetKept(ctx context.Context, actor store.Actor, kind string, change func(*store.Kept) error) error {
	err := db.write(ctx, "maintain", func(m *mutation) error {
		before, err := m.kept(kind)
		if err != nil {
			return err
		}
		after := before
		if err := change(&after); err != nil {
			return refusal{err}
		}
		if after, err = after.Next(&before); err != nil {
			return refusal{err}
		}
		var keep any
		if after.Own {
			keep = int64(time.Duration(after.Keep) / time.Second)
		}
		if _, err := m.exec(setKeptSQL, kind, keep, after.Version); err != nil {
			return err
		}
		if err := m.publish(new(store.Change)); err != nil {
			return err
		}
		return m.audit(store.AuditKept(m.now, actor, &before, &after))
	})
	return told(err, "set how long %s are kept", kind)
}

// kept is the setting of a kind.
func (m *mutation) kept(kind string) (store.Kept, error) {
	all := unset()
	found, err := m.tx.QueryContext(m.ctx, settingsSQL)
	if err := rows(found, err, func(row *sql.Rows) error { return scanSetting(row, all) }); err != nil {
		return store.Kept{}, err
	}
	for _, k := range all {
		if k.Kind == kind {
			return k, nil
		}
	}
	return store.Kept{}, store.ErrNotFound
}
