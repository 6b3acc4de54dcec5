package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"oauth2-server/store"
)

// A mutation is a write transaction. It is the only one of all processes: the
// lock is taken at its beginning and held to the commit.
type mutation struct {
	ctx context.Context // never cancelled: only the wait for the lock is, and the transaction as a whole
	tx  *sql.Tx
	now time.Time
}

// write runs do in a transaction, and returns when that is durable. What do
// returns ends the transaction and is returned as it is.
func (db *DB) write(ctx context.Context, query string, do func(*mutation) error) error {
	return db.observe(query, func() error {
		tx, err := db.writer.BeginTx(ctx, nil)
		if err != nil {
			return classify(err)
		}
		defer func() { _ = tx.Rollback() }() // nothing after a commit
		if err := do(&mutation{ctx: context.WithoutCancel(ctx), tx: tx, now: db.now()}); err != nil {
			return err
		}
		return classify(tx.Commit())
	})
}

// exec runs one statement and returns the number of rows it changed.
func (m *mutation) exec(text string, args ...any) (int64, error) {
	result, err := m.tx.ExecContext(m.ctx, text, args...)
	if err != nil {
		return 0, classify(err)
	}
	n, err := result.RowsAffected()
	return n, classify(err)
}

// prepare makes a statement that is run once for each of several rows.
func (m *mutation) prepare(text string) (func(args ...any) (changed int64, err error), error) {
	prepared, err := m.tx.PrepareContext(m.ctx, text) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return nil, classify(err)
	}
	return func(args ...any) (int64, error) {
		result, err := prepared.ExecContext(m.ctx, args...)
		if err != nil {
			return 0, classify(err)
		}
		n, err := result.RowsAffected()
		return n, classify(err)
	}, nil
}

// body reads one row's JSON into v. store.ErrNotFound: there is no such row.
func (m *mutation) body(v any, text string, args ...any) error {
	var body []byte
	if err := m.tx.QueryRowContext(m.ctx, text, args...).Scan(&body); err != nil {
		return classify(err)
	}
	return unmarshal(body, v)
}

// publish gives the change its number, the next one, and appends it to the feed
// together with the cut-offs it carries.
func (m *mutation) publish(change *store.Change) error {
	return m.publishAfter(0, change)
}

// publishAfter is publish with a number that is also past last.
func (m *mutation) publishAfter(last store.Position, change *store.Change) error {
	var newest store.Position
	if err := m.tx.QueryRowContext(m.ctx, "select max(seq) from changes").Scan(&newest); err != nil {
		return classify(err)
	}
	// At least the milliseconds since 1970: numbers drawn after a restore are above all that were drawn before
	// it, and a cut-off made then hits whatever was issued in the history that was lost.
	change.Place(max(newest+1, last+1, store.Position(m.now.UnixMilli())), m.now)
	for _, cut := range change.Cutoffs {
		if err := m.cutOff(cut); err != nil {
			return err
		}
	}
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("write change as JSON: %w", err)
	}
	_, err = m.exec("insert into changes (seq, tag, at, body) values (?, ?, ?, ?)",
		change.Seq, rand.Int64(), m.now.Unix(), string(body))
	return err
}

// cutOff keeps the cut-off unless there is a higher one.
func (m *mutation) cutOff(cut store.Cutoff) error {
	_, err := m.exec(`insert into cutoffs (kind, name, number, actor, at) values (?, ?, ?, ?, ?)
		on conflict (kind, name) do update set number = excluded.number, actor = excluded.actor, at = excluded.at
		where excluded.number > number`,
		string(cut.Kind), cut.Name, cut.Number, cut.Actor, cut.At)
	return err
}

// audit appends rows to the audit.
func (m *mutation) audit(rows ...store.Audit) error {
	if len(rows) == 0 {
		return nil
	}
	insert, err := m.prepare("insert into audit (at, actor, action, object, before, after) values (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for _, row := range rows {
		_, err := insert(row.At.UnixMicro(), row.Actor, row.Action, row.Object, text(row.Before), text(row.After))
		if err != nil {
			return err
		}
	}
	return nil
}

// text is JSON as people read it in the table, and null for none.
func text(json []byte) any {
	if json == nil {
		return nil
	}
	return string(json)
}
