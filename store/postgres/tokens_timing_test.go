package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const benchRows = 200 // a batch under load

func benchBatch() []store.Token {
	rows := make([]store.Token, benchRows)
	for i := range rows {
		rows[i] = token(time.Hour)
		rows[i].Record = make([]byte, 140) // a usual record
	}
	return rows
}

// renew gives the rows ids that are not there yet.
func renew(rows []store.Token) {
	now := time.Now()
	for i := range rows {
		rows[i].ID = store.NewID(now)
	}
}

// BenchmarkInsertTokens is a batch of 200, durable as far as the test's server
// is. "pgx" is the same statement with pgx's own encoding of the arrays.
func BenchmarkInsertTokens(b *testing.B) {
	run := func(name string, insert func(db *DB, rows []store.Token) error) {
		b.Run(name, func(b *testing.B) {
			db := openDB(b)
			rows := benchBatch()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				renew(rows)
				if err := insert(db, rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	run("arrays", func(db *DB, rows []store.Token) error { return db.InsertTokens(context.Background(), rows) })
	run("pgx", insertPlain)
}

func insertPlain(db *DB, rows []store.Token) error {
	ids, expires, records := make([][16]byte, len(rows)), make([]time.Time, len(rows)), make([][]byte, len(rows))
	for i, row := range rows {
		ids[i], expires[i], records[i] = row.ID, time.Unix(row.Expires, 0), row.Record
	}
	return db.use(context.Background(), db.batch, queryInsert, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sqlInsert, ids, expires, records)
		return err
	})
}

// BenchmarkEncodeBatch is the client's part of it alone.
func BenchmarkEncodeBatch(b *testing.B) {
	rows := benchBatch()
	a := new(arrays)
	b.ReportAllocs()
	for b.Loop() {
		a.begin(len(rows))
		for i := range rows {
			a.addKey(&rows[i].TokenKey)
			a.addRecord(rows[i].Record)
		}
	}
	if len(a.records) != 20+benchRows*144 {
		b.Fatalf("records are %d bytes", len(a.records))
	}
}

func BenchmarkFindTokens(b *testing.B) {
	run := func(name string, n int) {
		b.Run(name, func(b *testing.B) {
			db := openDB(b)
			rows := benchBatch()
			if err := db.InsertTokens(context.Background(), rows); err != nil {
				b.Fatal(err)
			}
			keys := make([]store.TokenKey, n)
			for i := range keys {
				keys[i] = rows[i].TokenKey
			}
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				if err := db.FindTokens(context.Background(), keys, func(int, []byte) { found++ }); err != nil {
					b.Fatal(err)
				}
			}
			if found != b.N*n {
				b.Fatalf("found %d of %d", found, b.N*n)
			}
		})
	}
	run("1", 1)
	run("100", 100)
}

func BenchmarkPoll(b *testing.B) {
	db := openDB(b)
	f := follow1(b, db)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.poll(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeny(b *testing.B) {
	db := openDB(b)
	denials := make([]store.Denial, store.MaxDenials)
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		for i := range denials {
			denials[i] = store.Denial{Kind: store.DenyToken, ID: store.NewID(now), Expires: now.Unix() + 3600, Actor: "client:web"}
		}
		if err := db.Deny(context.Background(), denials); err != nil {
			b.Fatal(err)
		}
	}
}
