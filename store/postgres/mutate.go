package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// feedLock is the advisory lock under which the feed's numbers are drawn. It
// is taken last and held to commit, so numbers become visible in order.
// Whoever holds it waits for nothing but the cut-offs, which only its holder writes.
const feedLock = 0x6f61757468320001 // "oauth2", 1

const (
	sqlLock = "select pg_advisory_xact_lock($1)"
	// A number is at least the milliseconds since 1970, and above the last one. So numbers drawn after a restore are above
	// all that were drawn before it, and a cut-off made then hits whatever was issued in the history that was lost.
	sqlDraw = `select setval('changes_seq', greatest(nextval('changes_seq'), (extract(epoch from clock_timestamp()) * 1000)::bigint)),
		clock_timestamp()`

	sqlChange = "insert into changes (seq, body) values ($1, $2)"
	sqlCutoff = `insert into cutoffs (kind, name, number, actor, at) values ($1, $2, $3, $4, $5)
		on conflict (kind, name) do update set number = excluded.number, actor = excluded.actor, at = excluded.at
		where excluded.number > cutoffs.number`
	sqlAudit = `insert into audit (at, actor, action, object, before, after)
		select * from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[])`
)

// A story is what a mutation has to tell once its rows are written: the change
// for the feed, and the rows for the audit when the change has its number. One
// without an auditor has nothing to tell.
type story struct {
	change store.Change
	audit  auditor
}

type auditor func(now time.Time, change *store.Change) []store.Audit

// mutate runs work in a transaction and publishes what it tells. now is the
// database's clock. The change comes back with its number.
func (db *DB) mutate(ctx context.Context, query string, work func(tx *transaction) (story, error)) (store.Change, error) {
	var told story
	err := db.use(ctx, db.security, query, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := begin(ctx, conn)
		if err != nil {
			return err
		}
		if told, err = work(tx); err != nil {
			return tx.rollback(err)
		}
		if told.audit == nil {
			_, err := conn.Exec(ctx, "commit")
			return tx.rollback(err)
		}
		if err := tx.draw(); err != nil {
			return tx.rollback(err)
		}
		return tx.publish(&told)
	})
	return told.change, err
}

// A transaction is a mutation in progress on one connection.
type transaction struct {
	ctx  context.Context
	conn *pgx.Conn
	now  time.Time      // the database's clock
	seq  store.Position // 0 until it is drawn
}

func begin(ctx context.Context, conn *pgx.Conn) (*transaction, error) {
	tx := &transaction{ctx: ctx, conn: conn}
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue("select clock_timestamp()").QueryRow(tx.scanNow)
	return tx, conn.SendBatch(ctx, &batch).Close()
}

func (tx *transaction) scanNow(row pgx.Row) error { return row.Scan(&tx.now) }

func (tx *transaction) scanDraw(row pgx.Row) error { return row.Scan(&tx.seq, &tx.now) }

// rollback ends the transaction for the reason err, which it returns. When it
// fails too, the pool closes the connection.
func (tx *transaction) rollback(err error) error {
	if !tx.conn.IsClosed() && tx.conn.PgConn().TxStatus() != 'I' {
		_, _ = tx.conn.Exec(tx.ctx, "rollback")
	}
	return err
}

// draw takes the lock and the change's number. From here on other mutations wait.
func (tx *transaction) draw() error {
	var batch pgx.Batch
	tx.queueDraw(&batch)
	return tx.conn.SendBatch(tx.ctx, &batch).Close()
}

func (tx *transaction) queueDraw(batch *pgx.Batch) {
	batch.Queue(sqlLock, int64(feedLock))
	batch.Queue(sqlDraw).QueryRow(tx.scanDraw) // a statement of its own: the number is drawn under the lock
}

// publish writes the change, its cut-offs and its audit rows, and commits: one trip.
func (tx *transaction) publish(told *story) error {
	change := &told.change
	change.Place(tx.seq, tx.now)
	body, err := json.Marshal(change)
	if err != nil {
		return tx.rollback(fmt.Errorf("write change as JSON: %w", err))
	}
	var batch pgx.Batch
	batch.Queue(sqlChange, int64(change.Seq), body)
	for _, c := range change.Cutoffs {
		batch.Queue(sqlCutoff, string(c.Kind), c.Name, int64(c.Number), c.Actor, time.Unix(c.At, 0))
	}
	if rows := told.audit(tx.now, change); len(rows) > 0 {
		queueAudit(&batch, rows)
	}
	batch.Queue("commit")
	return tx.rollback(tx.conn.SendBatch(tx.ctx, &batch).Close())
}

func queueAudit(batch *pgx.Batch, rows []store.Audit) {
	n := len(rows)
	at, before, after := make([]time.Time, n), make([][]byte, n), make([][]byte, n)
	actor, action, object := make([]string, n), make([]string, n), make([]string, n)
	for i, row := range rows {
		at[i], actor[i], action[i], object[i], before[i], after[i] = row.At, row.Actor, row.Action, row.Object, row.Before, row.After
	}
	batch.Queue(sqlAudit, at, actor, action, object, before, after)
}
