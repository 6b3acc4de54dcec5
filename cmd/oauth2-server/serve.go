package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"oauth2-server/admin"
	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/hotpath"
	"oauth2-server/hotpath/fetch"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// hooks is what a caller of run wants to know.
type hooks struct {
	log     *slog.Logger
	out     io.Writer              // for what is shown once and logged never
	started func(s *running) error // the store is prepared and the listeners answer; may be nil
	reload  source
}

// running is a started server, as its hooks see it.
type running struct {
	config  *Config
	issuer  string
	db      database
	redis   redis.UniversalClient // nil: none
	tier    *cache.Cache
	limiter *limits.Limiter
	ring    *keys.Ring
	rules   *oauth.Rules
	metrics *metrics.Set
	alg     keys.Alg
	replica store.Replica
	public  *hotpath.Server
	admin   *admin.Server
	reload  *reload
	vitals  *vitals

	sessions    *login.Sessions
	certificate *keyPair // nil: plain HTTP

	prepared    chan struct{}   // closed when the store is
	keysChanged <-chan struct{} // one for each change of the ring, or for several
}

// actor is this replica, for what it does by itself.
func (r *running) actor() store.Actor { return store.Actor{Kind: "replica", ID: r.replica.ID.String()} }

// run is the whole server, from configuration to the end of ctx: store → keys →
// cache → rules → listeners.
func run(ctx context.Context, c *Config, h hooks) error {
	at, err := listen(c)
	if err != nil {
		return err
	}
	defer at.close()
	metrics.ExposeMetadata(true) // # TYPE lines
	set := metrics.NewSet()
	secure, err := openKeyPair(c, set, h.log)
	if err != nil {
		return err
	}
	queries := newQueryMeters(set)

	db, err := openDatabase(c, true, queries.observe)
	if err != nil {
		return err
	}
	defer db.Close()
	measurePools(set, db)
	if err := prepareFile(ctx, c, db, h.log); err != nil {
		return err
	}
	alg, err := keys.ParseAlg(c.JWTAlg)
	if err != nil {
		return err
	}
	ring := keys.NewRing(c.secrets, alg)
	measureRing(set, ring)

	reload := newReload(c, h.reload, set, h.log)
	client, err := openRedis(c, func() string { return string(reload.config().RedisURL) })
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
	}
	replica := store.Replica{ID: store.NewID(time.Now()), Version: version(), Started: time.Now(), Public: at.public.Addr().String(), Admin: at.admin.Addr().String()}
	limiter := limits.New(limits.Options{Redis: client, Store: db, Replica: replica.ID, Metrics: set, Log: h.log})
	signs, changed := new(vitals), make(chan struct{}, 1)
	tier := cache.New(cache.Options{
		Store: db, Redis: client, Sealer: ring, Replica: replica, Keys: followKeys(ring, changed, h.log), Limits: limiter.Apply, Vitals: signs.read,
		L1Bytes: int64(c.CacheMiB) << 20, StalenessMax: c.StalenessMax, Metrics: set, Log: h.log,
	})

	issuer := c.issuer(at.public.Addr())
	outside := fetch.New(fetch.Options{}) // asks clients' servers
	rules := oauth.New(oauth.Options{
		Issuer: issuer, Clients: tier, Tokens: tier, Grants: tier, Ring: ring, People: db, Departures: db, Once: db, KeySets: fetch.NewKeySets(outside), Secrets: c.secrets,
		RefreshTTL: c.RefreshTTL, RefreshGrace: c.RefreshGrace, SessionLife: login.SessionLife, AccessTTL: c.AccessTTL, Format: c.Format,
	})
	hasher := login.NewHasher() // one for both listeners: together they have half of the cores
	measureHasher(set, hasher)
	sessions, err := c.sessions()
	if err != nil {
		return err
	}
	front, err := newFront(c, db, &login.Door{Users: db, Limits: limiter, Hasher: hasher}, sessions)
	if err != nil {
		return err
	}
	server, err := hotpath.New(hotpath.Options{
		Rules: rules, Tier: tier, Ring: ring, Metrics: set, Log: h.log, Origins: c.Origins, TLS: secure.config(),
		Limits: hotpath.Limits{Connections: c.MaxConns}, Limiter: limiter, Trusted: c.trusted, Front: front, Events: c.EventsBackend,
	})
	if err != nil {
		return err
	}
	r := &running{
		config: c, issuer: issuer, db: db, redis: client, tier: tier, limiter: limiter, ring: ring, rules: rules, metrics: set, alg: alg,
		replica: replica, public: server, prepared: make(chan struct{}), keysChanged: changed, reload: reload, sessions: sessions, certificate: secure, vitals: signs,
	}
	reload.parts = r.reloadable(h)
	r.vitals.of(r, hasher)
	if r.admin, err = newAdmin(r, hasher, h.log); err != nil {
		return err
	}
	return operate(ctx, h, r, at)
}

