package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"oauth2-server/store"
)

// A Store is all that the tier needs of a database.
type Store interface {
	FeedStore
	TokenStore
	GrantStore
	UpkeepStore
}

// Options of a [Cache].
type Options struct {
	Store   Store                 // required
	Redis   redis.UniversalClient // nil: L1 only; closed by Close
	Sealer  Sealer                // required with Redis
	Replica store.Replica         // this one: id, version, start and addresses
	// Keys is told of the ring's keys: of all there are, or of those that changed. Required.
	Keys func(keys []store.Key, whole bool)
	// Limits is told of all limits, ordered by name, when they are loaded and whenever any changed. It may keep them and
	// may not change them. May be nil.
	Limits func(all []store.Limit)
	// Vitals says how this replica is, at each renewal of its registration and once more when Run ends. May be nil.
	Vitals       func() store.Vitals
	L1Bytes      int64         // bound of L1; 0: no L1
	StalenessMax time.Duration // how long to answer from what is held while the store cannot be reached; 0: not at all
	Metrics      *metrics.Set  // required
	Log          *slog.Logger  // required
}

// A Cache is the tier: what may be answered without the store, and how fresh that is.
type Cache struct {
	options Options
	state   *state
	fence   *fence
	clock   *clock
	feed    *feed
	l1      *l1
	l2      *l2 // nil: no Redis
	tokens  *tokens
	grants  *grants
	metrics *meters
	news    chan struct{} // worth a registration; one waits at most
}

// New makes a cache. It answers once Run follows the store.
func New(options Options) *Cache {
	c := &Cache{
		options: options, news: make(chan struct{}, 1),
		state: newState(options.Keys, options.Limits),
		fence: newFence(options.StalenessMax),
		clock: newClock(),
		l1:    newL1(options.L1Bytes),
	}
	c.metrics = newMeters(options.Metrics, c)
	if options.Redis != nil {
		c.l2 = newL2(options.Redis, options.Sealer, c.clock.now, c.metrics, options.Log)
	}
	c.tokens = newTokens(options.Store, c.l1, c.l2, c.metrics)
	c.grants = newGrants(options.Store, c.metrics)
	c.feed = &feed{
		store: options.Store, log: options.Log, state: c.state, fence: c.fence, clock: c.clock,
		actor: store.Actor{Kind: "replica", ID: options.Replica.ID.String()},
	}
	return c
}

// Run follows the store until ctx is done. Call it once.
func (c *Cache) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.feed.run(ctx) })
	group.Go(func() error { return c.presence(ctx) })
	group.Go(func() error { return c.upkeep(ctx) })
	if c.l2 != nil {
		group.Go(func() error { return c.l2.run(ctx) })
	}
	return group.Wait()
}

// Close lets every batch report and refuses new ones. Call it before Run is
// ended, so that what was acknowledged is still written behind to Redis.
func (c *Cache) Close() {
	c.grants.close()
	c.tokens.close()
}

// Now is the store's clock, Unix nanoseconds. It never steps back.
func (c *Cache) Now() int64 { return c.clock.now() }

// Announce renews the registration now: the replica has become something else than it last said.
func (c *Cache) Announce() {
	select {
	case c.news <- struct{}{}:
	default: // it is about to
	}
}

// Skew is this machine's clock less the store's, as of the last poll that tells; zero before the first.
func (c *Cache) Skew() time.Duration { return time.Duration(time.Now().UnixNano() - c.Now()) }

// Position is the feed position applied here. Read it before the client it is to vouch for.
func (c *Cache) Position() store.Position { return store.Position(c.state.position.Load()) }

// Client is the client of this id, or nil. It may not be changed. It costs no I/O.
func (c *Cache) Client(id []byte) *store.Client { return c.state.clients.Load().byID[string(id)] }

// Origin reports whether some client names this origin as its own.
func (c *Cache) Origin(origin []byte) bool {
	_, known := c.state.clients.Load().origins[string(origin)]
	return known
}

