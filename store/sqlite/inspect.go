package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

const (
	inspectPatience = 2 * time.Second
	// inspectCheck is the largest file whose pages are all read in passing: a quarter of a second from a disk that reads 250 MB/s.
	inspectCheck = 64 << 20 // bytes
)

// Inspect looks at the database, for two seconds at most, on a connection of its own and without changing anything. An error
// means that nothing was seen; a part that could not be seen is told in the result.
func (db *DB) Inspect(ctx context.Context) (store.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	s := &inspection{Inspection: store.Inspection{Kind: "sqlite", Unseen: map[string]string{}, File: new(store.File)}}
	err := db.observe("explain", func() error { return s.open(ctx, db) })
	return s.Inspection, err
}

// An inspection is one that is being made.
type inspection struct {
	store.Inspection
	from *sql.DB
}

func (s *inspection) open(ctx context.Context, db *DB) error {
	s.from = db.reader
	if db.options.Path != Memory {
		path, err := filepath.Abs(db.options.Path)
		if err != nil {
			return fmt.Errorf("find the folder: %w", err)
		}
		s.File.Path = path
		settings := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)"}, "_busy_timeout": {"500"}}
		s.from, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String())
		if err != nil {
			return classify(err)
		}
		defer s.from.Close()
		s.from.SetMaxOpenConns(1)
	}
	begin := time.Now()
	if err := s.from.QueryRowContext(ctx, "select sqlite_version() from (select count(*) from sqlite_schema)").Scan(&s.Version); err != nil {
		return classify(err)
	}
	s.Ping = time.Since(begin)
	s.Now = db.now()
	s.see(ctx)
	return nil
}

// see fills in the parts, the longest last.
func (s *inspection) see(ctx context.Context) {
	for _, part := range []struct {
		name string
		see  func(ctx context.Context) error
	}{
		{"schema", s.seeSchema},
		{"file", s.seeFile},
		{"sizes", s.seeSizes},
		{"tables", s.seeTables},
		{"check", s.seeCheck},
	} {
		if err := part.see(ctx); err != nil {
			s.Unseen[part.name] = classify(err).Error()
		}
	}
}

func (s *inspection) seeSchema(ctx context.Context) error {
	known, err := migrations.Load(migrations.SQLite)
	if err != nil {
		return err
	}
	applied, err := appliedTo(ctx, s.from)
	if err != nil {
		return err
	}
	s.Schema = migrations.Standing(known, applied)
	return nil
}

func (s *inspection) seeFile(ctx context.Context) error {
	var journal string
	err := s.from.QueryRowContext(ctx, `select page_size, page_count, freelist_count, journal_mode
		from pragma_page_size, pragma_page_count, pragma_freelist_count, pragma_journal_mode`).
		Scan(&s.File.PageSize, &s.File.Pages, &s.File.Free, &journal)
	if err != nil {
		return err
	}
	s.Settings = map[string]string{"journal_mode": journal}
	s.Bytes = s.File.PageSize * s.File.Pages
	if s.File.Path == "" {
		return nil
	}
	s.File.Bytes, s.File.WAL = sizeOf(s.File.Path), sizeOf(s.File.Path+"-wal")
	s.Disk = store.DiskOf(filepath.Dir(s.File.Path))
	return nil
}

func sizeOf(path string) int64 {
	about, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return about.Size()
}

func (s *inspection) seeSizes(ctx context.Context) error {
	week := s.Now.Add(-7 * 24 * time.Hour).Unix()
	found, err := s.from.QueryContext(ctx, "select name, at, bytes from sizes where at > ? order by at limit 20000", week)
	return rows(found, err, func(row *sql.Rows) error {
		var size store.Size
		var at int64
		if err := row.Scan(&size.Name, &at, &size.Bytes); err != nil {
			return err
		}
		size.At = time.Unix(at, 0).UTC()
		s.Sizes = append(s.Sizes, size)
		return nil
	})
}

// seeTables reads what each table and its indexes take. dbstat reads the whole file.
func (s *inspection) seeTables(ctx context.Context) error {
	if s.Bytes > inspectCheck {
		return nil
	}
	found, err := s.from.QueryContext(ctx, `select m.tbl_name, sum(case when m.type = 'table' then d.pgsize else 0 end),
			sum(case when m.type = 'index' then d.pgsize else 0 end)
		from dbstat d join sqlite_schema m on m.name = d.name where d.aggregate = 1 group by 1 order by sum(d.pgsize) desc limit 50`)
	return rows(found, err, func(row *sql.Rows) error {
		var t store.Table
		err := row.Scan(&t.Name, &t.Bytes, &t.Indexes)
		s.Tables = append(s.Tables, t)
		return err
	})
}

func (s *inspection) seeCheck(ctx context.Context) error {
	if s.Bytes > inspectCheck {
		return nil
	}
	return s.from.QueryRowContext(ctx, "pragma quick_check(1)").Scan(&s.File.Check)
}
