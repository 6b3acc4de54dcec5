package limits

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/store"
	"oauth2-server/store/batch"
)

const (
	// redisPatience bounds a trip: a hung Redis must not be waited for.
	redisPatience = 50 * time.Millisecond
	// redisPause is how long Redis is left alone after a fault.
	redisPause = int64(time.Second / time.Microsecond)
	// tripAsks is how many callers share a pipeline, tripQueue how many pipelines wait.
	tripAsks, tripQueue = 256, 64
	// probeKey is a bucket of nothing.
	probeKey = "oauth2:limit:"
)

//go:embed take.lua
var takeScript string

// An ask is one bucket's part of a trip to Redis.
type ask struct {
	key               string
	quota             quota
	want, least, give int64 // permits: at most, at least, handed back

	granted int64
	level   float64 // after it
	err     error
}

// trips is the way to the buckets in Redis. Concurrent asks share a pipeline. After a fault Redis is left alone for a
// second; then one probe, for which no request waits, says whether it is back.
type trips struct {
	client redis.UniversalClient
	script *redis.Script
	group  *batch.Group[*ask]
	now    func() int64 // microseconds
	meters *meters
	log    *slog.Logger

	paused  atomic.Int64 // until then Redis is left alone; 0: it is well
	probing atomic.Bool
}

func newTrips(client redis.UniversalClient, now func() int64, m *meters, log *slog.Logger) *trips {
	t := &trips{client: client, script: redis.NewScript(takeScript), now: now, meters: m, log: log}
	t.group = t.queue(redisPatience)
	return t
}

func (t *trips) queue(patience time.Duration) *batch.Group[*ask] {
	return batch.New(batch.Options[*ask]{
		Commit: t.commit, Limit: tripAsks, InFlight: 2, Waiting: tripQueue, Patience: patience,
	})
}

// up reports whether Redis may be asked.
func (t *trips) up() bool {
	if t == nil {
		return false
	}
	until := t.paused.Load()
	if until == 0 {
		return true // Fast path: all is well.
	}
	if t.now() >= until && t.probing.CompareAndSwap(false, true) {
		go t.probe()
	}
	return false
}

// take fills in the answer to a, or fails with [store.ErrUnavailable]; then it is not known whether permits were taken.
func (t *trips) take(a *ask) error {
	t.meters.trips.Inc()
	if err := t.group.Do(a); err != nil {
		return err
	}
	return a.err
}

func (t *trips) probe() {
	defer t.probing.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), redisPatience)
	defer cancel()
	a := &ask{key: probeKey, quota: quota{rate: 1, burst: 1, period: 1}}
	if t.pipeline(ctx, []*ask{a}); a.err != nil {
		t.pause(a.err)
		return
	}
	t.paused.Store(0)
	t.log.Info("limits are counted in Redis again")
}

// commit is one batch. Its outcome is that of each ask: one that failed spoils no other.
func (t *trips) commit(ctx context.Context, asks []*ask) error {
	t.pipeline(ctx, asks)
	for _, a := range asks {
		if a.err != nil {
			t.pause(a.err)
			break
		}
	}
	return nil
}

func (t *trips) pause(err error) {
	t.meters.faults.Inc()
	if t.paused.Swap(t.now()+redisPause) == 0 {
		t.log.Warn("Redis is of no use; limits are counted by each replica alone", "err", err)
	}
}

// pipeline asks all, and those again, with the script's text, whose server did not know it: after a restart, a
// failover or a flush.
func (t *trips) pipeline(ctx context.Context, asks []*ask) {
	unknown := t.exec(ctx, asks, t.script.EvalSha)
	if len(unknown) > 0 {
		t.exec(ctx, unknown, t.script.Eval)
	}
}

type evaluate func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (t *trips) exec(ctx context.Context, asks []*ask, eval evaluate) (unknown []*ask) {
	pipe := t.client.Pipeline()
	answers := make([]*redis.Cmd, len(asks))
	for i, a := range asks {
		answers[i] = eval(ctx, pipe, []string{a.key}, a.quota.rate, a.quota.period, a.quota.burst, a.want, a.least, a.give)
	}
	_, _ = pipe.Exec(ctx) // its error is that of one of the commands
	for i, a := range asks {
		a.read(answers[i])
		if answered, ok := errors.AsType[redis.Error](a.err); ok && strings.HasPrefix(answered.Error(), "NOSCRIPT") {
			unknown = append(unknown, a)
		}
	}
	return unknown
}

func (a *ask) read(answer *redis.Cmd) {
	parts, err := answer.Slice()
	if err != nil {
		a.err = fmt.Errorf("count in Redis: %w", err)
		return
	}
	a.err = fmt.Errorf("count in Redis: the script's answer is of another form: %w", store.ErrUnavailable)
	if len(parts) != 2 {
		return
	}
	granted, isNumber := parts[0].(int64)
	text, _ := parts[1].(string)
	if level, err := strconv.ParseFloat(text, 64); isNumber && err == nil {
		a.granted, a.level, a.err = granted, level, nil
	}
}
