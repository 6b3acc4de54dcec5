package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// errElsewhere refuses a URL that leads to other rows: half of a server would work on them.
var errElsewhere = errors.New("it names another host, port or database, which needs a restart")

// TryURL sees, by one connection, whether the store can go on by another URL, which take then puts in force: the user, the
// password and parameters may differ. Connections that there are live on until they fail or their time, about an hour, is
// over; new ones are made by the new URL.
func (db *DB) TryURL(ctx context.Context, url string) (take func(), err error) {
	options := db.options
	options.URL = url
	config, err := connConfig(options)
	if err != nil {
		return nil, err
	}
	if now := db.config.Load(); config.Database != now.Database || !maps.Equal(servers(config), servers(now)) {
		return nil, errElsewhere
	}
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err) // pgx leaves the password out
	}
	hangUp(conn)
	return func() { db.config.Store(config) }, nil
}

// server is a place where a database may be: of one host there are several entries, with and without TLS.
type server struct {
	host string
	port uint16
}

func servers(config *pgx.ConnConfig) map[server]bool {
	all := map[server]bool{{config.Host, config.Port}: true}
	for _, other := range config.Fallbacks {
		all[server{other.Host, other.Port}] = true
	}
	return all
}
