package postgres

import (
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	sqlInsert      = "insert into tokens (id, expires, record) select id, expires, record from unnest($1::uuid[], $2::timestamptz[], $3::bytea[]) as t (id, expires, record)"
	sqlInsertAgain = sqlInsert + " on conflict (id, expires) do nothing"

	// The limit keeps the planner from anything but one look-up a key, which
	// touches the one partition that its expiry leads to.
	sqlFind = `select k.i, t.record
		from unnest($1::uuid[], $2::timestamptz[]) with ordinality as k (id, expires, i)
		cross join lateral (select record from tokens where id = k.id and expires = k.expires limit 1) as t`
)

// InsertTokens makes rows durable, all or none, with one statement, which is
// its own transaction. When the connection breaks before the answer, it is
// tried once more in a way that finds rows already there.
func (db *DB) InsertTokens(ctx context.Context, rows []store.Token) error {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	a := arraysPool.Get().(*arrays)
	defer arraysPool.Put(a)
	a.begin(len(rows))
	for i := range rows {
		a.addKey(&rows[i].TokenKey)
		a.addRecord(rows[i].Record)
	}
	unknown, err := db.insert(ctx, a, "insert", sqlInsert)
	if unknown && ctx.Err() == nil {
		_, err = db.insert(ctx, a, "insert_again", sqlInsertAgain)
	}
	return err
}

func (db *DB) insert(ctx context.Context, a *arrays, name, sql string) (unknown bool, err error) {
	err = db.use(ctx, db.batch, queryInsert, func(ctx context.Context, conn *pgx.Conn) error {
		statement, err := conn.Prepare(ctx, name, sql) // once a connection
		if err == nil {
			params := [...][]byte{a.ids, a.expires, a.records}
			_, err = conn.PgConn().ExecStatement(ctx, statement, params[:], binaryFormat, nil).Close()
		}
		unknown = lost(err)
		return err
	})
	return unknown, err
}

// FindTokens finds records by their keys in one query. The record given to
// found is valid only during the call.
func (db *DB) FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error {
	a := arraysPool.Get().(*arrays)
	defer arraysPool.Put(a)
	a.begin(len(keys))
	for i := range keys {
		a.addKey(&keys[i])
	}
	return db.use(ctx, db.read, queryFind, func(ctx context.Context, conn *pgx.Conn) error {
		statement, err := conn.Prepare(ctx, "find", sqlFind) // once a connection
		if err != nil {
			return err
		}
		params := [...][]byte{a.ids, a.expires}
		rows := conn.PgConn().ExecStatement(ctx, statement, params[:], binaryFormat, binaryFormat)
		for rows.NextRow() {
			row := rows.Values()
			found(int(binary.BigEndian.Uint64(row[0]))-1, row[1])
		}
		_, err = rows.Close()
		return err
	})
}
