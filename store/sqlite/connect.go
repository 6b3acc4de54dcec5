package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	readers        = 4
	connectTimeout = 10 * time.Second // the first connection, which may have to recover the file
)

// connect makes the connections and tries the first of them.
func (db *DB) connect() error {
	if db.options.Path == Memory {
		db.writer = db.pool("file::memory:", 1)
		db.reader, db.feed = db.writer, db.writer
	} else {
		path, err := filepath.Abs(db.options.Path)
		if err != nil {
			return fmt.Errorf("find the folder: %w", err)
		}
		if err := db.needFile(path); err != nil {
			return err
		}
		file := (&url.URL{Scheme: "file", Path: path}).String()
		db.writer = db.pool(file, 1, "_txlock", "immediate")
		db.reader = db.pool(file, readers)
		db.feed = db.pool(file, 1)
	}
	db.findTokens = statement{pool: db.reader, text: findTokensSQL}
	db.poll = statement{pool: db.feed, text: pollSQL}
	return db.try()
}

// needFile makes sure that the file is there. It is made here, and not by
// SQLite, to have its mode from the start; SQLite gives its sidecar files
// the same one. An existing file is not opened: closing it would drop the
// locks that SQLite holds on it elsewhere in this process.
func (db *DB) needFile(path string) error {
	_, err := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return db.connecting(err)
	}
	if !db.options.Create {
		return missing(db.options.Path)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return db.connecting(err)
	}
	return db.connecting(file.Close())
}

// pool is size connections to a file, kept for good. synchronous=FULL makes a
// commit durable before it is acknowledged; mode=rw leaves making the file to needFile.
func (db *DB) pool(file string, size int, more ...string) *sql.DB {
	settings := url.Values{
		"mode":          {"rw"},
		"_busy_timeout": {fmt.Sprint(db.options.Wait.Milliseconds())},
		"_pragma": {
			"journal_mode(wal)", "synchronous(full)", "foreign_keys(1)", "trusted_schema(0)",
			"journal_size_limit(67108864)", // bytes; a WAL file that had to grow shrinks again
		},
		"_dqs": {"0"}, // "x" is a name, never a string
	}
	if file == "file::memory:" {
		settings.Del("mode")
	}
	for i := 0; i < len(more); i += 2 {
		settings.Set(more[i], more[i+1])
	}
	pool, err := sql.Open("sqlite", file+"?"+settings.Encode())
	if err != nil {
		panic("BUG: the driver is not registered: " + err.Error())
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool
}

// try makes the first connection, so that Open fails where the file is no database.
func (db *DB) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := db.writer.ExecContext(ctx, "select count(*) from sqlite_schema"); err != nil {
		db.Close()
		return db.connecting(err)
	}
	return nil
}

// A statement is prepared when it is first used: when the database is opened
// there may be no tables yet.
type statement struct {
	pool *sql.DB
	text string

	mu       sync.Mutex
	prepared *sql.Stmt
}

func (s *statement) query(ctx context.Context, args ...any) (*sql.Rows, error) {
	s.mu.Lock()
	if s.prepared == nil {
		prepared, err := s.pool.PrepareContext(ctx, s.text)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		s.prepared = prepared
	}
	prepared := s.prepared
	s.mu.Unlock()
	return prepared.QueryContext(ctx, args...)
}
