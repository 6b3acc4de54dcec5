package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// maintainLock is the advisory lock of whoever maintains.
const maintainLock = feedLock + 1

// hungAfter is how long whoever maintains may be silent before the server ends its session and gives the lock to another: a stopped
// process keeps its connection open for ever.
const hungAfter = time.Minute

// pruneRows bounds one deletion, so that none of them is long.
const pruneRows = 10_000

var errMaintained = fmt.Errorf("another replica or operator prunes already: try again in a minute: %w", store.ErrConflict)

// Maintain makes the partitions that are due, and prunes every kind. One caller does it; the others return at once.
func (db *DB) Maintain(ctx context.Context) error {
	_, err := db.Prune(ctx)
	if errors.Is(err, errMaintained) {
		return nil
	}
	return err
}

// Prune removes what is past of the kinds, of every kind when none is named, and is what it did. It waits for no lock longer than 100 ms, so
// no reader or writer waits behind it; what it could not lock it does next time. What fails does not keep the rest
// from being done. It stops in time for the deadline: then more is due. ErrConflict: another caller is at it.
func (db *DB) Prune(ctx context.Context, kinds ...string) (done []store.Kept, err error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	err = db.alone(ctx, queryMaintain, func(ctx context.Context, conn *pgx.Conn) error {
		r, err := db.pruner(ctx, conn)
		if err != nil {
			return err
		}
		done, err = r.all(kinds)
		return errors.Join(err, releaseMaintenance(ctx, conn))
	})
	return done, err
}

// A pruner is one caller's run.
type pruner struct {
	ctx   context.Context
	conn  *pgx.Conn
	now   time.Time // the database's clock when it began
	ahead error     // why not all partitions of the days ahead are there
}

// pruner takes the lock. See [releaseMaintenance].
func (db *DB) pruner(ctx context.Context, conn *pgx.Conn) (*pruner, error) {
	if err := takeMaintenance(ctx, conn, cmp.Or(db.hungAfter, hungAfter)); err != nil {
		return nil, err
	}
	r := &pruner{ctx: ctx, conn: conn}
	err := conn.QueryRow(ctx, "select clock_timestamp()").Scan(&r.now)
	return r, err
}

// takeMaintenance makes the connection the one that maintains.
func takeMaintenance(ctx context.Context, conn *pgx.Conn, patience time.Duration) error {
	var mine bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(maintainLock)).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return errMaintained
	}
	milliseconds := strconv.FormatInt(patience.Milliseconds(), 10)
	for name, value := range map[string]string{
		"lock_timeout":         "100ms",
		"statement_timeout":    milliseconds, // of one whose client is gone
		"idle_session_timeout": milliseconds, // PostgreSQL 14
	} {
		if _, err := conn.Exec(ctx, "select set_config(name, $2, false) from pg_settings where name = $1", name, value); err != nil {
			return err
		}
	}
	return nil
}

// releaseMaintenance gives the lock back at once: the end of the connection does it only when the server has noticed that, and who runs
// right after would be told that another is at it.
func releaseMaintenance(ctx context.Context, conn *pgx.Conn) error {
	if conn.IsClosed() {
		return nil
	}
	_, err := conn.Exec(ctx, "select pg_advisory_unlock($1)", int64(maintainLock))
	return err
}

// all prunes the kinds, each within its share of the time that is left. Partitions come first, whatever else fails: without them
// no token can be issued.
func (r *pruner) all(kinds []string) ([]store.Kept, error) {
	if len(kinds) == 0 || slices.Contains(kinds, store.KeptTokens) {
		r.ahead = partitionsAhead(r.ctx, r.conn)
	}
	settings, err := readSettings(r.ctx, r.conn)
	if err != nil {
		return nil, errors.Join(r.ahead, fmt.Errorf("read the settings of retention: %w", err))
	}
	if len(kinds) > 0 {
		settings = slices.DeleteFunc(settings, func(k store.Kept) bool { return !slices.Contains(kinds, k.Kind) })
	}
	var faults []error
	for i := range settings {
		if err := r.one(&settings[i], r.share(len(settings)-i)); err != nil {
			faults = append(faults, fmt.Errorf("prune %s: %w", settings[i].Kind, err))
		}
		if r.conn.IsClosed() {
			return settings[:i+1], errors.Join(faults...)
		}
	}
	return settings, errors.Join(faults...)
}

// share is when the next of so many kinds has to end. A part of the time is left for what is under way then, and for writing down what was done.
func (r *pruner) share(kinds int) time.Time {
	now := time.Now()
	deadline, ok := r.ctx.Deadline()
	if !ok {
		return now.Add(hungAfter)
	}
	return now.Add(deadline.Sub(now) * 4 / 5 / time.Duration(kinds))
}

// one prunes a kind until then, and writes down what became of it. What others hold is left, and is due still: counting it, up to what
// one deletion takes, is no dearer than to look for it was.
func (r *pruner) one(k *store.Kept, until time.Time) error {
	start := time.Now()
	var err error
	k.Removed, err = r.remove(k, until)
	k.Fault = ""
	if err != nil {
		k.Fault = err.Error()
	} else {
		most := pruneRows
		if time.Now().After(until) {
			most = store.MaxDue
		}
		k.Due, err = r.due(k, most)
	}
	k.Ran, k.Total, k.Took = r.now, k.Total+k.Removed, time.Since(start).Milliseconds()
	return errors.Join(err, r.record(k))
}

func (r *pruner) remove(k *store.Kept, until time.Time) (int64, error) {
	switch k.Kind {
	case store.KeptTokens:
		dropped, err := dropPartitions(r.ctx, r.conn, time.Duration(k.Keep))
		return dropped, errors.Join(r.ahead, err)
	case store.KeptSizes:
		if _, err := r.conn.Exec(r.ctx, sqlMeasure, pgx.NamedArgs{"now": r.now}); err != nil {
			return 0, fmt.Errorf("measure the tables: %w", err)
		}
	}
	p := prunings[k.Kind]
	removed := int64(0)
	for i := range p.due {
		n, err := r.repeat(p.deletion(i), k.Before(r.now), until)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// repeat repeats a bounded deletion until little is left, or it is time to end.
func (r *pruner) repeat(sql string, before, until time.Time) (removed int64, err error) {
	for {
		deleted, err := r.conn.Exec(r.ctx, sql, pgx.NamedArgs{"before": before, "rows": pruneRows})
		if err != nil {
			return removed, err
		}
		removed += deleted.RowsAffected()
		if deleted.RowsAffected() < pruneRows || time.Now().After(until) {
			return removed, nil
		}
	}
}

const sqlRecord = `insert into retention (kind, version, ran, removed, total, took, fault) values ($1, 0, $2, $3, $3, $4, $5)
	on conflict (kind) do update set ran = excluded.ran, removed = excluded.removed, total = retention.total + excluded.removed,
		took = excluded.took, fault = excluded.fault`

func (r *pruner) record(k *store.Kept) error {
	_, err := r.conn.Exec(r.ctx, sqlRecord, k.Kind, k.Ran, k.Removed, k.Took, k.Fault)
	return err
}
