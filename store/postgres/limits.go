package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	sqlLockLimit = "select body, body from limits where name = $1 for update"
	sqlPutLimit  = `insert into limits (name, mode, version, updated, body) values ($1, $2, $3, $4, $5)
		on conflict (name) do update set mode = excluded.mode, version = excluded.version, updated = excluded.updated, body = excluded.body`
)

// ChangeLimit lets change say what the limit of the name, nil when there is
// none, is to be, and stores that as the next version; nil deletes it. An error of
// change is returned as it is. ErrNotFound: nothing is to become of nothing.
func (db *DB) ChangeLimit(ctx context.Context, actor store.Actor, action, name string, change func(old *store.Limit) (*store.Limit, error)) (store.Limit, error) {
	var result store.Limit
	_, err := db.mutate(ctx, queryLimit, func(tx *transaction) (story, error) {
		before, after, err := alter(tx, row{limitRow, name, sqlLockLimit, name}, change)
		switch {
		case err != nil:
			return story{}, err
		case after == nil:
			result = *before
			_, err = tx.conn.Exec(tx.ctx, "delete from limits where name = $1", name)
		default:
			var last int64
			if last, err = tx.lastVersion(before, name); err != nil {
				return story{}, err
			}
			result = after.Next(before, last, tx.now)
			result.Name = name
			after = &result
			_, err = tx.conn.Exec(tx.ctx, sqlPutLimit, name, result.Mode, result.Version, result.Updated, result)
		}
		return story{store.ChangedLimit(before, after), func(now time.Time, _ *store.Change) []store.Audit {
			return []store.Audit{store.AuditLimit(now, actor, action, before, after)}
		}}, err
	})
	if err != nil {
		return store.Limit{}, err
	}
	return result, nil
}

// lastVersion is the one that the last limit of the name had when it was deleted, 0 when there was none.
func (tx *transaction) lastVersion(now *store.Limit, name string) (int64, error) {
	if now != nil {
		return now.Version, nil
	}
	var before, after []byte
	err := tx.conn.QueryRow(tx.ctx, "select before, after from audit where object = $1 order by id desc limit 1", "limit "+name).Scan(&before, &after)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return store.LastVersion(before, after)
}

// Limits lists the limits by name.
func (db *DB) Limits(ctx context.Context) ([]store.Limit, error) {
	return bodies[store.Limit](ctx, db, `select body from limits order by name collate "C"`)
}

const (
	sqlPutMinute = `insert into limit_minutes (minute, replica, body) values ($1, $2, $3)
		on conflict (minute, replica) do update set body = excluded.body`

	// A key that goes on being refused is remembered on; that it is is written once an hour. A name that has all its
	// keys gets no new ones: finding the last of them is one walk of an index, some 10 ms, once per name and save. All
	// replicas together may go beyond by one save each.
	sqlPutRefused = `with r as (select * from unnest($1::text[], $2::uuid[], $3::bigint[]) as r (name, hash, version)),
		full_names as materialized (select name from (select distinct name from r) as n
			where exists (select 1 from limit_refused as l where l.name = n.name offset $4 - 1))
		insert into limit_refused (name, hash, version, at)
		select name, hash, version, clock_timestamp() from r where name not in (select name from full_names)
			or exists (select 1 from limit_refused as l where l.name = r.name and l.hash = r.hash) order by name, hash
		on conflict (name, hash) do update set at = excluded.at where limit_refused.at < excluded.at - interval '1 hour'`
)

// SaveLimitMinute keeps what a replica counted in a minute, and the keys it
// refused, in one trip. What is old is forgotten by [DB.Maintain].
//
// It uses a connection for reading: a revocation never waits for a list of
// keys that an attack made long, and neither does issuing. What it may delay is a token that no cache holds.
func (db *DB) SaveLimitMinute(ctx context.Context, minute store.LimitMinute, refused []store.RefusedKey) error {
	var batch pgx.Batch
	batch.Queue(sqlPutMinute, minute.Minute, [16]byte(minute.Replica), minute)
	if len(refused) > 0 {
		queueRefused(&batch, refused)
	}
	return db.use(ctx, db.read, queryLimitMinute, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.SendBatch(ctx, &batch).Close() // one transaction: the batch has no other
	})
}

// queueRefused inserts keys in order: two replicas that refused the same ones
// wait for each other in one direction only. A key is told once, for a statement cannot meet its own rows.
func queueRefused(batch *pgx.Batch, refused []store.RefusedKey) {
	refused = slices.Clone(refused)
	slices.SortFunc(refused, func(a, b store.RefusedKey) int {
		if c := strings.Compare(a.Limit, b.Limit); c != 0 {
			return c
		}
		return bytes.Compare(a.Hash[:], b.Hash[:])
	})
	refused = slices.CompactFunc(refused, func(a, b store.RefusedKey) bool { return a.Limit == b.Limit && a.Hash == b.Hash })
	n := len(refused)
	names, hashes, versions := make([]string, n), make([][16]byte, n), make([]int64, n)
	for i, key := range refused {
		names[i], hashes[i], versions[i] = key.Limit, key.Hash, key.Version
	}
	batch.Queue(sqlPutRefused, names, hashes, versions, int64(store.MaxRefusedKeys))
}

// LimitMinutes lists what all replicas counted since the minute, in order of time.
func (db *DB) LimitMinutes(ctx context.Context, since int64) ([]store.LimitMinute, error) {
	return bodies[store.LimitMinute](ctx, db, "select body from limit_minutes where minute >= $1 order by minute, replica", since)
}

// NewlyRefused is how many keys the limit refused since the version, and never before it.
func (db *DB) NewlyRefused(ctx context.Context, name string, since int64) (n int64, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "select count(*) from limit_refused where name = $1 and version >= $2", name, since).Scan(&n)
	})
	return n, err
}
