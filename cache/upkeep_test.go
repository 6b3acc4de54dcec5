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

func (r registry) Prune(context.Context, ...string) ([]store.Kept, error) {
	return nil, store.ErrConflict
}

// Before the first good poll there is no age of the fence to register.
func TestReplicaRegistersAfterItsFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1, fault: errGone}
		f := follower(h, 0)
		start(t, f)
		replicas := make(chan store.Replica, 1)
		c := &Cache{options: Options{Store: registry{replicas: replicas}}, state: f.state, fence: f.fence, metrics: unseen()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.presence(ctx) }()

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
		c := &Cache{options: Options{Store: registry{replicas: replicas}}, state: newState(func([]store.Key, bool) {}, nil), fence: newFence(0), metrics: unseen()}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.presence(ctx); err != nil || len(replicas) > 0 {
			t.Errorf("got %v, registered %d", err, len(replicas))
		}
	})
}

// A replica says how it is with each registration, at once when it has news, and once more at its end.
func TestRegistrationsCarryVitals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		start(t, f)
		replicas := make(chan store.Replica)
		said := 0
		c := &Cache{
			options: Options{Store: registry{replicas: replicas}, Vitals: func() store.Vitals { said++; return store.Vitals{Goroutines: said} }},
			state:   f.state, fence: f.fence, news: make(chan struct{}, 1), metrics: unseen(),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.presence(ctx) }()
		begin := time.Now()
		want := func(n int, after time.Duration) {
			t.Helper()
			var r store.Replica
			select {
			case r = <-replicas:
			case <-time.After(time.Minute): // of the bubble's clock
			}
			if r.Vitals.Goroutines != n || time.Since(begin).Truncate(time.Second) != after {
				t.Errorf("after %s: registered %+v, want the %d. time after %s", time.Since(begin), r.Vitals, n, after)
			}
		}
		want(1, 0)
		want(2, registerEvery)
		c.Announce()
		want(3, registerEvery)
		want(4, 2*registerEvery)
		cancel()
		want(5, 2*registerEvery) // the farewell
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Nobody waits for a farewell to a store that cannot be reached.
func TestNoFarewellToAStoreThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		start(t, f)
		replicas := make(chan store.Replica, 8)
		c := &Cache{options: Options{Store: registry{replicas: replicas}}, state: f.state, fence: f.fence, metrics: unseen()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.presence(ctx) }()
		<-replicas
		h.set(func(h *history) { h.fault = errGone })
		time.Sleep(registerEvery - time.Second)
		cancel()
		if err := <-done; err != nil || len(replicas) != 0 {
			t.Errorf("got %v, registered %d times more", err, len(replicas))
		}
	})
}