// prepareFile makes the file of the embedded default ready at once. Postgres may be down: see prepare.
func prepareFile(ctx context.Context, c *Config, db database, log *slog.Logger) error {
	if !c.postgres() && c.migrateOnStart() {
		if _, err := db.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return c.embeddedSecret(ctx, db, log)
}

// operate runs what run has built until ctx is done or a part fails for good.
func operate(ctx context.Context, h hooks, r *running, at *listeners) error {
	announce(r, h.log, at)
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	group, failed := errgroup.WithContext(background)
	group.Go(func() error { return r.tier.Run(background) })
	group.Go(func() error { return r.limiter.Run(background) })
	group.Go(func() error { return keepKeys(background, r, h.log) })
	group.Go(func() error { return runCourier(background, r, h.log) })
	group.Go(func() error { return r.reload.run(background) })
	group.Go(func() error { return r.public.Serve(at.public) })
	group.Go(func() error { return r.admin.Serve(at.admin) })
	group.Go(func() error {
		if err := prepare(ctx, r, herald{out: h.out, log: h.log}); err != nil {
			return err
		}
		r.public.Prepared()
		r.tier.Announce()
		close(r.prepared)
		if h.started != nil && ctx.Err() == nil {
			return h.started(r)
		}
		return nil
	})
	select {
	case <-ctx.Done():
		h.log.Info("shutting down")
	case <-failed.Done():
		r.vitals.fails(context.Cause(failed))
	}
	shutdown(ctx, h.log, r)
	endBackground()
	err := group.Wait()
	h.log.Info("stopped")
	return err
}

// shutdown ends the server so that nobody notices: balancers first, then requests, then operators, who can look
// until then, then batches.
func shutdown(ctx context.Context, log *slog.Logger, r *running) {
	r.public.Drain()
	if ctx.Err() != nil {
		time.Sleep(r.config.ShutdownDelay)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.ShutdownMax)
	defer cancel()
	for _, end := range []func(context.Context) error{r.public.Shutdown, r.admin.Shutdown} {
		if err := end(deadline); err != nil {
			log.Warn("not all connections ended in time", "err", err)
		}
	}
	r.tier.Close()
	r.vitals.ended.Store(ctx.Err() != nil) // not when a part has failed: the last registration says so
}

// keysEvery is how often keys are looked at that may be due to retire. They are when they change, as well.
const keysEvery = time.Minute

// keepKeys makes the keys of id_tokens where there are none yet, retires keys when the last of their tokens is dead, and
// seals those of replicas that do not have the newest secret yet.
func keepKeys(ctx context.Context, r *running, log *slog.Logger) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.prepared:
	}
	ticker := time.NewTicker(keysEvery)
	defer ticker.Stop()
	var looked time.Time // at the secrets of clients
	for {
		clients := time.Since(looked) >= secretsKept
		upkeepKeys(ctx, r, log, clients)
		if clients {
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.keysChanged:
		case <-ticker.C:
		}
	}
}

func upkeepKeys(ctx context.Context, r *running, log *slog.Logger, clients bool) {
	if _, err := r.tier.Fresh(); err != nil {
		return // the store's clock is not known
	}
	ctx, cancel := context.WithTimeout(ctx, keysEvery)
	defer cancel()
	err := keys.Upkeep(ctx, r.db, r.ring, r.actor(), time.Unix(0, r.tier.Now()))
	if err == nil {
		err = forgetSecrets(ctx, r, clients)
	}
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		log.Warn("upkeep of the key ring", "err", err)
	}
}

