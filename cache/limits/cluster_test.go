package limits

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// cluster is replicas that count in one Redis, all on one clock.
type cluster struct {
	t        testing.TB
	clock    *manual
	client   *redis.Client
	replicas []*Limiter
	truth    bucket // of what passed, however it was counted
}

func newCluster(t testing.TB, client *redis.Client, size int) *cluster {
	t.Helper()
	c := &cluster{t: t, clock: newManual(), client: client}
	for range size {
		l := newLimiter(t, withClock(c.clock), withRedis(client))
		l.trips.script = scriptWithClock(t)
		l.trips.group = l.trips.queue(time.Minute) // a slow machine is no fault here
		l.live.Store(int64(size))
		c.replicas = append(c.replicas, l)
	}
	c.move(0)
	return c
}

func (c *cluster) move(d time.Duration) {
	c.t.Helper()
	c.clock.move(d)
	if err := c.client.Set(c.t.Context(), clockKey, c.clock.at.Load(), 0).Err(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) apply(l store.Limit) {
	for _, r := range c.replicas {
		r.Apply([]store.Limit{l})
	}
}

// leased is how many permits of a limit all replicas together can hold at once: one lease each.
func (c *cluster) leased(l store.Limit) float64 {
	if newQuota(l.Quota).perSecond() <= leaseRate {
		return 0
	}
	n := int64(len(c.replicas))
	return float64(n * max(l.Burst/(2*n), 1))
}

// hammer asks replicas at random for so long at so many a second. After each request that passed, the bucket that they all
// fill together may be over its burst by one lease each at most.
func (c *cluster) hammer(random *rand.Rand, l store.Limit, perSecond int, spell time.Duration) (asked, passed int) {
	c.t.Helper()
	q, most := newQuota(l.Quota), float64(l.Burst)+c.leased(l)+1e-6
	step := max(time.Second/time.Duration(perSecond), time.Millisecond)
	each := max(int(float64(perSecond)*step.Seconds()), 1)
	for range spell / step {
		c.move(step)
		for range each {
			asked++
			if c.replicas[random.IntN(len(c.replicas))].Spend(Introspect, ByName, app("hot"), 1).Refused {
				continue
			}
			passed++
			now := c.clock.at.Load()
			c.truth = bucket{max(c.truth.level-float64(now-c.truth.at)*q.rate/q.period, 0) + 1, now}
			if c.truth.level > most {
				c.t.Fatalf("%d/%v burst %d: the cluster's bucket is at %.1f of %.1f", l.Rate, l.Period, l.Burst, c.truth.level, most)
			}
		}
	}
	return asked, passed
}

// The promise: together the replicas are over the limit by one lease each at most, and by nothing where it is exact; and
// under steady demand next to nothing is leased to waste.
func TestClusterHoldsTheLimit(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 8))
		rate := 1 + random.Int64N(1<<(1+random.IntN(12)))
		burst := 1 + random.Int64N(2*rate)
		rule := limit(rate, burst, time.Second, func(l *store.Limit) { l.Name = fmt.Sprint("rule", seed) })
		c := newCluster(t, client, 3)
		c.apply(rule)
		const spell = time.Second
		asked, passed := c.hammer(random, rule, int(rate/2+random.Int64N(3*rate))+1, spell)
		could := min(asked, int(float64(burst)+float64(rate)*spell.Seconds()))
		if float64(passed) < 0.95*float64(could)-1 {
			t.Errorf("%d/s burst %d: %d passed of %d, %d could", rate, burst, passed, asked, could)
		}
	}
}

// A key whose demand comes and goes leaves leases behind. They are handed back, or leak away like what was spent.
func TestDemandThatComesAndGoesHoldsTheLimit(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 9))
		rate, burst := 200+random.Int64N(5000), 200+random.Int64N(5000)
		rule := limit(rate, burst, time.Second, func(l *store.Limit) { l.Name = fmt.Sprint("rule", seed) })
		c := newCluster(t, client, 3)
		c.apply(rule)
		for range 10 {
			c.hammer(random, rule, 1+random.IntN(int(3*rate)), 200*time.Millisecond)
			c.move(time.Duration(random.IntN(400)) * time.Millisecond)
		}
	}
}

// Small limits are exact however many replicas are asked at once.
func TestSmallLimitsAreExactAcrossReplicas(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 3)
	c.apply(limit(5, 40, time.Hour))
	var passed sync.WaitGroup
	counts := make([]int, 12)
	for i := range counts {
		passed.Go(func() { counts[i] = pass(c.replicas[i%3], app("a"), 20) })
	}
	passed.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 40 {
		t.Errorf("%d of 240 passed, want 40", total)
	}
}

