package main

import "testing"

func TestImportsPointToTheRight(t *testing.T) {
	allowed := func(name, path string) {
		t.Helper()
		if why := refuse(name, path); why != "" {
			t.Errorf("%s → %s is refused: %s", name, path, why)
		}
	}
	refused := func(name, path string) {
		t.Helper()
		if refuse(name, path) == "" {
			t.Errorf("%s → %s is allowed", name, path)
		}
	}

	allowed("cmd/oauth2-server", "oauth2-server/store/postgres")
	allowed("cmd/oauth2-server", "oauth2-server/bench")
	allowed("hotpath", "oauth2-server/hotpath/token")
	allowed("hotpath", "oauth2-server/cache")
	allowed("store/postgres", "oauth2-server/store")
	allowed("bench", "oauth2-server/deploy/private")
	refused("store", "oauth2-server/cache")
	refused("cache", "oauth2-server/hotpath/token")
	refused("hotpath", "oauth2-server/admin")
	refused("bench", "oauth2-server/store")
	refused("deploy/private", "oauth2-server/store")
	refused("hotpath", "oauth2-server/deploy/private")
	refused("extra", "fmt")

	allowed("hotpath", "github.com/valyala/fasthttp")
	refused("hotpath/edge", "github.com/valyala/fasthttp")
	refused("admin", "github.com/valyala/fasthttp")
	refused("cmd/oauth2-server", "github.com/valyala/fasthttp/fasthttputil")

	allowed("store", "crypto/rand")
	allowed("store/postgres", "github.com/jackc/pgx/v5")
	refused("store", "github.com/google/uuid")
	refused("store/postgres", "net/http")
	refused("store/sqlite", "github.com/redis/go-redis/v9")

	allowed("cache", "github.com/redis/go-redis/v9")
	refused("cache", "net/http")
	refused("hotpath", "database/sql")
	refused("hotpath", "oauth2-server/store/postgres")
	refused("hotpath/oauth", "github.com/redis/go-redis/v9")
	refused("hotpath/keys", "github.com/jackc/pgx/v5/pgxpool")
	refused("hotpath/token", "net/http")
}

func TestTestsMayUseDeploy(t *testing.T) {
	p := pkg{
		ImportPath:   "oauth2-server/store/postgres",
		TestImports:  []string{"oauth2-server/deploy/private", "net/http"},
		XTestImports: []string{"oauth2-server/cache"},
	}
	faults := check(p)
	if len(faults) != 1 {
		t.Fatalf("got %q, want one fault: the import of cache", faults)
	}
	p.Imports, p.XTestImports = p.TestImports[:1], nil
	if faults := check(p); len(faults) != 1 {
		t.Errorf("got %q, want one fault: deploy outside a test", faults)
	}
}
