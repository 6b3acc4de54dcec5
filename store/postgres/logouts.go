package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	sqlQueueLogouts = `insert into logouts (id, client, subject, session, attempts, next)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::integer[], $6::timestamptz[])`
	sqlClaimLogouts = `update logouts set next = clock_timestamp() + $2
		where id in (select id from logouts where next <= clock_timestamp() order by next limit $1 for update skip locked)
		returning id, client, subject, session, attempts, next`
)

// QueueLogouts adds logout tokens to deliver.
func (db *DB) QueueLogouts(ctx context.Context, all []store.Logout) error {
	n := len(all)
	ids, sessions, clients, subjects := make([][16]byte, n), make([][16]byte, n), make([]string, n), make([]string, n)
	attempts, next := make([]int32, n), make([]time.Time, n)
	for i, l := range all {
		ids[i], clients[i], subjects[i], sessions[i], attempts[i], next[i] = l.ID, l.Client, l.Subject, l.Session, int32(l.Attempts), l.Next
	}
	return db.logout(ctx, sqlQueueLogouts, ids, clients, subjects, sessions, attempts, next)
}

// ClaimLogouts hands out those that are due, and makes them due again when lease is over.
func (db *DB) ClaimLogouts(ctx context.Context, limit int, lease time.Duration) (all []store.Logout, err error) {
	err = db.use(ctx, db.read, queryLogout, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlClaimLogouts, limit, lease)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l store.Logout, err error) {
			err = row.Scan((*[16]byte)(&l.ID), &l.Client, &l.Subject, (*[16]byte)(&l.Session), &l.Attempts, &l.Next)
			l.Next = l.Next.UTC()
			return l, err
		})
		return err
	})
	return all, err
}

// FinishLogout takes one off the queue.
func (db *DB) FinishLogout(ctx context.Context, id store.ID) error {
	return db.logout(ctx, "delete from logouts where id = $1", [16]byte(id))
}

// RetryLogout lets one be due again at next, one attempt later.
func (db *DB) RetryLogout(ctx context.Context, id store.ID, next time.Time) error {
	return db.logout(ctx, "update logouts set attempts = attempts + 1, next = $2 where id = $1", [16]byte(id), next)
}

func (db *DB) logout(ctx context.Context, sql string, args ...any) error {
	return db.use(ctx, db.read, queryLogout, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}
