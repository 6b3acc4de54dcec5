package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// Denials are inserted in the order of their keys: two batches that share some
// then wait for each other in one direction only.
const sqlDeny = `insert into denials (kind, id, expires, actor, at)
	select kind, id, expires, actor, coalesce(at, clock_timestamp())
	from unnest($1::smallint[], $2::uuid[], $3::timestamptz[], $4::text[], $5::timestamptz[]) as d (kind, id, expires, actor, at)
	order by kind, id
	on conflict (kind, id) do nothing
	returning kind, id, expires, actor, at`

// Deny adds denials as one change, in two trips however many they are. What is
// denied already stays as it is.
func (db *DB) Deny(ctx context.Context, denials []store.Denial) error {
	fresh := slices.Clone(denials)
	for i := range fresh {
		fresh[i].At = 0 // the store's to set
	}
	return db.deny(ctx, fresh, func(now time.Time, change *store.Change) []store.Audit {
		return store.AuditDenials(now, change.Denials)
	})
}

// deny is Deny for denials that keep the time they have.
func (db *DB) deny(ctx context.Context, denials []store.Denial, audit auditor) error {
	switch {
	case len(denials) == 0:
		return nil
	case len(denials) > store.MaxDenials:
		return fmt.Errorf("deny %d things at once: the limit is %d", len(denials), store.MaxDenials)
	}
	return db.use(ctx, db.security, queryDeny, func(ctx context.Context, conn *pgx.Conn) error {
		tx := &transaction{ctx: ctx, conn: conn}
		told := story{audit: audit}
		var batch pgx.Batch
		batch.Queue("begin")
		queueDenials(&batch, denials, &told.change)
		tx.queueDraw(&batch)
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return tx.rollback(err)
		}
		if len(told.change.Denials) == 0 {
			_, err := conn.Exec(ctx, "commit") // all were denied already, and told of
			return tx.rollback(err)
		}
		return tx.publish(&told)
	})
}

// queueDenials inserts denials; those that are new are added to the change. Grants that are denied are revoked: first, as who revokes
// has their rows before their denials.
func queueDenials(batch *pgx.Batch, denials []store.Denial, change *store.Change) {
	queueEnds(batch, denials)
	n := len(denials)
	kinds, ids, actors := make([]int16, n), make([][16]byte, n), make([]string, n)
	expires, at := make([]time.Time, n), make([]*time.Time, n)
	for i, d := range denials {
		kinds[i], ids[i], actors[i], expires[i] = int16(d.Kind), d.ID, d.Actor, time.Unix(d.Expires, 0)
		if d.At != 0 {
			t := time.Unix(d.At, 0)
			at[i] = &t
		}
	}
	batch.Queue(sqlDeny, kinds, ids, expires, actors, at).Query(func(rows pgx.Rows) (err error) {
		change.Denials, err = pgx.CollectRows(rows, scanDenial)
		return err
	})
}

func queueEnds(batch *pgx.Batch, denials []store.Denial) {
	var grants [][16]byte
	for _, d := range denials {
		if d.Kind == store.DenyGrant {
			grants = append(grants, d.ID)
		}
	}
	if len(grants) > 0 {
		batch.Queue(sqlDenyCodes, grants)
		batch.Queue(sqlDenyGrants, grants)
	}
}

func scanDenial(row pgx.CollectableRow) (d store.Denial, err error) {
	var expires, at time.Time
	err = row.Scan(&d.Kind, (*[16]byte)(&d.ID), &expires, &d.Actor, &at)
	d.Expires, d.At = expires.Unix(), at.Unix()
	return d, err
}

// CutOff kills what is below the number it returns: the number of its own change.
func (db *DB) CutOff(ctx context.Context, actor store.Actor, kind store.CutoffKind, name string) (store.Cutoff, error) {
	change, err := db.mutate(ctx, queryCutoff, func(*transaction) (story, error) {
		cut := store.Cutoff{Kind: kind, Name: name, Actor: actor.String()}
		return story{store.Change{Cutoffs: []store.Cutoff{cut}}, func(now time.Time, change *store.Change) []store.Audit {
			return []store.Audit{store.AuditCutoff(now, actor, change.Cutoffs[0])}
		}}, nil
	})
	if err != nil {
		return store.Cutoff{}, err
	}
	return change.Cutoffs[0], nil
}

// Rewrite writes back what a lost history knew. The numbers are moved past
// last first, so that no cut-off made meanwhile is below a position that was
// handed out; then the denials follow in changes of their own, so that other
// revocations pass between them. Each step can be repeated.
func (db *DB) Rewrite(ctx context.Context, actor store.Actor, last store.Position, denials []store.Denial, cutoffs []store.Cutoff) error {
	_, err := db.mutate(ctx, queryCutoff, func(tx *transaction) (story, error) {
		higher, err := tx.moveOn(last, cutoffs)
		return story{store.Change{Cutoffs: higher}, func(now time.Time, _ *store.Change) []store.Audit {
			return []store.Audit{store.AuditRewrite(now, actor, last, len(denials), len(cutoffs))}
		}}, err
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(denials, store.MaxDenials) {
		if err := db.deny(ctx, chunk, noAudit); err != nil { // the row above speaks for them
			return err
		}
	}
	return nil
}

func noAudit(time.Time, *store.Change) []store.Audit { return nil }

// moveOn takes the lock, moves the feed's numbers past last and past those of
// the cut-offs, and returns the cut-offs that are higher than what is stored.
func (tx *transaction) moveOn(last store.Position, cutoffs []store.Cutoff) ([]store.Cutoff, error) {
	if _, err := tx.conn.Exec(tx.ctx, sqlLock, int64(feedLock)); err != nil {
		return nil, err
	}
	stored, err := listCutoffs(tx.ctx, tx.conn)
	if err != nil {
		return nil, err
	}
	var higher []store.Cutoff
	for _, c := range cutoffs {
		last = max(last, c.Number)
		same := func(s store.Cutoff) bool { return s.Kind == c.Kind && s.Name == c.Name && s.Number >= c.Number }
		if !slices.ContainsFunc(stored, same) {
			higher = append(higher, c)
		}
	}
	_, err = tx.conn.Exec(tx.ctx, "select setval('changes_seq', greatest($1, last_value)) from changes_seq", int64(last))
	return higher, err
}

// Denied finds the denial of a thing, for explaining. ErrNotFound.
func (db *DB) Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error) {
	var denial store.Denial
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select kind, id, expires, actor, at from denials where kind = $1 and id = $2", int16(kind), [16]byte(id))
		if err != nil {
			return err
		}
		denial, err = pgx.CollectExactlyOneRow(rows, scanDenial)
		return err
	})
	return denial, err
}

// Cutoffs lists the cut-offs, for explaining.
func (db *DB) Cutoffs(ctx context.Context) ([]store.Cutoff, error) {
	var all []store.Cutoff
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) (err error) {
		all, err = listCutoffs(ctx, conn)
		return err
	})
	return all, err
}

func listCutoffs(ctx context.Context, conn *pgx.Conn) ([]store.Cutoff, error) {
	rows, err := conn.Query(ctx, "select kind, name, number, actor, at from cutoffs order by kind, name")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c store.Cutoff, err error) {
		var at time.Time
		err = row.Scan(&c.Kind, &c.Name, &c.Number, &c.Actor, &at)
		c.At = at.Unix()
		return c, err
	})
}
