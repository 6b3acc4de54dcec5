package postgres

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childDatabase); url != "" {
		pruneUntilKilled(url)
	}
	os.Exit(private.Main(m))
}

var _ storetest.Store = (*DB)(nil)

// open is a migrated store on a database of its own.
func open(t testing.TB) storetest.Store { return openDB(t) }

func openDB(t testing.TB) *DB {
	t.Helper()
	return openURL(t, private.TestDatabase(t))
}

func openURL(t testing.TB, url string) *DB {
	t.Helper()
	db := connectURL(t, url)
	if _, err := db.Migrate(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	return db
}

// connectURL is a store on a database as it is.
func connectURL(t testing.TB, url string) *DB {
	t.Helper()
	db, err := Open(Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestStore(t *testing.T) { storetest.Run(t, open) }

// A plan without an index is dear by enable_seqscan, and would be compiled for longer than it runs.
func TestNoPlanIsCompiled(t *testing.T) {
	db := openDB(t)
	for _, p := range db.pools() {
		var jit string
		err := db.use(t.Context(), p, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "show jit").Scan(&jit)
		})
		if err != nil || jit != "off" {
			t.Errorf("pool %s: got jit %q, %v, want off", p.name, jit, err)
		}
	}
}
