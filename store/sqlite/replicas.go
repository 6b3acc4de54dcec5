package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"oauth2-server/store"
)

// Register renews a replica.
func (db *DB) Register(ctx context.Context, replica store.Replica) error {
	err := db.write(ctx, "register", func(m *mutation) error {
		replica.Seen = m.now
		body, err := json.Marshal(replica)
		if err != nil {
			return fmt.Errorf("write replica as JSON: %w", err)
		}
		_, err = m.exec(`insert into replicas (id, seen, body) values (?, ?, ?)
			on conflict (id) do update set seen = excluded.seen, body = excluded.body`,
			replica.ID[:], m.now.UnixMilli(), string(body))
		return err
	})
	if err != nil {
		return fmt.Errorf("register replica %s: %w", replica.ID, err)
	}
	return nil
}

// Replicas lists those renewed within store.Alive.
func (db *DB) Replicas(ctx context.Context) ([]store.Replica, error) {
	var all []store.Replica
	since := db.now().Add(-store.Alive).UnixMilli()
	err := db.query(ctx, "select body from replicas where seen >= ? order by id", scanInto(&all), since)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	return all, nil
}
