package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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
	var all []store.Replica
	since := db.now().Add(-store.Alive).UnixMilli()
	err := db.query(ctx, "select body from replicas where seen >= ? order by id", scanInto(&all), since)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	return all, nil
}

// Audits lists the newest rows of the audit first.
func (db *DB) Audits(ctx context.Context, limit int) ([]store.Audit, error) {
	var all []store.Audit
	const newest = "select at, actor, action, object, before, after from audit order by id desc limit ?"
	err := db.query(ctx, newest, func(row *sql.Rows) error {
		var a store.Audit
		var at int64
		if err := row.Scan(&at, &a.Actor, &a.Action, &a.Object, &a.Before, &a.After); err != nil {
			return classify(err)
		}
		a.At = time.UnixMicro(at).UTC()
		all = append(all, a)
		return nil
	}, limit)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return all, nil
}
