package postgres

import (
	"context"
	"hash/crc32"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// A kind of row that is altered by [alter]: the first half of the advisory lock of each row.
type rowKind int32

const (
	limitRow    rowKind = 1
	userRow     rowKind = 2
	operatorRow rowKind = 3 // no row: whoever ends an operator, behind the user's row
)

const sqlLockRow = "select pg_advisory_xact_lock($1, $2)"

// A row of one JSON column, there or not.
type row struct {
	kind rowKind
	name string // under which it is locked
	sql  string // selects the column, for update
	arg  any    // of sql
}

// alter locks the row and lets change say what becomes of what it holds: before is nil when it is not there, after is
// nil when it is to be deleted. change gets a value of its own. ErrNotFound: nothing becomes of nothing.
//
// A row that is not there cannot be locked. So the name is, in the key space of
// two numbers that nothing else uses; names that share a number wait for each other in vain, and no more.
func alter[T any](tx *transaction, r row, change func(*T) (*T, error)) (before, after *T, err error) {
	var given *T
	var batch pgx.Batch
	batch.Queue(sqlLockRow, int32(r.kind), int32(crc32.ChecksumIEEE([]byte(r.name))))
	batch.Queue(r.sql, r.arg).Query(func(rows pgx.Rows) error { // a statement of its own: it sees what was waited for
		defer rows.Close()
		for rows.Next() {
			before, given = new(T), new(T)
			if err := rows.Scan(before, given); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	batch.Queue("select clock_timestamp()").QueryRow(tx.scanNow)
	if err := tx.conn.SendBatch(tx.ctx, &batch).Close(); err != nil {
		return nil, nil, err
	}
	if after, err = change(given); err != nil {
		return nil, nil, callerError{err}
	}
	if before == nil && after == nil {
		return nil, nil, store.ErrNotFound
	}
	return before, after, nil
}

// body reads one row's JSON, for people. ErrNotFound.
func body[T any](ctx context.Context, db *DB, sql string, arg any) (v T, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, arg).Scan(&v)
	})
	return v, err
}

// bodies lists the JSON of rows, for people.
func bodies[T any](ctx context.Context, db *DB, sql string, args ...any) (all []T, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[T])
		return err
	})
	return all, err
}
