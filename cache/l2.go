package cache

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/store"
)

const (
	// redisPause is how long Redis is left alone after a fault.
	redisPause = time.Second
	// fillBacklog is how many batches of write-behind may wait; beyond it fills are dropped.
	fillBacklog = 64
	// redisPrefix begins every key of the tier; 16 bytes of id follow.
	redisPrefix = "oauth2:t:"
	// kindToken is the kind under which token records are sealed.
	kindToken = 't'
)

// A Sealer seals what lies in Redis, so that whoever can write Redis still
// cannot make a token. Kind, id and expiry are bound to the value. Open appends
// the plain value to dst; an error means that the value is not ours.
type Sealer interface {
	Seal(dst []byte, kind byte, id store.ID, expires int64, plain []byte) []byte
	Open(dst []byte, kind byte, id store.ID, expires int64, sealed []byte) ([]byte, error)
}

// l2 is the tier in Redis: a hint. Whatever goes wrong with it is a miss.
type l2 struct {
	client  redis.UniversalClient
	seal    Sealer
	now     func() int64 // the store's clock, Unix nanoseconds
	metrics *meters
	log     *slog.Logger

	paused atomic.Int64          // until then (Unix nanoseconds, our clock) Redis is left alone
	fault  atomic.Pointer[error] // the last one; nil while all is well
	fills  chan []store.Token    // write-behind
}

func newL2(client redis.UniversalClient, seal Sealer, now func() int64, m *meters, log *slog.Logger) *l2 {
	return &l2{client: client, seal: seal, now: now, metrics: m, log: log, fills: make(chan []store.Token, fillBacklog)}
}

// up reports whether Redis may be asked.
func (c *l2) up() bool { return c != nil && time.Now().UnixNano() >= c.paused.Load() }

// note takes the outcome of a trip. A fault pauses the tier until a trip succeeds or the pause is over; an error that Redis itself
// answered (full, loading, read-only) does not: it can still be read.
func (c *l2) note(err error) {
	if err == nil {
		if c.fault.Load() != nil && c.fault.Swap(nil) != nil {
			c.paused.Store(0)
			c.log.Info("Redis is back")
		}
		return
	}
	c.metrics.redisFaults.Inc()
	if c.fault.Swap(&err) == nil {
		c.log.Warn("Redis is of no use; look-ups that miss in process go to the store", "err", err)
	}
	if _, answered := errors.AsType[redis.Error](err); !answered {
		c.paused.Store(time.Now().Add(redisPause).UnixNano())
	}
}

func redisKey(id store.ID) string { return redisPrefix + string(id[:]) }

// find looks up those of lookups that were not found yet, in one pipeline.
func (c *l2) find(ctx context.Context, lookups []*lookup) {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	pipe := c.client.Pipeline()
	answers := make([]*redis.StringCmd, len(lookups))
	for i, l := range lookups {
		if !l.found {
			answers[i] = pipe.Get(ctx, redisKey(l.key.ID))
		}
	}
	if pipe.Len() == 0 {
		return
	}
	_, _ = pipe.Exec(ctx) // its error is that of one of the commands
	var fault error
	for i, answer := range answers {
		if answer == nil {
			continue
		}
		switch sealed, err := answer.Bytes(); {
		case err == nil:
			c.open(lookups[i], sealed)
		case errors.Is(err, redis.Nil):
		default:
			fault = err
		}
	}
	c.note(fault)
}

// open takes a value from Redis for what it claims to be, if it opens as that.
func (c *l2) open(l *lookup, sealed []byte) {
	record, err := c.seal.Open(l.record, kindToken, l.key.ID, l.key.Expires, sealed)
	if err != nil {
		c.metrics.redisForged.Inc()
		return
	}
	l.record, l.found, l.tier = record, true, TierL2
}

// fill writes tokens behind the answer. It keeps rows and never waits: a full backlog drops them.
func (c *l2) fill(rows []store.Token) {
	if !c.up() {
		return
	}
	select {
	case c.fills <- rows:
	default:
		c.metrics.redisDropped.Add(len(rows))
	}
}

// run writes the fills until ctx is done, then those that still wait. Every second it
// asks whether Redis is there, so that /ready knows without traffic.
func (c *l2) run(ctx context.Context) error {
	probe := time.NewTicker(redisPause)
	defer probe.Stop()
	for {
		select {
		case rows := <-c.fills:
			c.write(rows)
		case <-probe.C:
			c.probe()
		case <-ctx.Done():
			for len(c.fills) > 0 {
				c.write(<-c.fills)
			}
			return nil
		}
	}
}

func (c *l2) probe() {
	ctx, cancel := context.WithTimeout(context.Background(), redisPatience)
	defer cancel()
	c.note(c.client.Ping(ctx).Err())
}

// write stores sealed rows, in one pipeline, until they expire.
func (c *l2) write(rows []store.Token) {
	if !c.up() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), redisPatience)
	defer cancel()
	now := c.now() / int64(time.Second)
	pipe := c.client.Pipeline()
	for _, row := range rows {
		if left := row.Expires - now; left > 0 {
			sealed := c.seal.Seal(nil, kindToken, row.ID, row.Expires, row.Record)
			pipe.Set(ctx, redisKey(row.ID), sealed, time.Duration(left)*time.Second)
		}
	}
	_, err := pipe.Exec(ctx)
	c.note(err)
}

// Peek is the record that Redis holds of a token, nil when it holds none that we sealed. It is for explaining to a
// person, not for load.
func Peek(ctx context.Context, client redis.UniversalClient, seal Sealer, key store.TokenKey) ([]byte, error) {
	sealed, err := client.Get(ctx, redisKey(key.ID)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record, err := seal.Open(nil, kindToken, key.ID, key.Expires, sealed)
	if err != nil {
		return nil, nil //nolint:nilerr // a value that does not open counts as none
	}
	return record, nil
}
