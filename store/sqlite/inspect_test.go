package sqlite

import (
	"os"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func inspect(t *testing.T, db *DB) store.Inspection {
	t.Helper()
	s, err := db.Inspect(t.Context())
	must(t, err)
	return s
}

func TestInspectSeesEverything(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true})
	s := inspect(t, db)
	if len(s.Unseen) != 0 {
		t.Errorf("unseen: %v", s.Unseen)
	}
	if s.Kind != "sqlite" || s.Version == "" || s.Now.IsZero() || s.Bytes == 0 || s.Disk.Bytes == 0 || s.Disk.Free > s.Disk.Bytes || len(s.Tables) < 5 {
		t.Errorf("got %+v", s)
	}
	if s.Schema.Applied == 0 || s.Schema.Applied != s.Schema.Known || len(s.Schema.Pending) > 0 || s.Schema.Refusal != "" {
		t.Errorf("got schema %+v", s.Schema)
	}
	if s.Settings["journal_mode"] != "wal" || s.File.Check != "ok" || s.File.Path != path || s.File.Bytes == 0 || s.File.Pages == 0 {
		t.Errorf("got file %+v and %v", s.File, s.Settings)
	}
}

func TestInspectMemory(t *testing.T) {
	s := inspect(t, open(t, Options{Path: Memory}))
	if len(s.Unseen) != 0 || s.File.Path != "" || s.File.Check != "ok" {
		t.Errorf("got %+v, file %+v", s, s.File)
	}
}

func TestInspectWaitsForNoWriter(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true})
	unlock := lock(t, path)
	defer unlock()
	if s := inspect(t, db); len(s.Unseen) != 0 {
		t.Errorf("unseen while the file is locked: %v", s.Unseen)
	}
}

func TestInspectSeesPendingSteps(t *testing.T) {
	db, err := Open(Options{Path: newFile(t), Create: true})
	must(t, err)
	t.Cleanup(db.Close)
	s := inspect(t, db)
	if s.Schema.Applied != 0 || len(s.Schema.Pending) == 0 || s.Unseen["sizes"] == "" {
		t.Errorf("got schema %+v, unseen %v", s.Schema, s.Unseen)
	}
}

func TestInspectSeesSizes(t *testing.T) {
	db := open(t, Options{Path: Memory})
	now := db.now()
	for _, at := range []time.Time{now.Add(-8 * 24 * time.Hour), now.Add(-time.Hour), now} {
		_, err := db.writer.Exec("insert into sizes (name, at, bytes) values ('database', ?, 7)", at.Unix())
		must(t, err)
	}
	s := inspect(t, db)
	if len(s.Sizes) != 2 || !s.Sizes[0].At.Before(s.Sizes[1].At) || s.Sizes[0].Bytes != 7 {
		t.Errorf("got sizes %v, want those of the last week, oldest first", s.Sizes)
	}
}

func TestInspectFindsADamagedFile(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true})
	for i := range 200 {
		_, err := db.writer.Exec("insert into sizes (name, at, bytes) values (?, ?, 1)", strings.Repeat("n", 100), i)
		must(t, err)
	}
	_, err := db.writer.Exec("pragma wal_checkpoint(truncate)")
	must(t, err)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	size := sizeOf(path)
	_, err = file.WriteAt(make([]byte, 2048), size-3000)
	must(t, err)
	must(t, file.Close())
	if s := inspect(t, db); s.File.Check == "ok" {
		t.Errorf("got check %q of a damaged file, unseen %v", s.File.Check, s.Unseen)
	}
}
