package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

// registry is a store that keeps nothing but what was registered last.
type registry struct {
	Store
	replicas chan store.Replica
}

func (r registry) Register(_ context.Context, replica store.Replica) error {
	r.replicas <- replica
	return nil
}

func (r registry) Maintain(context.Context) error { return nil }

// Before the first good poll there is no age of the fence to register.
func TestReplicaRegistersAfterItsFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1, fault: errGone}
		f := follower(h, 0)
		start(t, f)
		replicas := make(chan store.Replica, 1)
		c := &Cache{options: Options{Store: registry{replicas: replicas}}, state: f.state, fence: f.fence}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.upkeep(ctx) }()

		time.Sleep(time.Minute)
		if len(replicas) > 0 {
			t.Fatalf("registered %+v before the first poll", <-replicas)
		}
		h.set(func(h *history) { h.fault = nil })
		if got := (<-replicas).Fence; got > fresh.Milliseconds() {
			t.Errorf("the registered fence is %d ms old", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestUpkeepEndsBeforeTheFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replicas := make(chan store.Replica, 1)
		c := &Cache{options: Options{Store: registry{replicas: replicas}}, state: newState(func([]store.Key, bool) {}, nil), fence: newFence(0)}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.upkeep(ctx); err != nil || len(replicas) > 0 {
			t.Errorf("got %v, registered %d", err, len(replicas))
		}
	})
}
