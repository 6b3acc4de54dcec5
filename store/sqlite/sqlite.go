// Package sqlite remembers in one file, for the embedded default: no server
// beside ours, nothing to configure. It keeps the same promises as Postgres
// (see store/storetest); its clock is the machine's.
//
//	writer  1 connection   every change: begin immediate … commit, durable
//	reader  4 connections  look-ups and Load, each from one snapshot
//	feed    1 connection   Poll, 20 times a second, waits for nobody
//
// Several processes may have the file open: the command line works beside a
// running server. Who finds it locked waits, then gets store.ErrUnavailable.
package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"oauth2-server/store"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Memory is the path of a database that lives in this process and ends with it.
const Memory = ":memory:"

// Options of a [DB].
type Options struct {
	Path    string           // of the file, or Memory; required
	Create  bool             // makes the file, readable by its owner only, when there is none
	Version string           // of the program, for the history of the schema
	Wait    time.Duration    // for another process that has the file locked; default 5 s
	Now     func() time.Time // the store's clock; default time.Now

	// Observe is told of each call when it ends: its name, its time with the
	// wait for a lock, its error. The names are those of the other databases.
	Observe func(query string, d time.Duration, err error)
}

// A DB is an open database. Its methods are those of storetest.Store.
type DB struct {
	options Options

	writer *sql.DB
	reader *sql.DB // the same as writer in memory, where the connection is the database
	feed   *sql.DB // likewise

	findTokens statement
	poll       statement

	maintaining sync.Mutex
}

// Open opens the database. An error is store.ErrNotFound when there is none
// and it is not to be created, else a [store.Fault].
func Open(options Options) (*DB, error) {
	if options.Wait <= 0 {
		options.Wait = 5 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Observe == nil {
		options.Observe = func(string, time.Duration, error) {}
	}
	db := &DB{options: options}
	if err := db.connect(); err != nil {
		return nil, err
	}
	return db, nil
}

// Close ends the connections after the queries that run.
func (db *DB) Close() {
	db.feed.Close()
	db.reader.Close()
	db.writer.Close()
}

// now is the store's clock. UTC without the monotonic part: as it comes back from a row.
func (db *DB) now() time.Time { return db.options.Now().UTC().Truncate(time.Microsecond) }

// observe runs do and tells how it went.
func (db *DB) observe(query string, do func() error) error {
	start := time.Now()
	err := do()
	db.options.Observe(query, time.Since(start), err)
	return err
}

// rows calls scan for each row of a query.
func rows(found *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return classify(err)
	}
	defer found.Close()
	for found.Next() {
		if err := scan(found); err != nil {
			return err
		}
	}
	return classify(found.Err())
}

// query runs a look-up on a reader, one for people and not for a hot path.
func (db *DB) query(ctx context.Context, text string, scan func(*sql.Rows) error, args ...any) error {
	return db.observe("explain", func() error {
		found, err := db.reader.QueryContext(ctx, text, args...)
		return rows(found, err, scan)
	})
}

// one makes store.ErrNotFound of a look-up that found nothing.
func one(found bool, err error) error {
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}
