package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"oauth2-server/store"
)

const keysSQL = "select body from keys order by created, id"

// AddKeys adds keys, all or none. Unique indexes refuse a second active or next one.
func (db *DB) AddKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	err := db.write(ctx, "keys", func(m *mutation) error {
		if err := m.insertKeys(keys); err != nil {
			return err
		}
		if err := m.publish(&store.Change{Keys: keys}); err != nil {
			return err
		}
		return m.audit(store.AuditKeys(m.now, actor, "keys.add", nil, keys))
	})
	if err != nil {
		return fmt.Errorf("add %d keys: %w", len(keys), err)
	}
	return nil
}

func (m *mutation) insertKeys(keys []store.Key) error {
	for _, key := range keys {
		body, err := json.Marshal(key)
		if err != nil {
			return fmt.Errorf("write key as JSON: %w", err)
		}
		_, err = m.exec("insert into keys (id, number, use, alg, state, created, body) values (?, ?, ?, ?, ?, ?, ?)",
			key.ID[:], key.Number, key.Use, key.Alg, key.State, key.Created.UnixMicro(), string(body))
		if err != nil {
			return err
		}
	}
	return nil
}

// SealKey adds a seal to a key, beside those it has.
func (db *DB) SealKey(ctx context.Context, actor store.Actor, id store.ID, fingerprint string, sealed []byte) error {
	err := db.write(ctx, "keys", func(m *mutation) error {
		var old store.Key
		if err := m.body(&old, "select body from keys where id = ?", id[:]); err != nil {
			return err
		}
		key := old.Clone()
		key.Seals[fingerprint] = sealed
		body, err := json.Marshal(key)
		if err != nil {
			return fmt.Errorf("write key as JSON: %w", err)
		}
		if _, err := m.exec("update keys set body = ? where id = ?", string(body), id[:]); err != nil {
			return err
		}
		if err := m.publish(&store.Change{Keys: []store.Key{key}}); err != nil {
			return err
		}
		return m.audit(store.AuditKeys(m.now, actor, "keys.seal", []store.Key{old}, []store.Key{key}))
	})
	if err != nil {
		return fmt.Errorf("seal key %s: %w", id, err)
	}
	return nil
}

// ResetKeys puts keys in the place of all there are, and cuts off everything.
func (db *DB) ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	err := db.write(ctx, "keys", func(m *mutation) error {
		var old []store.Key
		found, err := m.tx.QueryContext(m.ctx, keysSQL)
		if err := rows(found, err, scanInto(&old)); err != nil {
			return err
		}
		if _, err := m.exec("delete from keys"); err != nil {
			return err
		}
		if err := m.insertKeys(keys); err != nil {
			return err
		}
		told := store.Reset(old, keys, actor)
		if err := m.publish(&told); err != nil {
			return err
		}
		return m.audit(store.AuditKeys(m.now, actor, "keys.reset", old, keys))
	})
	if err != nil {
		return fmt.Errorf("reset the keys: %w", err)
	}
	return nil
}

// Keys lists all keys by creation.
func (db *DB) Keys(ctx context.Context) ([]store.Key, error) {
	var all []store.Key
	if err := db.query(ctx, keysSQL, scanInto(&all)); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return all, nil
}