// Raised frees at once, and only, those whose new limit has room.
func TestRaiseFreesTheBlockedAtTheNextRequest(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *cluster{
		"Redis":    func(t *testing.T) *cluster { return newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 2) },
		"no Redis": alone,
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.apply(limit(10, 10, time.Hour))
			for _, r := range c.replicas {
				pass(r, app("a"), 20)
				if pass(r, app("a"), 1) != 0 {
					t.Fatal("not blocked")
				}
			}
			c.apply(limit(1000, 1000, time.Minute))
			for i, r := range c.replicas {
				if pass(r, app("a"), 1) != 1 {
					t.Errorf("replica %d still refuses after the raise", i)
				}
			}
			c.apply(limit(10, 10, time.Hour))
			for i, r := range c.replicas {
				if pass(r, app("a"), 20) != 0 {
					t.Errorf("replica %d lets pass after the cut", i)
				}
			}
		})
	}
}

// alone is one replica without Redis.
func alone(t *testing.T) *cluster {
	clock := newManual()
	client := newRedis(t, private.TestRedis(t).Addr()) // for the clock alone
	return &cluster{t: t, clock: clock, client: client, replicas: []*Limiter{newLimiter(t, withClock(clock))}}
}

func TestCutCatchesAtTheNextRequest(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 2)
	c.apply(limit(10_000, 10_000, time.Second))
	for range 200 { // a lease is held
		c.move(time.Millisecond)
		pass(c.replicas[0], app("a"), 20)
	}
	c.replicas[0].accounts["introspect.client"].newest.each(func(e *entry) {
		if e.live.held.Load().unspent() < 10 {
			t.Error("the test is for a replica that holds a lease")
		}
	})
	c.apply(limit(1, 5, time.Hour))
	if got := pass(c.replicas[0], app("a"), 100); got > 5 {
		t.Errorf("%d passed after a cut to 5: a lease of the old value is spent", got)
	}
}

// A cut frees no one that is blocked, nor does a trial, an override of another key, or switching off and on.
func TestOtherChangesFreeNoOne(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 2)
	blocked := limit(100, 100, time.Hour)
	c.apply(blocked)
	for _, r := range c.replicas {
		pass(r, app("a"), 200)
	}
	f := func(name string, change func(*store.Limit)) {
		t.Helper()
		l := blocked.Clone()
		l.Version++
		change(&l)
		c.apply(l)
		for i, r := range c.replicas {
			if pass(r, app("a"), 3) != 0 {
				t.Errorf("%s: replica %d lets pass", name, i)
			}
		}
	}
	f("cut of the rate", func(l *store.Limit) { l.Rate = 10 })
	f("cut of the burst", func(l *store.Limit) { l.Burst = 10 })
	f("trial", func(l *store.Limit) { l.Trial = &store.Quota{Rate: 10_000, Burst: 10_000, Period: l.Period} })
	f("override", func(l *store.Limit) { l.Overrides = map[string]store.Override{"b": {Mode: store.OverrideExempt}} })
	c.apply(limit(100, 100, time.Hour, mode(store.LimitOff)))
	f("off and on", func(*store.Limit) {})
	for _, r := range c.replicas {
		r.Apply(nil)
	}
	f("deleted and made again", func(*store.Limit) {})
}

func TestUnchangedRulesKeepTheirLeases(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	c.apply(limit(10_000, 10_000, time.Second))
	pass(c.replicas[0], app("a"), 1)
	c.move(time.Millisecond)
	pass(c.replicas[0], app("a"), 1)
	trips := c.replicas[0].meters.trips.Get()
	next := limit(10_000, 10_000, time.Second, func(l *store.Limit) { l.Version, l.Guard = 2, &store.Guard{MaxNewRefusedKeys: 1} })
	c.apply(next)
	pass(c.replicas[0], app("a"), 1)
	if got := c.replicas[0].meters.trips.Get(); got != trips {
		t.Errorf("%d trips for a key that holds a lease of the same value", got-trips)
	}
}

// Who is refused costs no trip until he may pass.
func TestRefusedKeysCostNoTrips(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	c.apply(limit(10, 10, time.Minute))
	l := c.replicas[0]
	pass(l, app("a"), 10)
	trips := l.meters.trips.Get()
	v := l.Spend(Introspect, ByName, app("a"), 1)
	if pass(l, app("a"), 1000) != 0 || l.meters.trips.Get() != trips {
		t.Errorf("%d trips for 1,000 refusals", l.meters.trips.Get()-trips)
	}
	c.move(v.Retry)
	if pass(l, app("a"), 1) != 1 {
		t.Error("refused after Retry")
	}
}

