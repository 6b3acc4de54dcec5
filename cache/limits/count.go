package limits

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// How permits are leased. All in microseconds.
const (
	// leaseAhead is how much of a key's demand one lease is for.
	leaseAhead = int64(75 * time.Millisecond / time.Microsecond)
	// leaseRenew is the age at which a lease that is in use is renewed, in the background.
	leaseRenew = int64(75 * time.Millisecond / time.Microsecond)
	// leaseLife is the age at which what is left of a lease is not spent any more.
	leaseLife = int64(100 * time.Millisecond / time.Microsecond)
	// leaseMeasure is the shortest time that demand is measured over: two requests at once are no high rate.
	leaseMeasure = int64(5 * time.Millisecond / time.Microsecond)
	// leaseRest is how long a bucket that could not fill a lease is left alone: a trip for each permit that leaks meanwhile
	// would cost a noisy key more than answers do.
	leaseRest = int64(10 * time.Millisecond / time.Microsecond)
	// leaseRate is the permits a second up to which a limit is exact: leases would strand a part of it.
	leaseRate = 100
)

// A count is the count of one key under one value, as far as this replica knows it.
type count struct {
	held atomic.Pointer[holding] // nil: Redis was never asked

	trip   sync.Mutex // one trip for a lease at a time; the others wait for what it brings
	demand float64    // permits a microsecond that were asked for of late; under trip

	alone sync.Mutex
	local bucket // of this replica alone; under alone
	part  quota  // that local was last counted by; under alone
}

// fullness is how full the bucket of this replica alone still is, 0 to 1.
func (c *count) fullness(now int64) float64 {
	c.alone.Lock()
	defer c.alone.Unlock()
	if c.local.at == 0 {
		return 0
	}
	return c.part.level(c.local, now) / c.part.burst
}

// A holding is what Redis last said of a key, and the permits leased with it. The bucket can only have become fuller
// since than it says, by what others took.
type holding struct {
	value  *value
	bucket bucket // of all replicas, with size taken; from the beginning of the trip, by our clock
	size   int64  // permits that were leased
	rest   int64  // until then the bucket is left alone: it could not fill the lease; 0: it could

	left     atomic.Int64 // of size
	renewing atomic.Bool
}

// closed is what a lease has left that was taken back: less than any number of concurrent draws can bring above zero.
const closed = math.MinInt64 / 2

// draw takes n permits of the lease.
func (h *holding) draw(n int64) bool {
	if h.left.Load() < n {
		return false
	}
	if h.left.Add(-n) >= 0 {
		return true
	}
	h.left.Add(n)
	return false
}

// close ends the lease and returns what was left of it, once.
func (h *holding) close() int64 {
	if h == nil {
		return 0
	}
	return max(h.left.Swap(closed), 0)
}

func (h *holding) unspent() int64 { return max(h.left.Load(), 0) }

// level is how full the bucket is at least, without what is leased and not spent.
func (h *holding) level(q quota, now int64) float64 {
	return max(q.level(h.bucket, now)-float64(h.unspent()), 0)
}

// A request is what a count is asked.
type request struct {
	counter *Limiter
	value   *value
	prefix  string // of the key, in Redis
	key     string
	n       int64 // permits
	now     int64 // microseconds
	local   bool  // without Redis
}

// spend decides a request.
func (c *count) spend(r request) outcome {
	h := c.held.Load()
	if !r.local && h != nil {
		// Fast path: a lease, or a bucket that was too full and still must be.
		if o, known := c.here(h, &r); known {
			return o
		}
	}
	// Slow path: a trip to Redis, or, without it, the bucket of this replica.
	if r.local || !r.counter.trips.up() {
		return c.spendAlone(&r)
	}
	if r.value.leases {
		return c.spendLease(&r)
	}
	return c.spendExact(&r)
}

// here decides a request by what is held, if that can be known without a trip.
func (c *count) here(h *holding, r *request) (o outcome, known bool) {
	age := r.now - h.bucket.at
	if h.value == r.value && age < leaseLife && h.draw(r.n) {
		if r.now >= h.rest && (age > leaseRenew || h.unspent() < h.size/3) && h.renewing.CompareAndSwap(false, true) {
			c.renewSoon(*r, h)
		}
		return r.value.quota.allow(h.level(r.value.quota, r.now)), true
	}
	level := h.level(r.value.quota, r.now)
	if level+float64(r.n) > r.value.quota.burst {
		return r.value.quota.refuse(level, r.n), true
	}
	if h.value == r.value && r.now < h.rest {
		o = r.value.quota.refuse(level, r.n)
		o.retry = max(o.retry, time.Duration(h.rest-r.now)*time.Microsecond)
		return o, true
	}
	return o, false
}

