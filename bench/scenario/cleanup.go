package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func cleanup() *Scenario {
	return &Scenario{
		Name: "cleanup", Title: "10 million expired tokens are dropped under load",
		Question:  "The database is running out of space: does cleaning up old tokens disturb those who use new ones, and is the space free then?",
		SLO:       "wrong_answers<=0,available_share>=0.999,lookup_p50_ratio<=1.1,dropped_partitions>=1,returned_share>=0.9,lost_tokens<=0",
		StackOnly: true,
		// Without Redis, a token that another replica has just issued is looked up in the table that is cleaned up. Autovacuum, which
		// has seen days that are past long before they are dropped, would look at them here for the first time.
		StackOptions: stack.Options{Replicas: 2, NoRedis: true, Settings: []string{"autovacuum=off"}},
		play:         playCleanup,
	}
}

// Tokens expired between these numbers of days ago: each day is a partition, and is dropped in a window of its own.
const (
	oldestPast = 8
	newestPast = 4
)

// playCleanup compares a server with itself, in windows that follow each other. In each window a run of retention is asked for; in
// every other one it drops a day. Of each sort the best window counts: whatever else the machine does only makes it slower.
func playCleanup(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 40, fresh: 30, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	c := &clearing{stage: s}
	if err := c.fill(ctx); err != nil {
		return err
	}
	plan := s.open(s.rate(faultRate), s.span/5, s.sources(t))
	if _, err := s.probe(ctx, "warm up", plan); err != nil {
		return err
	}
	for days := oldestPast; days >= newestPast; days-- {
		if err := c.pair(ctx, days, plan); err != nil {
			return err
		}
	}
	if err := c.tell(ctx); err != nil {
		return err
	}
	return s.verify(ctx, t.ledger)
}

// A clearing is one play of cleanup.
type clearing struct {
	*stage
	partitions    int     // before
	bytes, filled int64   // of the tokens: empty, and with all that is past
	share         float64 // the least of good answers
	quiet, busy   medians
}

// medians are the least ones of look-ups, over windows of one sort.
type medians struct{ all, store time.Duration }

func (m *medians) see(o *load.Outcome) {
	least := func(d *time.Duration, kinds ...string) {
		if seen := median(o, kinds...); *d == 0 || seen < *d {
			*d = seen
		}
	}
	least(&m.all, kindIntrospect, kindFresh)
	least(&m.store, kindFresh)
}

// fill writes what is to be dropped, while it is kept.
func (c *clearing) fill(ctx context.Context) (err error) {
	if err := c.keep(ctx, oldestPast+1); err != nil {
		return err
	}
	if c.bytes, err = c.size(ctx); err != nil {
		return err
	}
	spread := (oldestPast - newestPast) * 24 * time.Hour
	if err := c.seedPast(ctx, c.scaled(10_000_000, 100_000), oldestPast*24*time.Hour, spread); err != nil {
		return err
	}
	if c.filled, err = c.size(ctx); err != nil {
		return err
	}
	names, err := c.stage.partitions(ctx)
	c.partitions, c.share = len(names), 1
	return err
}

// pair is a window in which nothing is due, and one in which the day so many days ago is.
func (c *clearing) pair(ctx context.Context, days int, plan load.Plan) error {
	quiet, err := c.window(ctx, fmt.Sprintf("nothing to drop, %d", oldestPast-days+1), days, plan)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("a day is dropped, %d", oldestPast-days+1)
	if days == newestPast {
		name = result.Main
	}
	busy, err := c.window(ctx, name, days-1, plan)
	if err != nil {
		return err
	}
	c.share = min(c.share, goodShare(quiet), goodShare(busy))
	c.quiet.see(quiet)
	c.busy.see(busy)
	return nil
}

// window plays a load during which what expired more than so many days ago is removed.
func (c *clearing) window(ctx context.Context, name string, days int, plan load.Plan) (*load.Outcome, error) {
	return c.meanwhile(ctx, name, plan, func(ctx context.Context) error {
		if err := c.keep(ctx, days); err != nil {
			return err
		}
		return c.run(ctx)
	})
}

// run asks for a run until it is let in: each replica has one of its own every minute.
func (c *clearing) run(ctx context.Context) (err error) {
	for range 10 {
		err = c.Stack.Operate(ctx, 1, http.MethodPost, "/admin/api/retention/run", map[string]any{"kinds": []string{"tokens"}}, nil)
		if err == nil {
			return nil
		}
		if err := sleep(ctx, moment); err != nil {
			return err
		}
	}
	return err
}

// keep sets how many days tokens are kept after they expired.
func (c *clearing) keep(ctx context.Context, days int) error {
	keep := map[string]string{"keep": fmt.Sprintf("%dh", days*24)}
	return c.Stack.Operate(ctx, 1, http.MethodPatch, "/admin/api/retention/tokens", keep, nil)
}

// size is what the tokens take on the disk.
func (c *clearing) size(ctx context.Context) (int64, error) {
	var kept struct {
		Items []struct {
			Kind  string
			Bytes int64
		}
	}
	if err := c.Stack.Operate(ctx, 1, http.MethodGet, "/admin/api/retention", nil, &kept); err != nil {
		return 0, err
	}
	for _, k := range kept.Items {
		if k.Kind == "tokens" {
			return k.Bytes, nil
		}
	}
	return 0, errors.New("nothing is known of the size of the tokens")
}

func (c *clearing) tell(ctx context.Context) error {
	names, err := c.stage.partitions(ctx)
	if err != nil {
		return err
	}
	after, err := c.size(ctx)
	if err != nil {
		return err
	}
	c.fact("dropped_partitions", float64(c.partitions-len(names)))
	c.fact("tokens_before_bytes", float64(c.filled))
	c.fact("tokens_after_bytes", float64(after))
	c.fact("returned_share", ratio(float64(c.filled-after), float64(c.filled-c.bytes)))
	c.fact("available_share", c.share)
	c.fact("lookup_p50_ratio", ratio(c.busy.all, c.quiet.all))
	c.fact("store_lookup_p50_ratio", ratio(c.busy.store, c.quiet.store))
	return nil
}

// median is that of the latencies of several kinds of requests.
func median(o *load.Outcome, kinds ...string) time.Duration {
	var all load.Histogram
	for _, kind := range kinds {
		if k := o.Kinds[kind]; k != nil {
			all.Merge(k.Latency)
		}
	}
	return all.Quantile(0.5)
}
