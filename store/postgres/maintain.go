package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// maintainLock is the advisory lock of whoever maintains.
const maintainLock = feedLock + 1

// pruneRows bounds one deletion, so that none of them is long, and pruneRounds
// their number: the rest is for the next time.
const (
	pruneRows   = 10_000
	pruneRounds = 100
)

// The newest change stays: followers stand on it. Looking at the oldest rows
// only keeps the search short when none is due.
const sqlPruneChanges = `with oldest as (select seq, at from changes order by seq limit $1)
	delete from changes where seq in (select seq from oldest where at < clock_timestamp() - interval '1 hour')
	and seq < (select max(seq) from changes)`

// Rows that a mutation holds are left for the next time.
const sqlPruneDenials = `delete from denials where (kind, id) in (
	select kind, id from denials where expires < clock_timestamp() order by expires limit $1 for update skip locked)`

// What the limits counted is kept for an hour, and the keys they refused for a day since the last refusal. A key that a
// replica is just writing about is left for the next time.
const (
	sqlPruneRefused = `delete from limit_refused where (name, hash) in (
		select name, hash from limit_refused where at < clock_timestamp() - interval '1 day' order by at limit $1 for update skip locked)`
	sqlPruneMinutes = "delete from limit_minutes where minute < extract(epoch from clock_timestamp() - interval '1 hour') / 60 - 1"
)

// What people left. A redeemed code is kept for an hour, a dead grant for a week, for people to look at; a logout that nobody
// tried to deliver for a day is of no use.
var sqlPrunePeople = [...]string{
	`delete from codes where id in (
		select id from codes where expires < clock_timestamp() - interval '1 hour' order by expires limit $1 for update skip locked)`,
	`delete from pushed where id in (select id from pushed where expires < clock_timestamp() order by expires limit $1 for update skip locked)`,
	`delete from jtis where hash in (select hash from jtis where expires < clock_timestamp() order by expires limit $1 for update skip locked)`,
	`delete from grants where id in (
		select id from grants where ends < clock_timestamp() - interval '7 days' order by ends limit $1 for update skip locked)`,
	`delete from logouts where id in (
		select id from logouts where next < clock_timestamp() - interval '1 day' order by next limit $1 for update skip locked)`,

	// What clients left that are gone. Of the grants, which are many, only their index is walked, from one client to the next.
	`with recursive owners (client) as (
			select min(client) from grants union all
			select (select min(client) from grants where client > owners.client) from owners where owners.client is not null
		), gone as (select client from owners where client is not null and not exists (select from clients where id = client))
		delete from grants where id in (
			select g.id from gone cross join lateral (select id from grants where client = gone.client limit $1) as g limit $1)`,
	`delete from pushed where id in (
		select id from pushed where not exists (select from clients where clients.id = client) limit $1 for update skip locked)`,
	`delete from logouts where id in (
		select id from logouts where not exists (select from clients where clients.id = client) limit $1 for update skip locked)`,
}

// Maintain makes the partitions that are due and drops those that are past,
// and prunes changes, expired denials, old counts of the limits, what people left and dead replicas. One caller does it;
// the others return at once. It waits for no lock longer than 100 ms, so no
// reader or writer waits behind it; what it could not lock it does next time.
func (db *DB) Maintain(ctx context.Context) error {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	return db.alone(ctx, queryMaintain, maintain)
}

func maintain(ctx context.Context, conn *pgx.Conn) error {
	var mine bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(maintainLock)).Scan(&mine); err != nil || !mine {
		return err
	}
	if _, err := conn.Exec(ctx, "set lock_timeout = '100ms'"); err != nil {
		return err
	}
	// What fails does not keep the rest from being done.
	partitions := turnPartitions(ctx, conn)
	changes := prune(ctx, conn, sqlPruneChanges)
	denials := prune(ctx, conn, sqlPruneDenials)
	refused := prune(ctx, conn, sqlPruneRefused)
	_, minutes := conn.Exec(ctx, sqlPruneMinutes)
	_, replicas := conn.Exec(ctx, "delete from replicas where seen < clock_timestamp() - $1::interval", store.Alive)
	people := make([]error, 0, len(sqlPrunePeople))
	for _, sql := range sqlPrunePeople {
		people = append(people, prune(ctx, conn, sql))
	}
	return errors.Join(partitions, changes, denials, refused, minutes, replicas, errors.Join(people...))
}

// prune repeats a bounded deletion until little is left.
func prune(ctx context.Context, conn *pgx.Conn, sql string) error {
	for range pruneRounds {
		deleted, err := conn.Exec(ctx, sql, pruneRows)
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
		if deleted.RowsAffected() < pruneRows {
			return nil
		}
	}
	return nil
}
