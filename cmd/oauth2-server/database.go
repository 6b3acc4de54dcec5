package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"oauth2-server/admin"
	"oauth2-server/admin/doctor"
	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/hotpath"
	"oauth2-server/hotpath/backchannel"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
	"oauth2-server/store/migrations"
	"oauth2-server/store/postgres"
	"oauth2-server/store/sqlite"
)

// database is what the commands do with a store; storetest.Store says what each method promises.
type database interface {
	admin.Store
	doctor.Store
	cache.Store
	keys.Store
	limits.Store
	oauth.Once
	oauth.Departures
	backchannel.Store
	hotpath.FrontStore
	ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error
	ReplicasSince(ctx context.Context, since time.Time) ([]store.Replica, error)
	Census(ctx context.Context) (store.Census, error)
	Maintain(ctx context.Context) error
	Migrate(ctx context.Context) ([]migrations.Migration, error)
	MigrationStatus(ctx context.Context) ([]migrations.Status, error)
	Close()
}

// databaseVariable says which database it is.
const databaseVariable = "OAUTH2_DATABASE_URL"

// openDatabase opens the store. Only serve and migrate create an embedded one.
// observe, which may be nil, is told of each query.
func openDatabase(c *Config, create bool, observe func(query string, d time.Duration, err error)) (database, error) {
	if c.postgres() {
		db, err := postgres.Open(postgres.Options{URL: string(c.DatabaseURL), ReadConns: c.ReadConns, Version: version(), Observe: observe})
		if err != nil {
			return nil, fmt.Errorf("OAUTH2_DATABASE_URL: %w", err)
		}
		return db, nil
	}
	db, err := sqlite.Open(sqlite.Options{Path: c.fileName, Create: create, Version: version(), Observe: observe})
	if errors.Is(err, store.ErrNotFound) && !slices.Contains(c.given, databaseVariable) {
		// On the shell of somebody on call the variables are missing, as a rule, and not the database.
		return nil, fmt.Errorf("%s is not set: set it as the servers have it. By default it is a file: %w", databaseVariable, err)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil, fmt.Errorf("%w: give a folder that can be written, in a container by a volume, or another database in OAUTH2_DATABASE_URL", err)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}