// restAfter is when to ask again after a trip that brought so much of what was wanted: at once where it was enough, else when
// some permits have leaked, and before half of the burst has.
func (r *request) restAfter(granted, want int64) int64 {
	if granted >= want {
		return 0
	}
	return r.now + min(leaseRest, r.value.quota.leak(r.value.quota.burst/2).Microseconds())
}

// spendExact asks Redis for just what the request needs.
func (c *count) spendExact(r *request) outcome {
	a := ask{key: r.prefix + r.key, quota: r.value.quota, want: r.n, least: r.n, give: c.held.Load().close()}
	if r.counter.trips.take(&a) != nil {
		return c.spendAlone(r)
	}
	c.learn(&holding{value: r.value, bucket: bucket{a.level, r.now}})
	if a.granted == 0 {
		return r.value.quota.refuse(a.level, r.n)
	}
	return r.value.quota.allow(a.level)
}

// learn keeps the newest of what concurrent trips brought.
func (c *count) learn(h *holding) {
	for {
		old := c.held.Load()
		if old != nil && old.bucket.at > h.bucket.at || c.held.CompareAndSwap(old, h) {
			return
		}
	}
}

// spendLease fetches a lease, or waits for the one that another request fetches.
func (c *count) spendLease(r *request) outcome {
	c.trip.Lock()
	defer c.trip.Unlock()
	r.now = r.counter.now()
	h := c.held.Load()
	if h != nil {
		if o, known := c.here(h, r); known {
			return o
		}
	}
	if !r.counter.trips.up() {
		return c.spendAlone(r)
	}
	a := ask{key: r.prefix + r.key, quota: r.value.quota, want: c.target(h, r), least: r.n, give: h.close()}
	if r.counter.trips.take(&a) != nil {
		return c.spendAlone(r)
	}
	next := &holding{value: r.value, bucket: bucket{a.level, r.now}, size: max(a.granted-r.n, 0), rest: r.restAfter(a.granted, a.want)}
	next.left.Store(next.size)
	c.held.Store(next)
	if a.granted == 0 {
		return r.value.quota.refuse(a.level, r.n)
	}
	return r.value.quota.allow(next.level(r.value.quota, r.now))
}

// renewSoon is apart so that the fast path allocates nothing for it.
func (c *count) renewSoon(r request, h *holding) { go c.renew(&r, h) }

// renew adds to a lease what it needs for the demand there is now. Meanwhile h is spent further.
func (c *count) renew(r *request, h *holding) {
	if !c.trip.TryLock() {
		return // a trip is under way
	}
	defer c.trip.Unlock()
	if c.held.Load() != h || !r.counter.trips.up() {
		return
	}
	r.n, r.now = 0, r.counter.now()
	a := ask{key: r.prefix + r.key, quota: r.value.quota, want: max(c.target(h, r)-h.unspent(), 0)}
	if r.counter.trips.take(&a) != nil {
		return
	}
	next := &holding{value: r.value, bucket: bucket{a.level, r.now}, rest: r.restAfter(a.granted, a.want)}
	next.size = h.close() + a.granted
	next.left.Store(next.size)
	c.held.Store(next)
}

// target is how many permits to fetch: what is asked for in leaseAhead, as measured since the last trip; at most a part of the burst, so
// that all replicas together hold half of it. trip is held.
func (c *count) target(h *holding, r *request) int64 {
	if h != nil {
		elapsed := max(r.now-h.bucket.at, leaseMeasure)
		demand := float64(max(h.size-h.unspent(), 0)+r.n) / float64(elapsed)
		if elapsed < leaseLife {
			demand = (c.demand + demand) / 2 // it is a short time to measure in
		}
		c.demand = demand
	}
	most := r.value.quota.burst / float64(2*r.counter.live.Load())
	return max(int64(min(c.demand*float64(leaseAhead), most)), r.n)
}

// spendAlone decides by this replica's part of the limit. What it knows of the bucket in Redis that is newer
// than its own counts, so that nobody gains by Redis' end.
func (c *count) spendAlone(r *request) outcome {
	live := r.counter.live.Load()
	part := r.value.quota.share(live)
	c.alone.Lock()
	defer c.alone.Unlock()
	c.part = part
	if h := c.held.Load(); h != nil && h.bucket.at > c.local.at {
		known := h.level(r.value.quota, r.now) / float64(live)
		c.local = bucket{max(known, part.level(c.local, r.now)), r.now}
	}
	after, granted := part.take(c.local, r.now, r.n, r.n, 0)
	if granted == 0 {
		return part.refuse(part.level(c.local, r.now), r.n)
	}
	c.local = after
	return part.allow(after.level)
}
