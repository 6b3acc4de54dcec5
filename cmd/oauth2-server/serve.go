package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"oauth2-server/cache"
	"oauth2-server/hotpath"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// hooks is what a caller of run wants to know.
type hooks struct {
	log     *slog.Logger
	started func(s *running) error // the store is prepared and the listener answers; may be nil
}

// running is a started server, as its hooks see it.
type running struct {
	config *Config
	issuer string
	db     database
	tier   *cache.Cache
}

// run is the whole server, from configuration to the end of ctx: store → keys →
// cache → rules → listener.
func run(ctx context.Context, c *Config, h hooks) error {
	listener, err := listen(c)
	if err != nil {
		return err
	}
	defer listener.Close()
	tlsConfig, err := loadTLS(c)
	if err != nil {
		return err
	}
	metrics.ExposeMetadata(true) // # TYPE lines
	set := metrics.NewSet()
	queries := newQueryMeters(set)

	db, err := openDatabase(c, true, queries.observe)
	if err != nil {
		return err
	}
	defer db.Close()
	measurePools(set, db)
	if !c.postgres() && c.migrateOnStart() { // a file can be made ready at once; Postgres may be down: see prepare
		if _, err := db.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}

	if err := c.embeddedSecret(ctx, db, h.log); err != nil {
		return err
	}
	alg, err := keys.ParseAlg(c.JWTAlg)
	if err != nil {
		return err
	}
	ring := keys.NewRing(c.secrets, alg)
	measureRing(set, ring)

	client, err := openRedis(c)
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
	}
	replica := store.Replica{ID: store.NewID(time.Now()), Version: version(), Started: time.Now(), Public: listener.Addr().String()}
	tier := cache.New(cache.Options{
		Store: db, Redis: client, Sealer: ring, Replica: replica, Keys: followKeys(ring, h.log),
		L1Bytes: int64(c.CacheMiB) << 20, StalenessMax: c.StalenessMax, Metrics: set, Log: h.log,
	})

	issuer := c.issuer(listener.Addr())
	rules := oauth.New(oauth.Options{
		Issuer: issuer, Clients: tier, Tokens: tier, Ring: ring, AccessTTL: c.AccessTTL, Format: c.Format,
	})
	server, err := hotpath.New(hotpath.Options{
		Rules: rules, Tier: tier, Ring: ring, Metrics: set, Log: h.log, Origins: c.Origins, TLS: tlsConfig,
		Limits: hotpath.Limits{Connections: c.MaxConns},
	})
	if err != nil {
		return err
	}
	return operate(ctx, c, h, &running{config: c, issuer: issuer, db: db, tier: tier}, server, listener, replica, alg)
}

// listen takes the address of the public listener. A host of IPv4 means IPv4 alone.
func listen(c *Config) (net.Listener, error) {
	network := "tcp"
	if ip, err := netip.ParseAddr(c.Host); err == nil && ip.Is4() {
		network = "tcp4"
	}
	listener, err := net.Listen(network, c.address())
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken: end what listens there, or set OAUTH2_SERVER_PORT", c.address())
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// operate runs what run has built until ctx is done or a part fails for good.
func operate(ctx context.Context, c *Config, h hooks, r *running, server *hotpath.Server, listener net.Listener, replica store.Replica, alg keys.Alg) error {
	announce(c, h.log, r.issuer, listener.Addr())
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	group, failed := errgroup.WithContext(background)
	group.Go(func() error { return r.tier.Run(background) })
	group.Go(func() error { return server.Serve(listener) })
	group.Go(func() error {
		actor := store.Actor{Kind: "replica", ID: replica.ID.String()}
		if err := prepare(ctx, c, r.db, actor, alg, h.log); err != nil {
			return err
		}
		server.Prepared()
		if h.started != nil && ctx.Err() == nil {
			return h.started(r)
		}
		return nil
	})
	select {
	case <-ctx.Done():
		h.log.Info("shutting down")
	case <-failed.Done():
	}
	shutdown(ctx, c, h.log, r, server)
	endBackground()
	err := group.Wait()
	h.log.Info("stopped")
	return err
}

// shutdown ends the server so that nobody notices: balancers first, then requests, then batches.
func shutdown(ctx context.Context, c *Config, log *slog.Logger, r *running, server *hotpath.Server) {
	server.Drain()
	if ctx.Err() != nil {
		time.Sleep(c.ShutdownDelay)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.ShutdownMax)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Warn("not all connections ended in time", "err", err)
	}
	r.tier.Close()
}

