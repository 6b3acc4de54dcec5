package cache

import (
	"context"
	"log/slog"
	"time"

	"oauth2-server/store"
)

const (
	registerEvery  = 5 * time.Second
	maintainEvery  = time.Minute
	upkeepPatience = 30 * time.Second
)

// An UpkeepStore is what a replica owes the store.
type UpkeepStore interface {
	Register(ctx context.Context, replica store.Replica) error
	Maintain(ctx context.Context) error
}

// upkeep renews the replica's registration, does what the store has due, and
// forgets expired denials. None of it is waited for by a request.
func (c *Cache) upkeep(ctx context.Context) error {
	if !c.fence.begun(ctx) {
		return nil
	}
	c.register(ctx)
	c.maintain(ctx)
	register := time.NewTicker(registerEvery)
	defer register.Stop()
	maintain := time.NewTicker(maintainEvery)
	defer maintain.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-register.C:
			c.register(ctx)
		case <-maintain.C:
			c.maintain(ctx)
			c.state.denials.Load().sweep(c.Now() / int64(time.Second))
		}
	}
}

func (c *Cache) register(ctx context.Context) {
	replica := c.options.Replica
	replica.Fence = min(c.fence.age(), time.Hour).Milliseconds()
	replica.Position = c.Position()
	ctx, cancel := context.WithTimeout(ctx, registerEvery)
	defer cancel()
	if err := c.options.Store.Register(ctx, replica); err != nil {
		c.metrics.registerFault.Inc() // the feed's log line tells of the outage
	}
}

func (c *Cache) maintain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, upkeepPatience)
	defer cancel()
	if err := c.options.Store.Maintain(ctx); err != nil && ctx.Err() == nil {
		c.metrics.registerFault.Inc()
		c.options.Log.Warn("upkeep of the store", slog.Any("err", err))
	}
}
