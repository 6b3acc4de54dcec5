package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"oauth2-server/store"
)

const keysSQL = "select body from keys order by created, id"

// ChangeKeys stores what change says is new or different. Unique indexes refuse a second active or next one.
func (db *DB) ChangeKeys(ctx context.Context, actor store.Actor, action string, change func(all []store.Key) ([]store.Key, error)) error {
	err := db.write(ctx, "keys", func(m *mutation) error {
		all, err := m.keys(keysSQL)
		if err != nil {
			return err
		}
		changed, err := change(all)
		if err != nil {
			return refusal{err}
		}
		if len(changed) == 0 {
			return nil
		}
		old, err := m.replaceKeys(changed)
		if err != nil {
			return err
		}
		if err := m.publish(&store.Change{Keys: changed}); err != nil {
			return err
		}
		return m.audit(store.AuditKeys(m.now, actor, action, old, changed))
	})
	return told(err, "change the keys")
}

// ResetKeys puts keys in the place of all there are, and cuts off everything.
func (db *DB) ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error {
	err := db.write(ctx, "keys", func(m *mutation) error {
		old, err := m.keys(keysSQL)
		if err != nil {
			return err
		}
		if _, err := m.exec("delete from keys"); err != nil {
			return err
		}
		if err := m.insertKeys(keys); err != nil {
			return err
		}
		tells := store.Reset(old, keys, actor)
		if err := m.publish(&tells); err != nil {
			return err
		}
		return m.audit(store.AuditKeys(m.now, actor, "keys.reset", old, keys))
	})
	return told(err, "reset the keys")
}

// keys reads the keys that a statement yields.
func (m *mutation) keys(text string, args ...any) (all []store.Key, err error) {
	found, err := m.tx.QueryContext(m.ctx, text, args...)
	err = rows(found, err, scanInto(&all))
	return all, err
}

// replaceKeys puts keys in the place of those of the same ids, and returns
// what they were. All those go first: between two keys that change their states there may be no moment with two of one.
func (m *mutation) replaceKeys(keys []store.Key) (old []store.Key, err error) {
	for _, key := range keys {
		was, err := m.keys("delete from keys where id = ? returning body", key.ID[:])
		if err != nil {
			return nil, err
		}
		old = append(old, was...)
	}
	return old, m.insertKeys(keys)
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

// Keys lists all keys by creation.
func (db *DB) Keys(ctx context.Context) ([]store.Key, error) {
	var all []store.Key
	if err := db.query(ctx, keysSQL, scanInto(&all)); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return all, nil
}
