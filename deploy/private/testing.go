package private

import (
	"os"
	"sync"
	"testing"
)

// shared is the Postgres of a test binary: starting one for each test would
// cost a second each.
var shared struct {
	sync.Mutex
	inMain   bool   // within Main, which ends it
	dir      string // of all Postgres servers of the tests, see memoryFolder
	postgres *Postgres
	err      error
}

// Main runs the tests of a package and ends the Postgres that they shared. A
// package that uses [TestPostgres], [TestDatabase] or [TestOwnPostgres] needs:
//
//	func TestMain(m *testing.M) { os.Exit(private.Main(m)) }
func Main(m *testing.M) int {
	shared.inMain, shared.dir = true, memoryFolder()
	defer func() {
		if shared.postgres != nil {
			shared.postgres.Close()
		}
		if shared.dir != "" {
			_ = os.RemoveAll(shared.dir) // the next tests do it
		}
	}()
	return m.Run()
}

// TestPostgres is the Postgres server that all tests of a binary share; it is started
// when the first asks for it. It does not sync its files: it survives kill -9, but
// not the loss of the machine. A test that stops or kills it spoils it
// for parallel tests, and should start its own.
func TestPostgres(t testing.TB) *Postgres {
	t.Helper()
	needMain(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.postgres == nil && shared.err == nil {
		shared.postgres, shared.err = StartPostgres(shared.dir, "fsync=off", "full_page_writes=off")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.postgres
}

func needMain(t testing.TB) {
	t.Helper()
	if !shared.inMain {
		t.Fatal("the package needs: func TestMain(m *testing.M) { os.Exit(private.Main(m)) }")
	}
}

// TestOwnPostgres is a Postgres server of this test's own, which it may stop and kill, and the URL of
// an empty database on it. It is ended after the test. Unless settings say otherwise it is as durable as
// Postgres is by default, as far as the memory it lies in is.
func TestOwnPostgres(t testing.TB, settings ...string) (p *Postgres, database string) {
	t.Helper()
	needMain(t)
	p, err := StartPostgres(shared.dir, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if database, err = p.NewDatabase(); err != nil {
		t.Fatal(err)
	}
	return p, database
}

// TestDatabase is the URL of a new, empty database on [TestPostgres]. It is
// dropped after the test, with the connections that are still open.
func TestDatabase(t testing.TB) string {
	t.Helper()
	p := TestPostgres(t)
	name, err := p.newDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.exec("drop database " + name + " with (force)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return p.URL(name)
}

// TestRedis is a Redis server of this test's own, ended after it.
func TestRedis(t testing.TB) *Redis {
	t.Helper()
	r, err := StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}
