package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// ChangeKeys lets change say which keys are new or different, and stores
// those; an error of change is returned as it is. ErrConflict: a (use, alg) would
// have two active or two next keys, or two live MAC keys one number.
func (db *DB) ChangeKeys(ctx context.Context, actor store.Actor, action string, change func(all []store.Key) ([]store.Key, error)) error {
	_, err := db.mutate(ctx, queryKeys, func(tx *transaction) (story, error) {
		all, err := tx.lockKeys()
		if err != nil {
			return story{}, err
		}
		changed, err := change(all)
		if err != nil {
			return story{}, callerError{err}
		}
		if len(changed) == 0 {
			return story{}, nil
		}
		old, err := tx.replaceKeys(changed)
		return keyStory(store.Change{Keys: changed}, actor, action, old, changed), err
	})
	return err
}

// ResetKeys puts keys in the place of all there are, and cuts off everything, in one transaction.
func (db *DB) ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	_, err := db.mutate(ctx, queryKeys, func(tx *transaction) (story, error) {
		old, err := tx.lockKeys()
		if err != nil {
			return story{}, err
		}
		if _, err := tx.conn.Exec(tx.ctx, "delete from keys"); err != nil {
			return story{}, err
		}
		return keyStory(store.Reset(old, keys, actor), actor, "keys.reset", old, keys), tx.insertKeys(keys)
	})
	return err
}

// lockKeys reads all keys once nobody else can change or lock any, also one that is not there yet.
// Reading them goes on.
func (tx *transaction) lockKeys() ([]store.Key, error) {
	if _, err := tx.conn.Exec(tx.ctx, "lock table keys in exclusive mode"); err != nil {
		return nil, err
	}
	return listKeys(tx.ctx, tx.conn)
}

// replaceKeys puts keys in the place of those of the same ids, and returns
// what they were. All those go first: between two keys that change their states there may be no moment with two of one.
func (tx *transaction) replaceKeys(keys []store.Key) (old []store.Key, err error) {
	ids := make([][16]byte, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	rows, err := tx.conn.Query(tx.ctx, "delete from keys where id = any($1::uuid[]) returning body", ids)
	if err != nil {
		return nil, err
	}
	if old, err = pgx.CollectRows(rows, pgx.RowTo[store.Key]); err != nil {
		return nil, err
	}
	return old, tx.insertKeys(keys)
}

// Keys lists the keys by creation.
func (db *DB) Keys(ctx context.Context) ([]store.Key, error) {
	var all []store.Key
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) (err error) {
		all, err = listKeys(ctx, conn)
		return err
	})
	return all, err
}

func listKeys(ctx context.Context, conn *pgx.Conn) ([]store.Key, error) {
	var all []store.Key
	err := eachBody(ctx, conn, "select body from keys order by created, id", func(k store.Key) error {
		all = append(all, k)
		return nil
	})
	return all, err
}

func (tx *transaction) insertKeys(keys []store.Key) error {
	var batch pgx.Batch
	for _, k := range keys {
		batch.Queue("insert into keys (id, number, use, alg, state, created, body) values ($1, $2, $3, $4, $5, $6, $7)",
			[16]byte(k.ID), k.Number, k.Use, k.Alg, k.State, k.Created, k)
	}
	return tx.conn.SendBatch(tx.ctx, &batch).Close()
}

func keyStory(change store.Change, actor store.Actor, action string, before, after []store.Key) story {
	return story{change, func(now time.Time, _ *store.Change) []store.Audit {
		return []store.Audit{store.AuditKeys(now, actor, action, before, after)}
	}}
}
