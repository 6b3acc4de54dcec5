package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// AddKeys adds keys, all or none. ErrConflict: a (use, alg) would have two
// active or two next keys, or a live MAC key has the number.
func (db *DB) AddKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	_, err := db.mutate(ctx, queryKeys, func(tx *transaction) (story, error) {
		return keyStory(store.Change{Keys: keys}, actor, "keys.add", nil, keys), tx.insertKeys(keys)
	})
	return err
}

// SealKey adds a seal to a key, beside those it has. ErrNotFound.
func (db *DB) SealKey(ctx context.Context, actor store.Actor, id store.ID, fingerprint string, sealed []byte) error {
	_, err := db.mutate(ctx, queryKeys, func(tx *transaction) (story, error) {
		var old store.Key
		err := tx.conn.QueryRow(tx.ctx, "select body from keys where id = $1 for update", [16]byte(id)).Scan(&old)
		if err != nil {
			return story{}, err
		}
		key := old.Clone()
		key.Seals[fingerprint] = sealed
		_, err = tx.conn.Exec(tx.ctx, "update keys set body = $2 where id = $1", [16]byte(id), key)
		after := []store.Key{key}
		return keyStory(store.Change{Keys: after}, actor, "keys.seal", []store.Key{old}, after), err
	})
	return err
}

// ResetKeys puts keys in the place of all there are, and cuts off everything, in one transaction.
func (db *DB) ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	_, err := db.mutate(ctx, queryKeys, func(tx *transaction) (story, error) {
		// Two resets at once: the later one must see the keys of the earlier.
		if _, err := tx.conn.Exec(tx.ctx, "lock table keys in share row exclusive mode"); err != nil {
			return story{}, err
		}
		old, err := listKeys(tx.ctx, tx.conn)
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