// A flush, a restart or a failover loses the script: it is brought again within the same trip.
// A client that asks for ten times its rate makes a trip every ten milliseconds, and is let in at its rate all the same.
func TestNoisyKeysCostFewTrips(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	rule := limit(3000, 300, time.Second)
	c.apply(rule)
	before := c.replicas[0].meters.trips.Get()
	_, passed := c.hammer(rand.New(rand.NewPCG(1, 2)), rule, 30_000, time.Second)
	if trips := c.replicas[0].meters.trips.Get() - before; trips > 150 || passed < 3100 {
		t.Errorf("got %d trips and %d passed, want at most 150 and 3,300", trips, passed)
	}
}

func TestScriptIsBroughtAgain(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	c.apply(limit(10, 10, time.Minute))
	pass(c.replicas[0], app("a"), 1)
	if err := c.client.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	pass(c.replicas[0], app("b"), 1)
	if l := c.replicas[0]; l.meters.faults.Get() != 0 || l.meters.trips.Get() != 2 {
		t.Errorf("%d faults in %d trips", l.meters.faults.Get(), l.meters.trips.Get())
	}
}

func TestOneSuchNameInRedis(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	c.apply(limit(10, 10, time.Minute, func(l *store.Limit) { l.Trial = &l.Quota }))
	pass(c.replicas[0], app("a"), 1)
	for _, key := range []string{"oauth2:limit:introspect.client:a", "oauth2:trial:introspect.client:a"} {
		if c.client.Exists(t.Context(), key).Val() != 1 {
			t.Errorf("no %s; there are %v", key, c.client.Keys(t.Context(), "*").Val())
		}
	}
}

// lease is what a replica holds of the key a.
func lease(l *Limiter) *holding {
	return l.accounts["introspect.client"].newest.get([]byte("a"), l.now()).live.held.Load()
}

// A lease is sized by what is asked for, and however much that is, a part of the burst: the replicas together hold half.
func TestLeaseIsSizedByDemandAndBoundedByTheBurst(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	f := func(burst int64, each, least, most int64) {
		t.Helper()
		c := newCluster(t, client, 3)
		c.apply(limit(1_000_000, burst, time.Second, func(l *store.Limit) { l.Version = burst }))
		largest := int64(0)
		for range 500 {
			c.move(time.Millisecond)
			pass(c.replicas[0], app("a"), int(each))
			for lease(c.replicas[0]).renewing.Load() { // demand is measured by the clock: it stands while a renewal is under way
				runtime.Gosched()
			}
			largest = max(largest, lease(c.replicas[0]).size)
		}
		if largest < least || largest > most {
			t.Errorf("burst %d, %d a millisecond: a lease of %d, want %d to %d", burst, each, largest, least, most)
		}
	}
	f(1_000_000, 10, 500, 1500) // 75 ms of 10 a millisecond
	f(600, 10, 50, 100)
	f(6, 10, 0, 1)
}

// What a renewal carries over cannot be spent a second time by who still looks at the lease before it.
func TestRenewedLeaseIsSpentOnce(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	c.apply(limit(101, 10_000, time.Second))
	l := c.replicas[0]
	for range 20 {
		c.move(time.Millisecond)
		pass(l, app("a"), 10)
	}
	table := l.accounts["introspect.client"].newest
	e := table.get([]byte("a"), l.now())
	e.live.trip.Lock() // no renewal is under way
	before := e.live.held.Load()
	left := before.unspent()
	e.live.trip.Unlock()
	e.live.renew(&request{counter: l, value: before.value, prefix: "oauth2:limit:introspect.client:", key: "a"}, before)
	after := e.live.held.Load()
	if after == before || left == 0 || after.unspent() < left {
		t.Fatalf("%d left became %d", left, after.unspent())
	}
	if before.draw(1) {
		t.Error("a permit that was carried over is spent twice")
	}
}

// What is left of an old lease is not spent, but handed back with the next trip.
func TestOldLeasesAreHandedBack(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 2)
	c.apply(limit(101, 10_000, time.Second))
	l := c.replicas[0]
	for range 20 {
		c.move(time.Millisecond)
		pass(l, app("a"), 10)
	}
	left := lease(l).unspent()
	c.move(101 * time.Millisecond)
	trips := l.meters.trips.Get()
	v := l.Spend(Introspect, ByName, app("a"), 1)
	if left < 100 || l.meters.trips.Get() != trips+1 {
		t.Errorf("a lease of %d left was followed by %d trips, want 1", left, l.meters.trips.Get()-trips)
	}
	if spent, leaked := 10_000-v.Remaining, int64(13); spent > 201-leaked+1 {
		t.Errorf("%d are taken for 201 requests", spent)
	}
}

// Of trips that end in another order than they began, the newest is what is known.
func TestWhatIsKnownOfAKeyIsTheNewest(t *testing.T) {
	var c count
	newer := &holding{bucket: bucket{level: 5, at: 20}}
	c.learn(newer)
	c.learn(&holding{bucket: bucket{level: 1, at: 10}})
	if c.held.Load() != newer {
		t.Error("an older answer took the place of a newer one")
	}
}
