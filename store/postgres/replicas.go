package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const sqlRegister = `insert into replicas (id, version, started, public, admin, fence_ms, position, body, seen)
	values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
	on conflict (id) do update set version = excluded.version, started = excluded.started, public = excluded.public,
		admin = excluded.admin, fence_ms = excluded.fence_ms, position = excluded.position, body = excluded.body, seen = excluded.seen`

// Register renews a replica.
func (db *DB) Register(ctx context.Context, r store.Replica) error {
	body, err := json.Marshal(r.Vitals)
	if err != nil {
		return fmt.Errorf("write the vitals of replica %s as JSON: %w", r.ID, err)
	}
	return db.use(ctx, db.security, queryRegister, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sqlRegister, [16]byte(r.ID), r.Version, r.Started, r.Public, r.Admin, r.Fence, int64(r.Position), body)
		return err
	})
}

const sqlReplicas = "select id, version, started, public, admin, fence_ms, position, body, seen from replicas where seen > "

// Replicas lists those renewed within [store.Alive], the oldest first.
func (db *DB) Replicas(ctx context.Context) ([]store.Replica, error) {
	return db.replicas(ctx, sqlReplicas+"clock_timestamp() - $1::interval order by started, id", store.Alive)
}

// ReplicasSince lists those renewed since then, the gone among them, the newest start first.
func (db *DB) ReplicasSince(ctx context.Context, since time.Time) ([]store.Replica, error) {
	return db.replicas(ctx, sqlReplicas+"$1 order by started desc, id limit $2", since, store.MaxReplicas)
}

func (db *DB) replicas(ctx context.Context, sql string, args ...any) ([]store.Replica, error) {
	var all []store.Replica
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanReplica)
		return err
	})
	return all, err
}

func scanReplica(row pgx.CollectableRow) (r store.Replica, err error) {
	var body []byte
	if err := row.Scan((*[16]byte)(&r.ID), &r.Version, &r.Started, &r.Public, &r.Admin, &r.Fence, &r.Position, &body, &r.Seen); err != nil {
		return r, err
	}
	_ = json.Unmarshal(body, &r.Vitals) // what another version says otherwise stays zero: the list must not fail for it
	return r, nil
}
