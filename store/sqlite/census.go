package sqlite

import (
	"context"
	"database/sql"

	"oauth2-server/store"
)

// Census counts the rows of every table, in one snapshot.
func (db *DB) Census(ctx context.Context) (store.Census, error) {
	census := store.Census{Rows: map[string]int64{}}
	err := db.observe("explain", func() error {
		tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return classify(err)
		}
		defer func() { _ = tx.Rollback() }() // it has read only
		if err := tx.QueryRowContext(ctx, "select coalesce(max(seq), 0) from changes").Scan(&census.Position); err != nil {
			return classify(err)
		}
		names, err := tables(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range names {
			var n int64
			if err := tx.QueryRowContext(ctx, `select count(*) from "`+name+`"`).Scan(&n); err != nil { // names are ours
				return classify(err)
			}
			census.Rows[name] = n
		}
		return nil
	})
	return census, err
}

func tables(ctx context.Context, tx *sql.Tx) (names []string, err error) {
	found, err := tx.QueryContext(ctx, "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name")
	err = rows(found, err, func(row *sql.Rows) error {
		var name string
		err := row.Scan(&name)
		names = append(names, name)
		return classify(err)
	})
	return names, err
}

// Backup writes a copy of the database to file, which must not be there, while the database is in use. It is whole when Backup returns nil.
func (db *DB) Backup(ctx context.Context, file string) error {
	return db.observe("explain", func() error {
		_, err := db.reader.ExecContext(ctx, "vacuum into ?", file)
		return classify(err)
	})
}
