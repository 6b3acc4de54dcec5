package cache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"oauth2-server/store"
)

const (
	registerEvery  = 5 * time.Second
	maintainEvery  = time.Minute
	upkeepPatience = 30 * time.Second
	farewellWithin = time.Second
)

// An UpkeepStore is what a replica owes the store.
type UpkeepStore interface {
	Register(ctx context.Context, replica store.Replica) error
	Prune(ctx context.Context, kinds ...string) ([]store.Kept, error)
}

// farewell registers once more, for those who want to know how this replica ended. Nobody waits for a store that cannot be reached.
func (c *Cache) farewell(ctx context.Context) {
	if c.fence.age() > fresh {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellWithin)
	defer cancel()
	c.register(ctx)
}

// presence renews the replica's registration until ctx is done. It has nothing else to do: who is late with it counts as gone.
func (c *Cache) presence(ctx context.Context) error {
	if !c.fence.begun(ctx) {
		return nil
	}
	c.register(ctx)
	ticker := time.NewTicker(registerEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			c.farewell(ctx)
			return nil
		case <-ticker.C:
		case <-c.news:
		}
		c.register(ctx)
	}
}

// upkeep does what the store has due, and forgets expired denials. None of it is waited for by a request.
func (c *Cache) upkeep(ctx context.Context) error {
	if !c.fence.begun(ctx) {
		return nil
	}
	c.maintain(ctx)
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.maintain(ctx)
			c.state.denials.Load().sweep(c.Now() / int64(time.Second))
		}
	}
}

func (c *Cache) register(ctx context.Context) {
	replica := c.options.Replica
	replica.Fence = min(c.fence.age(), time.Hour).Milliseconds()
	replica.Position = c.Position()
	if c.options.Vitals != nil {
		replica.Vitals = c.options.Vitals()
	}
	ctx, cancel := context.WithTimeout(ctx, registerEvery)
	defer cancel()
	if err := c.options.Store.Register(ctx, replica); err != nil {
		c.metrics.registerFault.Inc() // the feed's log line tells of the outage
	}
}

func (c *Cache) maintain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, upkeepPatience)
	defer cancel()
	start := time.Now()
	done, err := c.options.Store.Prune(ctx)
	if errors.Is(err, store.ErrConflict) {
		c.metrics.retention.other() // another replica does it
		return
	}
	c.metrics.retention.ran(done, start)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		c.metrics.registerFault.Inc()
		c.options.Log.Warn("upkeep of the store", slog.Any("err", err))
	}
}
