package sqlite

import (
	"path/filepath"
	"testing"

	"oauth2-server/store/storetest"
)

// open opens a database and makes its tables.
func open(t testing.TB, options Options) *DB {
	t.Helper()
	db, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "a file?&%20.db") }

func TestStoreInAFile(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, Options{Path: newFile(t), Create: true}) })
}

func TestStoreInMemory(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, Options{Path: Memory}) })
}
