package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const sqlRegister = `insert into replicas (id, version, started, public, admin, fence_ms, position, seen)
	values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
	on conflict (id) do update set version = excluded.version, started = excluded.started, public = excluded.public,
		admin = excluded.admin, fence_ms = excluded.fence_ms, position = excluded.position, seen = excluded.seen`

// Register renews a replica.
func (db *DB) Register(ctx context.Context, r store.Replica) error {
	return db.use(ctx, db.security, queryRegister, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sqlRegister, [16]byte(r.ID), r.Version, r.Started, r.Public, r.Admin, r.Fence, int64(r.Position))
		return err
	})
}

// Replicas lists those renewed within [store.Alive], the oldest first.
func (db *DB) Replicas(ctx context.Context) ([]store.Replica, error) {
	var all []store.Replica
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select id, version, started, public, admin, fence_ms, position, seen from replicas
			where seen > clock_timestamp() - $1::interval order by started, id`, store.Alive)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r store.Replica, err error) {
			err = row.Scan((*[16]byte)(&r.ID), &r.Version, &r.Started, &r.Public, &r.Admin, &r.Fence, &r.Position, &r.Seen)
			return r, err
		})
		return err
	})
	return all, err
}
