package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"oauth2-server/store/migrations"
)

const securityConns = 2

// Options of a [DB]. URL is required; zero means the default.
type Options struct {
	URL        string        // postgres://…, or key=value words
	ReadConns  int           // for FindTokens, lists and single rows; default 4
	BatchConns int           // for InsertTokens and RotateGrants, as many as are in flight of both; default 4
	Timeout    time.Duration // for calls whose context has no deadline, and the base of statement_timeout; default 5 s
	Version    string        // of the server, for application_name
	// Observe is told of each call when it ends: its name, which is one of
	// [Queries], its time with the wait for a connection, and its error.
	Observe func(query string, d time.Duration, err error)
}

// Queries is the closed set of names that Observe is called with.
var Queries = [...]string{
	queryPoll, queryLoad, queryInsert, queryFind, queryDeny, queryCutoff, queryClient, queryKeys, queryLimit, queryUser, queryLimitMinute,
	queryCode, queryRotate, queryGrant, queryLogout, queryExplain, queryRegister, queryMaintain, queryMigrate,
}

const (
	queryPoll        = "poll"
	queryLoad        = "load"
	queryInsert      = "insert_tokens"
	queryFind        = "find_tokens"
	queryDeny        = "deny"
	queryCutoff      = "cutoff"
	queryClient      = "client"
	queryKeys        = "keys"
	queryLimit       = "limit"
	queryUser        = "user"
	queryLimitMinute = "limit_minute"
	queryCode        = "code"
	queryRotate      = "rotate_grants"
	queryGrant       = "grant"
	queryLogout      = "logout"
	queryExplain     = "explain"
	queryRegister    = "register"
	queryMaintain    = "maintain"
	queryMigrate     = "migrate"
)

// DB is a store on a PostgreSQL database. It is safe for concurrent use.
type DB struct {
	feed, security, batch, read *pool

	options Options
	config  *atomic.Pointer[pgx.ConnConfig] // of the pools' next connections
	steps   []migrations.Migration

	hungAfter time.Duration // of whoever maintains; 0: the default
}

// Open reads the options and connects to nothing: the database may be down.
// Connections are made when they are first needed.
func Open(options Options) (*DB, error) {
	options.ReadConns = cmp.Or(options.ReadConns, 4)
	options.BatchConns = cmp.Or(options.BatchConns, 4)
	options.Timeout = cmp.Or(options.Timeout, 5*time.Second)
	if options.Observe == nil {
		options.Observe = func(string, time.Duration, error) {}
	}
	first, err := connConfig(options)
	if err != nil {
		return nil, err
	}
	config := new(atomic.Pointer[pgx.ConnConfig])
	config.Store(first)
	steps, err := migrations.Load(migrations.Postgres)
	if err != nil {
		return nil, err
	}
	return &DB{
		feed:     newPool("feed", config, 1),
		security: newPool("security", config, securityConns),
		batch:    newPool("batch", config, options.BatchConns),
		read:     newPool("read", config, options.ReadConns),
		options:  options,
		config:   config,
		steps:    steps,
	}, nil
}

// connConfig is how the pools connect.
func connConfig(options Options) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(options.URL)
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err) // pgx leaves the password out
	}
	if config.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("read database URL: the simple protocol is not supported")
	}
	config.ConnectTimeout = connectTimeout
	config.ValidateConnect = onlyPrimary
	config.DialFunc = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	milliseconds := strconv.FormatInt((options.Timeout * 9 / 10).Milliseconds(), 10)
	maps.Copy(config.RuntimeParams, map[string]string{
		"application_name":   "oauth2-server/" + cmp.Or(options.Version, "dev"),
		"statement_timeout":  milliseconds,
		"synchronous_commit": "on", // what was acknowledged is durable, whatever the server's default
		"timezone":           "UTC",
		// One plan a statement, made once, and by index also while a table is
		// too small for the planner to bother: it will not stay small.
		"plan_cache_mode": "force_generic_plan",
		"enable_seqscan":  "off",
		// A plan without an index costs 10^10 then, by which Postgres would compile it: some 200 ms, each time.
		"jit": "off",
		// A client that vanished between lock and commit must not hold up the feed.
		"idle_in_transaction_session_timeout": milliseconds,
	})
	return config, nil
}

// onlyPrimary refuses a connection to a standby, whose answers may be old. Of several hosts in the URL the next is tried then.
func onlyPrimary(ctx context.Context, conn *pgconn.PgConn) error {
	answers, err := conn.Exec(ctx, "select pg_is_in_recovery()").ReadAll()
	if err != nil {
		return err
	}
	if len(answers) != 1 || len(answers[0].Rows) != 1 || string(answers[0].Rows[0][0]) != "f" {
		return errStandby
	}
	return nil
}

// singleConfig is how migrations and maintenance connect: their statements may
// take their time, but never wait for a lock that others wait behind.
func singleConfig(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // each statement is used once: nothing to prepare
	config.RuntimeParams["statement_timeout"] = "0"
	return config
}

// Close waits for the calls in progress, which all have deadlines, and closes
// the connections. Later calls are unavailable.
func (db *DB) Close() {
	for _, p := range db.pools() {
		p.close()
	}
}

// Stats is the state of each pool.
func (db *DB) Stats() []PoolStats {
	var all []PoolStats
	for _, p := range db.pools() {
		all = append(all, p.stats())
	}
	return all
}

func (db *DB) pools() []*pool { return []*pool{db.feed, db.security, db.batch, db.read} }

// use runs f on a connection of the pool, within the deadline, and gives its
// error the store's words.
func (db *DB) use(ctx context.Context, p *pool, query string, f func(ctx context.Context, conn *pgx.Conn) error) error {
	start := time.Now()
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	err := classify(p.use(ctx, func(conn *pgx.Conn) error { return f(ctx, conn) }))
	db.options.Observe(query, time.Since(start), err)
	return err
}

// alone runs f on a connection made for it, and closes that, which also
// releases the advisory locks f took.
func (db *DB) alone(ctx context.Context, query string, f func(ctx context.Context, conn *pgx.Conn) error) error {
	start := time.Now()
	err := classify(func() error {
		conn, err := pgx.ConnectConfig(ctx, singleConfig(db.config.Load()))
		if err != nil {
			return err
		}
		defer hangUp(conn)
		return f(ctx, conn)
	}())
	db.options.Observe(query, time.Since(start), err)
	return err
}

// bounded gives a context without a deadline one: no wait is endless.
func (db *DB) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.options.Timeout)
}
