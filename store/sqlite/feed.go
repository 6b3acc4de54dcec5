package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"oauth2-server/store"
)

// A poll hands out at most 1,000 changes; the row at the cursor comes with them.
const pollSQL = "select seq, tag, body from changes where seq >= ? order by seq limit 1001"

// Poll hands out the changes after the cursor, at most 1,000 of them.
func (db *DB) Poll(ctx context.Context, from store.Cursor, apply func(*store.Change) error) (store.Beat, error) {
	beat := store.Beat{Cursor: from}
	err := db.observe("poll", func() error {
		changes, tag, err := db.page(ctx, from)
		if err != nil {
			return err
		}
		beat.Now = db.now()
		for _, change := range changes {
			if err := apply(change); err != nil {
				return fmt.Errorf("apply change %d: %w", change.Seq, err)
			}
			beat.Cursor = store.Cursor{Seq: change.Seq, Tag: tag}
		}
		return nil
	})
	if err != nil {
		return store.Beat{}, fmt.Errorf("poll the feed at %d: %w", from.Seq, err)
	}
	return beat, nil
}

// page reads the changes after the cursor and the tag of the last of them.
func (db *DB) page(ctx context.Context, from store.Cursor) (changes []*store.Change, tag int64, err error) {
	stands := false
	found, err := db.poll.query(ctx, from.Seq)
	err = rows(found, err, func(row *sql.Rows) error {
		var seq store.Position
		var body sql.RawBytes
		if err := row.Scan(&seq, &tag, &body); err != nil {
			return classify(err)
		}
		if !stands {
			stands = store.Cursor{Seq: seq, Tag: tag} == from
			return one(stands, nil)
		}
		change := &store.Change{Seq: seq}
		changes = append(changes, change)
		return unmarshal(body, change)
	})
	return changes, tag, one(stands, err)
}

// Load hands out the whole state from one snapshot.
func (db *DB) Load(ctx context.Context, apply func(*store.Change) error) (store.Beat, error) {
	var beat store.Beat
	err := db.observe("load", func() error {
		tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return classify(err)
		}
		defer func() { _ = tx.Rollback() }() // it has read only
		beat.Now = db.now()
		err = tx.QueryRowContext(ctx, "select seq, tag from changes order by seq desc limit 1").Scan(&beat.Cursor.Seq, &beat.Cursor.Tag)
		if err != nil {
			return classify(err)
		}
		return (&snapshot{ctx: ctx, tx: tx, now: beat.Now, apply: apply}).tell()
	})
	if err != nil {
		return store.Beat{}, fmt.Errorf("load the state: %w", err)
	}
	return beat, nil
}

// A snapshot is a read transaction whose state is being handed out.
type snapshot struct {
	ctx   context.Context
	tx    *sql.Tx
	now   time.Time
	apply func(*store.Change) error
}

func (s *snapshot) tell() error {
	for _, part := range []func() error{s.clients, s.keys, s.limits, s.denials, s.cutoffs} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) query(text string, scan func(*sql.Rows) error, args ...any) error {
	found, err := s.tx.QueryContext(s.ctx, text, args...)
	return rows(found, err, scan)
}

func (s *snapshot) clients() error {
	return s.query("select body from clients", func(row *sql.Rows) error {
		client := new(store.Client)
		if err := scanBody(row, client); err != nil {
			return err
		}
		return s.apply(&store.Change{Client: client})
	})
}

func (s *snapshot) keys() error {
	var change store.Change
	err := s.query(keysSQL, scanInto(&change.Keys))
	if err != nil || change.Keys == nil {
		return err
	}
	return s.apply(&change)
}

func (s *snapshot) limits() error {
	return s.query("select body from limits", func(row *sql.Rows) error {
		limit := new(store.Limit)
		if err := scanBody(row, limit); err != nil {
			return err
		}
		return s.apply(&store.Change{Limit: limit})
	})
}

func (s *snapshot) denials() error {
	var page []store.Denial
	err := s.query("select kind, id, expires, actor, at from denials where expires > ?", func(row *sql.Rows) error {
		denial, err := scanDenial(row)
		if err != nil {
			return err
		}
		page = append(page, denial)
		if len(page) < store.MaxDenials {
			return nil
		}
		full := page
		page = nil
		return s.apply(&store.Change{Denials: full})
	}, s.now.Unix())
	if err != nil || page == nil {
		return err
	}
	return s.apply(&store.Change{Denials: page})
}

func (s *snapshot) cutoffs() error {
	var change store.Change
	err := s.query(cutoffsSQL, scanCutoffs(&change.Cutoffs))
	if err != nil || change.Cutoffs == nil {
		return err
	}
	return s.apply(&change)
}

// scanBody reads a row whose one column is JSON.
func scanBody(row *sql.Rows, v any) error {
	var body sql.RawBytes
	if err := row.Scan(&body); err != nil {
		return classify(err)
	}
	return unmarshal(body, v)
}

// scanInto appends what scanBody reads to list.
func scanInto[T any](list *[]T) func(*sql.Rows) error {
	return func(row *sql.Rows) error {
		var v T
		if err := scanBody(row, &v); err != nil {
			return err
		}
		*list = append(*list, v)
		return nil
	}
}

// unmarshal reads JSON that this package wrote. Its errors tell nothing of the text.
func unmarshal(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("row of %T is damaged: %w", v, err)
	}
	return nil
}
