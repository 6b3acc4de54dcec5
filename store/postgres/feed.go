package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

// maxChanges is how many changes one poll hands out.
const maxChanges = 1000

// The row at the cursor comes back without its body: it was handed out before.
const sqlPoll = `select seq, tag, case when seq > $1 then body end, clock_timestamp(), pg_is_in_recovery()
	from changes where seq >= $1 order by seq limit $2`

// errStandby is the answer of a server that follows another: what it shows may be old.
var errStandby = &store.Fault{Part: store.StepPrimary, Err: errors.New("the database is in recovery: not a primary")}

// Poll hands out the changes after from in order, and proves with the row at
// from that they continue the history the caller knows. ErrNotFound: they do not.
func (db *DB) Poll(ctx context.Context, from store.Cursor, apply func(*store.Change) error) (store.Beat, error) {
	var beat store.Beat
	err := db.use(ctx, db.feed, queryPoll, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlPoll, int64(from.Seq), maxChanges+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		beat, err = follow(rows, from, apply)
		return err
	})
	return beat, err
}

// follow reads the rows of a poll.
func follow(rows pgx.Rows, from store.Cursor, apply func(*store.Change) error) (store.Beat, error) {
	var (
		beat    store.Beat
		body    []byte
		standby bool
		here    bool // the row at the cursor was read
	)
	for rows.Next() {
		if err := rows.Scan(&beat.Cursor.Seq, &beat.Cursor.Tag, &body, &beat.Now, &standby); err != nil {
			return store.Beat{}, err
		}
		switch {
		case standby:
			return store.Beat{}, errStandby
		case here:
			if err := hand(beat.Cursor.Seq, body, apply); err != nil {
				return store.Beat{}, err
			}
		case beat.Cursor != from:
			return store.Beat{}, store.ErrNotFound
		}
		here = true
	}
	if err := rows.Err(); err != nil {
		return store.Beat{}, err
	}
	if !here {
		return store.Beat{}, store.ErrNotFound
	}
	return beat, nil
}

func hand(seq store.Position, body []byte, apply func(*store.Change) error) error {
	change := store.Change{Seq: seq}
	if err := json.Unmarshal(body, &change); err != nil {
		return fmt.Errorf("read change %d: %w", seq, err)
	}
	return pass(apply, &change)
}

// pass calls a caller's function and marks its error as the caller's own.
func pass[T any](f func(T) error, v T) error {
	if err := f(v); err != nil {
		return callerError{err}
	}
	return nil
}

// Load hands out the whole state from one snapshot, and where in the feed the
// snapshot was taken. Denials are streamed, never held all at once.
func (db *DB) Load(ctx context.Context, apply func(*store.Change) error) (store.Beat, error) {
	var beat store.Beat
	err := db.use(ctx, db.feed, queryLoad, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "begin isolation level repeatable read read only")
		if err != nil {
			return err
		}
		l := &loading{transaction: transaction{ctx: ctx, conn: conn}, apply: apply}
		if beat, err = l.run(db.steps); err != nil {
			return l.rollback(err)
		}
		_, err = conn.Exec(ctx, "commit")
		return err
	})
	return beat, err
}

// loading is one Load in progress.
type loading struct {
	transaction
	apply func(*store.Change) error
}

func (l *loading) run(steps []migrations.Migration) (store.Beat, error) {
	// 5 million denials take seconds. The client's deadline holds.
	if _, err := l.conn.Exec(l.ctx, "set local statement_timeout = 0"); err != nil {
		return store.Beat{}, err
	}
	beat, err := l.head()
	if err != nil {
		return store.Beat{}, err
	}
	l.now = beat.Now
	if err := l.schema(steps); err != nil {
		return store.Beat{}, err
	}
	for _, step := range []func() error{l.clients, l.keys, l.limits, l.cutoffs, l.denials} {
		if err := step(); err != nil {
			return store.Beat{}, err
		}
	}
	return beat, nil
}

// head is the newest change in the snapshot, which the first query takes.
func (l *loading) head() (beat store.Beat, err error) {
	var standby bool
	err = l.conn.QueryRow(l.ctx, "select pg_is_in_recovery()").Scan(&standby)
	if err != nil {
		return beat, err
	}
	if standby {
		return beat, errStandby
	}
	err = l.conn.QueryRow(l.ctx, "select seq, tag, clock_timestamp() from changes order by seq desc limit 1").
		Scan(&beat.Cursor.Seq, &beat.Cursor.Tag, &beat.Now)
	if errors.Is(err, pgx.ErrNoRows) {
		return beat, &store.Fault{Part: store.StepSchema, Err: errors.New("table changes is empty: its newest row must never be deleted")}
	}
	return beat, err
}

// schema asserts that the tables are at least what this release was written for.
func (l *loading) schema(steps []migrations.Migration) error {
	applied, err := readHistory(l.ctx, l.conn)
	if err != nil {
		return err
	}
	pending, err := migrations.Pending(steps, applied)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return &store.Fault{Part: store.StepSchema, Err: fmt.Errorf("the database lacks %s: %s", pending[0].Script, migrateHint)}
	}
	return nil
}

func (l *loading) clients() error {
	return eachBody(l.ctx, l.conn, "select body from clients", func(c store.Client) error {
		return pass(l.apply, &store.Change{Client: &c})
	})
}

func (l *loading) keys() error {
	return eachBody(l.ctx, l.conn, "select body from keys", func(k store.Key) error {
		return pass(l.apply, &store.Change{Keys: []store.Key{k}})
	})
}

func (l *loading) limits() error {
	return eachBody(l.ctx, l.conn, "select body from limits", func(limit store.Limit) error {
		return pass(l.apply, &store.Change{Limit: &limit})
	})
}

func (l *loading) cutoffs() error {
	all, err := listCutoffs(l.ctx, l.conn)
	if err != nil || len(all) == 0 {
		return err
	}
	return pass(l.apply, &store.Change{Cutoffs: all})
}

func (l *loading) denials() error {
	// The beat's time, not the time of each row: what expires during a long load is neither lost nor found.
	rows, err := l.conn.Query(l.ctx, "select kind, id, expires, actor, at from denials where expires > $1", l.now)
	if err != nil {
		return err
	}
	defer rows.Close()
	var (
		d           store.Denial
		expires, at time.Time
		change      store.Change
	)
	targets := []any{&d.Kind, (*[16]byte)(&d.ID), &expires, &d.Actor, &at}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		d.Expires, d.At = expires.Unix(), at.Unix()
		change.Denials = append(change.Denials, d)
		if len(change.Denials) == store.MaxDenials {
			if err := pass(l.apply, &change); err != nil {
				return err
			}
			change.Denials = nil // the caller may keep what it was given
		}
	}
	if err := rows.Err(); err != nil || len(change.Denials) == 0 {
		return err
	}
	return pass(l.apply, &change)
}

// eachBody reads the rows of a query with one JSON column.
func eachBody[T any](ctx context.Context, conn *pgx.Conn, sql string, f func(T) error) error {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return err
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return rows.Err()
}
