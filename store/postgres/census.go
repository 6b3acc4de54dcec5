package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// deploy/backup/connection.sh counts the same tables.
const sqlTablesOfCensus = `select relname from pg_class
	where relnamespace = (select relnamespace from pg_class where oid = 'changes'::regclass) and relkind = 'r' order by relname`

// Census counts the rows of every table, in one snapshot. Tables of millions of rows take seconds: there is no deadline but ctx's.
func (db *DB) Census(ctx context.Context) (store.Census, error) {
	census := store.Census{Rows: map[string]int64{}}
	err := db.alone(ctx, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error { return count(ctx, tx, &census) })
	})
	return census, err
}

func count(ctx context.Context, tx pgx.Tx, census *store.Census) error {
	if _, err := tx.Exec(ctx, "set local enable_seqscan = on; set local idle_in_transaction_session_timeout = 0", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, "select coalesce(max(seq), 0) from changes").Scan(&census.Position); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, sqlTablesOfCensus)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		var n int64
		if err := tx.QueryRow(ctx, "select count(*) from "+pgx.Identifier{name}.Sanitize()).Scan(&n); err != nil {
			return err
		}
		census.Rows[name] = n
	}
	return nil
}
