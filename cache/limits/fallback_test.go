package limits

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/cache"
	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// Redis that hangs costs a few requests a bounded wait, and then none: each replica holds its part of the limit.
func TestHungRedisIsNotWaitedForAndTheLimitHolds(t *testing.T) {
	server := private.TestRedis(t)
	client, err := cache.OpenRedis(server.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	clock := newManual()
	l := newLimiter(t, withClock(clock), withRedis(client))
	l.live.Store(4)
	l.Apply([]store.Limit{limit(20_000, 400, time.Second)})
	pass(l, app("warm"), 1)

	server.Stop()
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { passed.Add(int64(pass(l, app("a"), 100))) })
	}
	all.Wait() // one that waited for Redis would never end
	if got := passed.Load(); got != 100 {
		t.Errorf("%d passed, want 100: the burst of 400 for 4 replicas", got)
	}
	faults := l.meters.faults.Get()
	clock.move(time.Second / 2)
	if pass(l, app("b"), 1000); l.trips.probing.Load() || l.meters.faults.Get() != faults {
		t.Error("Redis was asked within a second of its fault")
	}
	clock.move(time.Second)
	pass(l, app("b"), 10) // the first of these sends the probe, which fails
	for l.trips.probing.Load() {
		time.Sleep(time.Millisecond) // another goroutine's system call: there is no event to await
	}
	if l.meters.faults.Get() != faults+1 || l.trips.up() {
		t.Errorf("%d faults after one probe of a hung server, up %v", l.meters.faults.Get()-faults, l.trips.up())
	}

	server.Continue()
	clock.move(2 * time.Second)
	for !l.trips.up() {
		clock.move(time.Second)
		time.Sleep(time.Millisecond) // likewise
	}
	if trips := l.meters.trips.Get(); pass(l, app("c"), 1) != 1 || l.meters.trips.Get() != trips+1 {
		t.Error("Redis is back, and is not asked")
	}
}

// What was known of a key when Redis went is what its replica goes on from.
func TestNobodyGainsByTheEndOfRedis(t *testing.T) {
	server := private.TestRedis(t)
	clock := newManual()
	l := newLimiter(t, withClock(clock), withRedis(newRedis(t, server.Addr())))
	l.Apply([]store.Limit{limit(40, 40, time.Hour)})
	l.live.Store(2)
	pass(l, app("a"), 36)
	server.Kill()
	if got := pass(l, app("a"), 40); got != 2 {
		t.Errorf("%d passed, want 2: the half of the 4 that were left", got)
	}
	if got := pass(l, app("b"), 40); got != 20 {
		t.Errorf("%d of another key passed, want the half of 40", got)
	}
	clock.move(time.Hour)
	if got := pass(l, app("a"), 40); got != 20 {
		t.Errorf("%d passed an hour later, want 20", got)
	}
}

// A replica among many has at least one permit. A batch is no way to have a whole burst of each of them.
func TestPartOfALimitIsNeverNothing(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(2, 2, time.Minute)})
	l.live.Store(10)
	if got := pass(l, app("a"), 10); got != 1 {
		t.Errorf("%d passed, want 1", got)
	}
	if !l.Spend(Introspect, ByName, app("b"), 2).Refused {
		t.Error("a batch had more than the replica's part")
	}
	l.Apply([]store.Limit{limit(100, 100, time.Minute)})
	if v := l.Spend(Introspect, ByName, app("c"), 11); !v.Refused || v.Remaining != 10 {
		t.Errorf("got %+v of a batch of 11, want it refused: the part is 10", v)
	}
	if l.Spend(Introspect, ByName, app("c"), 10).Refused {
		t.Error("a batch of the whole part is refused")
	}
}

func TestPartsOfALimitAreTheLimit(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(40, 80, time.Second)})
	l.live.Store(4)
	if got := pass(l, app("a"), 100); got != 20 {
		t.Errorf("%d passed at once, want a quarter of 80", got)
	}
	clock.move(time.Second)
	if got := pass(l, app("a"), 100); got != 10 {
		t.Errorf("%d passed after a second, want a quarter of 40", got)
	}
}

// Failures of clients that nobody knows are counted without any I/O.
func TestLocalRequestsCostNoTrip(t *testing.T) {
	l := newLimiter(t, withClock(newManual()), withRedis(newRedis(t, private.TestRedis(t).Addr())))
	l.Apply([]store.Limit{limit(10, 10, time.Minute)})
	who := app("stranger")
	who.Local = true
	if got := pass(l, who, 100); got != 10 || l.meters.trips.Get() != 0 {
		t.Errorf("%d passed in %d trips, want 10 in none", got, l.meters.trips.Get())
	}
}