const (
	prepareEvery     = 250 * time.Millisecond
	preparePatience  = 30 * time.Second
	maintainPatience = 5 * time.Second
)

// prepare brings the store to where this server can issue: schema, partitions, keys, the first operator. While the store cannot be reached
// it tries again; what will not mend itself, such as a ring that no secret opens, ends the server.
func prepare(ctx context.Context, r *running, tell herald) error {
	logged := ""
	for ctx.Err() == nil {
		err := prepareOnce(ctx, r, tell)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			continue // cut short by the end of the server: no fault
		case !errors.Is(err, store.ErrUnavailable):
			return err
		}
		if text := err.Error(); text != logged {
			tell.log.Warn("the store is not ready", "err", text)
			logged = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(prepareEvery):
		}
	}
	return nil // the server ends before its store was ready
}

func prepareOnce(ctx context.Context, r *running, tell herald) error {
	ctx, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	c, actor := r.config, r.actor()
	if c.migrateOnStart() {
		if _, err := r.db.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	all, err := keys.Ensure(ctx, r.db, actor, c.secrets, r.alg, time.Now())
	if err != nil {
		return fmt.Errorf("prepare keys: %w", err)
	}
	if err := opens(c.secrets, r.alg, all); err != nil {
		return err
	}
	if err := resealSecrets(ctx, r, tell.log); err != nil {
		return err
	}
	if err := nameAbsent(ctx, c.AdminClients, r.db, tell.log); err != nil {
		return err
	}
	maintainOnce(ctx, r.db, tell.log)
	return seedOperator(ctx, c, r.db, actor, tell)
}

// maintainOnce does what is due before the server is ready: above all, partitions for the days to come. What fails, on a full disk
// say, does not keep the server from starting: it is tried again every minute.
func maintainOnce(ctx context.Context, db database, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, maintainPatience)
	defer cancel()
	if err := db.Maintain(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		log.Warn("upkeep of the store", "err", err)
	}
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

// followKeys hands the ring what the feed brings, and says that it did. A key that cannot be opened keeps no other from working.
func followKeys(ring *keys.Ring, done chan<- struct{}, log *slog.Logger) func([]store.Key, bool) {
	return func(changed []store.Key, whole bool) {
		take := ring.Apply
		if whole {
			take = ring.Replace
		}
		if err := take(changed); err != nil {
			log.Error("a key of the ring is of no use here", "err", err)
		}
		select {
		case done <- struct{}{}:
		default: // it is known that something changed
		}
	}
}

func openRedis(c *Config, login func() (url string)) (redis.UniversalClient, error) {
	if c.RedisURL == "" {
		return nil, nil
	}
	client, err := cache.OpenRedis(string(c.RedisURL), login)
	if err != nil {
		return nil, fmt.Errorf("OAUTH2_REDIS_URL: %w", err)
	}
	return client, nil
}

// announce logs what was started with, secrets left out, and what looks like a mistake.
func announce(r *running, log *slog.Logger, at *listeners) {
	c, kind := r.config, "sqlite"
	if c.postgres() {
		kind = "postgres"
	}
	log.Info("listening", "address", at.public.Addr().String(), "admin", at.admin.Addr().String(), "issuer", r.issuer,
		"version", version(), "database", kind, "redis", c.RedisURL != "")
	for _, name := range c.unknown {
		log.Warn("variable is not known and has no effect", "name", name)
	}
	if !hotpath.HasEventBackend(c.EventsBackend) {
		log.Warn("OAUTH2_EVENTS_BACKEND names a backend that this build has not; GET /events/health says so, and no events are published", "backend", c.EventsBackend)
	}
	if c.adminInClear() {
		log.Warn("OAUTH2_ADMIN_HOST lets operators in from other machines in clear: set OAUTH2_TLS_CERT_FILE, or name the proxy in OAUTH2_TRUSTED_PROXIES", "address", at.admin.Addr().String())
	}
	if host, err := netip.ParseAddr(c.Host); c.PublicBaseURL == "" && (c.postgres() || err == nil && !host.IsLoopback()) {
		log.Warn("OAUTH2_SERVER_PUBLIC_BASE_URL is not set: replicas on other addresses refuse this one's JWTs, whose issuer is "+r.issuer, "issuer", r.issuer)
	}
}
