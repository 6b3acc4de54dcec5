package limits

import (
	"fmt"
	"math"
	"time"

	"oauth2-server/store"
)

// A quota is the value of a limit as it is reckoned with: rate permits leak in each period, burst is what fits.
type quota struct {
	rate, burst float64 // permits
	period      float64 // microseconds
}

// A bucket is how full it was, and when. It does not hold the limit, so any limit can be asked of it.
type bucket struct {
	level float64 // permits
	at    int64   // microseconds
}

func newQuota(q store.Quota) quota {
	return quota{rate: float64(q.Rate), burst: float64(q.Burst), period: float64(time.Duration(q.Period).Microseconds())}
}

// level is how full the bucket is now. One that was filled under a larger limit is full, not fuller: a cut
// catches it, and it waits for what leaks and not for what was allowed before.
func (q quota) level(b bucket, now int64) float64 {
	elapsed := float64(max(now-b.at, 0))
	return max(min(b.level, q.burst)-elapsed*q.rate/q.period, 0)
}

// take is the step that take.lua does in Redis, in the same order of operations: at most want permits, none if
// not even least are there; give are handed back before.
func (q quota) take(b bucket, now int64, want, least, give int64) (after bucket, granted int64) {
	if b.at > now {
		b.at = now // the clock was set back: it must not stop the leak
	}
	elapsed := float64(now - b.at)
	level := max(min(b.level, q.burst)-float64(give)-elapsed*q.rate/q.period, 0)
	if free := q.burst - level; free >= float64(least) {
		granted = min(want, int64(math.Floor(free)))
	}
	if granted > 0 || give > 0 {
		b = bucket{level + float64(granted), now}
	}
	return b, granted
}

// share is the part of one of so many replicas that count apart: together they hold the limit, but that
// each has at least one permit. What asks for more at once than the part is above the limit, however many replicas it asks.
func (q quota) share(live int64) quota {
	q.rate /= float64(live)
	q.burst = max(q.burst/float64(live), 1)
	return q
}

// leak is how long so many permits take to leak away, rounded up to a microsecond.
func (q quota) leak(permits float64) time.Duration {
	if permits <= 0 {
		return 0
	}
	const most = 1 << 62 / float64(time.Microsecond)
	return time.Duration(min(math.Ceil(permits*q.period/q.rate), most)) * time.Microsecond
}

// perSecond is the rate.
func (q quota) perSecond() float64 { return q.rate / q.period * float64(time.Second/time.Microsecond) }

// An outcome is what a bucket says of a request.
type outcome struct {
	allowed      bool
	remaining    int64
	reset, retry time.Duration
}

// allow is the outcome of a request that was granted and left the bucket at level.
func (q quota) allow(level float64) outcome {
	return outcome{allowed: true, remaining: q.remaining(level), reset: q.leak(level)}
}

// refuse is the outcome of a request for n permits that found the bucket at level. A request that no empty
// bucket has room for is refused always; it is told to come back when the bucket is empty.
func (q quota) refuse(level float64, n int64) outcome {
	o := outcome{remaining: q.remaining(level), reset: q.leak(level), retry: q.leak(level + float64(n) - q.burst)}
	if float64(n) > q.burst {
		o.retry = max(o.reset, q.leak(1))
	}
	o.retry = max(o.retry, time.Microsecond)
	return o
}

func (q quota) remaining(level float64) int64 { return int64(max(math.Floor(q.burst-level), 0)) }

// newPolicy tells of a limit in the terms of draft-ietf-httpapi-ratelimit-headers, which has no word for a burst: the window w, in
// seconds, is the time in which a whole burst comes back, and the quota q is what the rate allows in it. So the rate is q/w,
// what remains is never above q, and the time until all is there again never above w.
func newPolicy(name string, q store.Quota) Policy {
	exact := newQuota(q)
	window := math.Ceil(exact.leak(exact.burst).Seconds())
	allowed := max(int64(math.Floor(exact.perSecond()*window+1e-9)), q.Burst)
	return Policy{Name: name, Quota: q, Limit: allowed, Header: fmt.Sprintf("%q;q=%d;w=%.0f", name, allowed, window)}
}