// Dead reports whether the record was denied or cut off, as of what [Cache.Fresh] says. It costs no I/O.
func (c *Cache) Dead(r *store.Record) bool {
	denials := c.state.denials.Load()
	return denials.token(r.ID, r.Expires) ||
		!r.Grant.IsZero() && denials.other(store.DenyGrant, r.Grant) ||
		c.state.cutoffs.kill(r)
}

// Fresh says whether a verdict may be given now: within a second of the store (promise P1), or from what is
// held while the store cannot be reached at all, which is stale. Else [store.ErrUnavailable]. It
// waits for the poll under way when the fence is old, and is free otherwise.
func (c *Cache) Fresh() (stale bool, err error) {
	stale, err = c.fence.check()
	if stale && err == nil {
		c.metrics.stale.Inc()
	}
	return stale, err
}

// AwaitPoll waits for the end of the next poll, at most: for a key that is not known yet.
func (c *Cache) AwaitPoll() {
	deadline := time.NewTimer(2 * pollEvery)
	defer deadline.Stop()
	select {
	case <-c.fence.next():
	case <-deadline.C:
	}
}

// Put makes a token's row durable. row.Record may be reused when it returns. [store.ErrUnavailable].
func (c *Cache) Put(row store.Token) error { return c.tokens.put(row) }

// Find writes the record of an opaque token over dst. TierNone: there is none. [store.ErrUnavailable].
func (c *Cache) Find(dst []byte, key store.TokenKey) ([]byte, Tier, error) {
	return c.tokens.find(dst, key)
}

// FindMany calls found for every key in order, with at most one trip to Redis and one to the store
// for all of them. A record is valid only during its call. [store.ErrUnavailable].
func (c *Cache) FindMany(keys []store.TokenKey, found func(i int, record []byte, tier Tier)) error {
	return c.tokens.findMany(context.Background(), keys, found)
}

// Remembered writes the record of a JWT that was verified before over dst.
func (c *Cache) Remembered(dst []byte, digest *[sha256.Size]byte) ([]byte, bool) {
	return c.l1.get(dst[:0], digest[:])
}

// Remember keeps the record of a verified JWT under the SHA-256 of its whole text.
func (c *Cache) Remember(digest *[sha256.Size]byte, record []byte) { c.l1.put(digest[:], record) }

// Deny makes a denial durable, and in force here before it returns. [store.ErrUnavailable].
func (c *Cache) Deny(d store.Denial) error {
	if err := c.tokens.denials.Do(d); err != nil {
		return err
	}
	c.state.deny(d)
	return nil
}

// A Status is what /ready tells of the tier.
type Status struct {
	Loaded bool          // the state was loaded once
	Age    time.Duration // of the fence
	Stale  bool          // answers are from what is held: the store cannot be reached
	Fault  error         // why the store cannot be followed, or nil
	Redis  string        // "off", "up" or "down"
	Cause  string        // why Redis is down: the word it answered (WRONGPASS, OOM, …) or "unreachable"
}

// Status looks at the tier without any I/O.
func (c *Cache) Status() Status {
	s := Status{Loaded: c.fence.beat.Load() != 0, Age: c.fence.age(), Fault: c.fence.last(), Redis: "off"}
	s.Stale = s.Loaded && s.Age > fresh
	if c.l2 != nil {
		s.Redis = "up"
		if fault := c.l2.fault.Load(); fault != nil {
			s.Redis, s.Cause = "down", causeOf(*fault)
		}
	}
	return s
}

// causeOf is the first word of what Redis answered, which is its error code and holds nothing of ours.
func causeOf(fault error) string {
	if answered, ok := errors.AsType[redis.Error](fault); ok {
		code, _, _ := strings.Cut(answered.Error(), " ")
		return code
	}
	return "unreachable"
}

// StalenessMax is how long answers may come from what is held.
func (c *Cache) StalenessMax() time.Duration { return c.options.StalenessMax }