const (
	prepareEvery    = 250 * time.Millisecond
	preparePatience = 30 * time.Second
)

// prepare brings the store to where this server can issue: schema, partitions, keys. While the store cannot be reached
// it tries again; what will not mend itself, such as a ring that no secret opens, ends the server.
func prepare(ctx context.Context, c *Config, db database, actor store.Actor, alg keys.Alg, log *slog.Logger) error {
	logged := ""
	for ctx.Err() == nil {
		err := prepareOnce(ctx, c, db, actor, alg)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			continue // cut short by the end of the server: no fault
		case !errors.Is(err, store.ErrUnavailable):
			return err
		}
		if text := err.Error(); text != logged {
			log.Warn("the store is not ready", "err", text)
			logged = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(prepareEvery):
		}
	}
	return nil // the server ends before its store was ready
}

func prepareOnce(ctx context.Context, c *Config, db database, actor store.Actor, alg keys.Alg) error {
	ctx, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	if c.migrateOnStart() {
		if _, err := db.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	if err := db.Maintain(ctx); err != nil {
		return fmt.Errorf("prepare partitions: %w", err)
	}
	all, err := keys.Ensure(ctx, db, actor, c.secrets, alg, time.Now())
	if err != nil {
		return fmt.Errorf("prepare keys: %w", err)
	}
	return opens(c.secrets, alg, all)
}

// opens says why a ring is of no use with these secrets, once for all of its keys.
func opens(secrets keys.Secrets, alg keys.Alg, all []store.Key) error {
	probe := keys.NewRing(secrets, alg)
	err := probe.Replace(all)
	switch {
	case probe.Ready() == nil:
		return nil
	case errors.Is(err, keys.ErrSealed):
		return fmt.Errorf("open the key ring: %w", keys.ErrSealed)
	default:
		return fmt.Errorf("open the key ring: %w", errors.Join(probe.Ready(), err))
	}
}

// followKeys hands the ring what the feed brings. A key that cannot be opened keeps no other from working.
func followKeys(ring *keys.Ring, log *slog.Logger) func([]store.Key, bool) {
	return func(changed []store.Key, whole bool) {
		take := ring.Apply
		if whole {
			take = ring.Replace
		}
		if err := take(changed); err != nil {
			log.Error("a key of the ring is of no use here", "err", err)
		}
	}
}

func openRedis(c *Config) (redis.UniversalClient, error) {
	if c.RedisURL == "" {
		return nil, nil
	}
	client, err := cache.OpenRedis(string(c.RedisURL))
	if err != nil {
		return nil, fmt.Errorf("OAUTH2_REDIS_URL: %w", err)
	}
	return client, nil
}

func loadTLS(c *Config) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("OAUTH2_TLS_CERT_FILE and OAUTH2_TLS_KEY_FILE: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// announce logs what was started with, secrets left out, and what looks like a mistake.
func announce(c *Config, log *slog.Logger, issuer string, address net.Addr) {
	kind := "sqlite"
	if c.postgres() {
		kind = "postgres"
	}
	log.Info("listening", "address", address.String(), "issuer", issuer, "version", version(), "database", kind, "redis", c.RedisURL != "")
	for _, name := range c.unknown {
		log.Warn("variable is not known and has no effect", "name", name)
	}
	if host, err := netip.ParseAddr(c.Host); c.PublicBaseURL == "" && (c.postgres() || err == nil && !host.IsLoopback()) {
		log.Warn("OAUTH2_SERVER_PUBLIC_BASE_URL is not set: replicas on other addresses refuse this one's JWTs, whose issuer is "+issuer, "issuer", issuer)
	}
}
