package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

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
	return db.replicas(ctx, "select body from replicas where seen >= ? order by id", db.now().Add(-store.Alive).UnixMilli())
}

// ReplicasSince lists those renewed since then, the gone among them, the newest start first.
func (db *DB) ReplicasSince(ctx context.Context, since time.Time) ([]store.Replica, error) {
	all, err := db.replicas(ctx, "select body from replicas where seen >= ? order by id desc limit ?", since.UnixMilli(), store.MaxReplicas)
	slices.SortStableFunc(all, func(a, b store.Replica) int { return b.Started.Compare(a.Started) }) // ids are in order of time but for replicas of one millisecond
	return all, err
}

func (db *DB) replicas(ctx context.Context, sql string, args ...any) ([]store.Replica, error) {
	var all []store.Replica
	if err := db.query(ctx, sql, scanInto(&all), args...); err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	return all, nil
}
