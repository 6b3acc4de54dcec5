package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	// The arrays are in the order of the grants' ids, so that two batches wait for each other in one direction only. A row that was
	// waited for is looked at again as it is then.
	sqlRotate = `update grants as g set generation = g.generation + 1, key = r.key, rotated = clock_timestamp(), used = date_trunc('minute', clock_timestamp())
		from unnest($1::uuid[], $2::text[], $3::bigint[], $4::smallint[]) with ordinality as r (id, client, generation, key, i)
		where g.id = r.id and g.client = r.client and g.generation = r.generation and not g.revoked and g.expires > clock_timestamp()
		returning r.i, ` + "g.id, g.client, g.subject, g.scope, g.audience, g.session, g.auth_time, g.acr, g.offline, g.refresh, g.position, g.generation, g.key, g.rotated, g.created, g.used, g.expires, g.revoked"

	sqlRotated    = "select clock_timestamp(), " + grantColumns + " from grants where id = any($1) order by id"
	sqlRotateLock = sqlRotated + " for update"
	sqlPutRotated = `update grants as g set generation = r.generation, key = r.key, rotated = r.rotated, used = r.used, revoked = r.revoked,
			ends = case when r.revoked then clock_timestamp() else g.ends end
		from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::boolean[]) as r (id, generation, key, rotated, used, revoked)
		where g.id = r.id`
)

// rotating is a batch of rotations in progress. left are those without an outcome yet.
type rotating struct {
	all  []store.Rotation
	left []int
	done func(i int, r store.Rotated)
}

// RotateGrants rotates in one statement, its own transaction, all that present the newest token, as nearly all do. Of the others most are
// answered by their row as it is; what is left, a reuse or a lost race, is settled with the rows locked.
// An outcome that was told is durable, also when the call then fails for the others.
func (db *DB) RotateGrants(ctx context.Context, rotations []store.Rotation, done func(i int, r store.Rotated)) error {
	b := &rotating{all: rotations, left: make([]int, len(rotations)), done: done}
	for i := range b.left {
		b.left[i] = i
	}
	slices.SortStableFunc(b.left, func(i, j int) int { return bytes.Compare(rotations[i].Grant[:], rotations[j].Grant[:]) })
	return db.use(ctx, db.batch, queryRotate, func(ctx context.Context, conn *pgx.Conn) error {
		for _, step := range []func(context.Context, *pgx.Conn) error{b.rotate, b.repeat, b.settle} {
			if err := step(ctx, conn); err != nil || len(b.left) == 0 {
				return err
			}
		}
		return nil
	})
}

// rotate does those whose generation is the newest, the first of each grant.
func (b *rotating) rotate(ctx context.Context, conn *pgx.Conn) error {
	var first []int
	for _, i := range b.left {
		r := &b.all[i]
		if !r.Static && (len(first) == 0 || b.all[first[len(first)-1]].Grant != r.Grant) {
			first = append(first, i)
		}
	}
	if len(first) == 0 {
		return nil
	}
	n := len(first)
	ids, clients, generations, keys := make([][16]byte, n), make([]string, n), make([]int64, n), make([]int16, n)
	for k, i := range first {
		r := &b.all[i]
		ids[k], clients[k], generations[k], keys[k] = r.Grant, r.Client, int64(r.Generation), int16(r.Key)
	}
	rows, err := conn.Query(ctx, sqlRotate, ids, clients, generations, keys)
	if err != nil {
		return err
	}
	won := make(map[int]store.Grant, n) // told when the statement has ended, which commits it
	var k int
	var g store.Grant
	_, err = pgx.ForEachRow(rows, append([]any{&k}, grantTargets(&g)...), func() error {
		g.UTC()
		won[first[k-1]] = g
		return nil
	})
	if err != nil {
		return err
	}
	b.left = slices.DeleteFunc(b.left, func(i int) bool {
		g, there := won[i]
		if there {
			b.done(i, store.Rotated{Outcome: store.RotationDone, Grant: g})
		}
		return there
	})
	return nil
}

// repeat answers those that change nothing.
func (b *rotating) repeat(ctx context.Context, conn *pgx.Conn) error {
	rows, now, err := b.rows(ctx, conn, sqlRotated)
	if err != nil {
		return err
	}
	b.left = slices.DeleteFunc(b.left, func(i int) bool {
		var g store.Grant // a copy, or nobody's
		if row := rows[b.all[i].Grant]; row != nil {
			g = *row
		}
		outcome := g.Rotate(&b.all[i], now)
		switch outcome {
		case store.RotationRefused:
			b.done(i, store.Rotated{})
		case store.RotationRepeated:
			b.done(i, store.Rotated{Outcome: outcome, Grant: g})
		default:
			return false
		}
		return true
	})
	return nil
}

// rows reads the grants that are left, and the time.
func (b *rotating) rows(ctx context.Context, conn *pgx.Conn, sql string) (rows map[store.ID]*store.Grant, now time.Time, err error) {
	ids := make([][16]byte, len(b.left))
	for k, i := range b.left {
		ids[k] = b.all[i].Grant
	}
	found, err := conn.Query(ctx, sql, ids)
	if err != nil {
		return nil, now, err
	}
	rows = map[store.ID]*store.Grant{}
	var g store.Grant
	_, err = pgx.ForEachRow(found, append([]any{&now}, grantTargets(&g)...), func() error {
		row := g
		row.UTC()
		rows[row.ID] = &row
		return nil
	})
	return rows, now, err
}

// settle does what is left one after another, with their rows locked.
func (b *rotating) settle(ctx context.Context, conn *pgx.Conn) error {
	tx, err := begin(ctx, conn)
	if err != nil {
		return err
	}
	rows, now, err := b.rows(ctx, conn, sqlRotateLock)
	if err != nil {
		return tx.rollback(err)
	}
	outcomes := make([]store.Rotated, len(b.left))
	changed, reused := map[store.ID]*store.Grant{}, []store.Grant(nil)
	for k, i := range b.left {
		g := rows[b.all[i].Grant]
		if g == nil {
			continue // it was deleted
		}
		outcome := g.Rotate(&b.all[i], now)
		switch outcome {
		case store.RotationRefused:
			continue
		case store.RotationReused:
			reused = append(reused, *g)
			changed[g.ID] = g
		case store.RotationDone:
			changed[g.ID] = g
		}
		outcomes[k] = store.Rotated{Outcome: outcome, Grant: *g}
	}
	if err := tx.putRotated(changed, reused); err != nil {
		return tx.rollback(err)
	}
	for k, i := range b.left {
		b.done(i, outcomes[k])
	}
	b.left = nil
	return nil
}

// putRotated stores grants as they are now, tells of those that were revoked, and commits.
func (tx *transaction) putRotated(changed map[store.ID]*store.Grant, reused []store.Grant) error {
	n := 0
	ids, generations, keys := make([][16]byte, len(changed)), make([]int64, len(changed)), make([]int16, len(changed))
	rotated, used, revoked := make([]time.Time, len(changed)), make([]time.Time, len(changed)), make([]bool, len(changed))
	for _, g := range changed {
		ids[n], generations[n], keys[n], rotated[n], used[n], revoked[n] = g.ID, int64(g.Generation), int16(g.Key), g.Rotated, g.Used, g.Revoked
		n++
	}
	if _, err := tx.conn.Exec(tx.ctx, sqlPutRotated, ids, generations, keys, rotated, used, revoked); err != nil {
		return err
	}
	if len(reused) == 0 {
		_, err := tx.conn.Exec(tx.ctx, "commit")
		return err
	}
	told := story{audit: auditDenials}
	if err := tx.denyGrants(reused, func(g *store.Grant) store.Actor { return store.RefreshReuse(g.Client) }, &told.change); err != nil {
		return err
	}
	if err := tx.draw(); err != nil {
		return err
	}
	return tx.publish(&told)
}
