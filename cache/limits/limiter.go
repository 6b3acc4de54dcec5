package limits

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"oauth2-server/store"
)

// A Store is what the limiter tells what it counted, and asks who counts beside it; storetest.Store says what each
// method promises.
type Store interface {
	Ledger
	Replicas(ctx context.Context) ([]store.Replica, error)
	SaveLimitMinute(ctx context.Context, minute store.LimitMinute, refused []store.RefusedKey) error
	NewlyRefused(ctx context.Context, name string, since int64) (int64, error)
}

// Options of a [Limiter].
type Options struct {
	Redis   redis.UniversalClient // nil: every replica counts alone, its part of each limit; not closed here
	Store   Store                 // required
	Replica store.ID              // this one
	Metrics *metrics.Set          // required
	Log     *slog.Logger          // required
	Now     func() time.Time      // nil: time.Now
}

// A Limiter decides which requests are too many. It refuses nothing before Apply.
type Limiter struct {
	options Options
	origin  time.Time
	trips   *trips // nil: no Redis
	plan    atomic.Pointer[plan]
	live    atomic.Int64 // replicas that run, at least 1
	meters  *meters

	mu       sync.Mutex // applying, sampling and saving
	accounts map[string]*account
	minutes  []store.LimitMinute // sampled; those before the last wait to be saved
	open     bool                // the last of minutes is under way
	unsaved  bool                // there is something in minutes that the store does not know
}

// New makes a limiter without rules.
func New(options Options) *Limiter {
	if options.Now == nil {
		options.Now = time.Now
	}
	l := &Limiter{options: options, origin: options.Now(), accounts: map[string]*account{}}
	l.live.Store(1)
	l.plan.Store(new(plan))
	l.meters = newMeters(options.Metrics, l)
	if options.Redis != nil {
		l.trips = newTrips(options.Redis, l.now, l.meters, options.Log)
	}
	return l
}

// now is the time in microseconds since the limiter was made, so that it is never stepped.
func (l *Limiter) now() int64 { return l.options.Now().Sub(l.origin).Microseconds() + 1 }

// Apply puts rules in the place of those there were. What did not change goes on as it was; of what did, counts stay and leases are dropped: the
// next request of each key is decided by the new value. all may be kept and is not changed.
func (l *Limiter) Apply(all []store.Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := maps.Clone(l.accounts)
	rules := make([]*rule, 0, len(all))
	for _, limit := range all {
		delete(gone, limit.Name)
		rules = append(rules, l.apply(limit))
	}
	for name, a := range gone {
		a.unregister(l.options.Metrics)
		delete(l.accounts, name)
	}
	l.plan.Store(newPlan(rules))
}

func (l *Limiter) apply(limit store.Limit) *rule {
	a := l.accounts[limit.Name]
	if a == nil {
		a = &account{
			redisKey: "oauth2:limit:" + limit.Name + ":", redisTrialKey: "oauth2:trial:" + limit.Name + ":",
			newest: newTable(), meters: map[string]*ruleMeters{},
		}
		l.accounts[limit.Name] = a
	} else if a.rule.limit.Key != limit.Key || a.rule.hidden != store.Invented(limit.Endpoint) {
		a.newest = newTable() // the keys mean something else now
	}
	r := newRule(limit, a)
	r.meters = a.register(l.options.Metrics, limit.Name, limit.Mode)
	a.rule = r
	return r
}

// Run samples what is counted and saves it, until ctx is done, and then saves the rest. Call it once.
func (l *Limiter) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.runSampler(ctx) })
	group.Go(func() error { return l.runSaver(ctx) })
	group.Go(func() error { return l.followReplicas(ctx) })
	return group.Wait()
}

const replicasEvery = 5 * time.Second

// followReplicas keeps the number of those who count beside us.
func (l *Limiter) followReplicas(ctx context.Context) error {
	ticker := time.NewTicker(replicasEvery)
	defer ticker.Stop()
	for {
		l.countReplicas(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// countReplicas leaves the number as it is when the store does not tell it.
func (l *Limiter) countReplicas(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, replicasEvery)
	defer cancel()
	if running, err := l.options.Store.Replicas(ctx); err == nil {
		l.live.Store(max(int64(len(running)), 1))
	}
}

// Spend takes n permits of every rule of the endpoint whose key is known at the stage, the narrowest rule first, up to
// the first that is enforced and refuses: those behind it do not see the request. A rule takes all n or nothing. n below 1 spends nothing.
func (l *Limiter) Spend(e Endpoint, s Stage, who *Who, n int64) Verdict {
	rules := l.plan.Load()[e][s]
	if len(rules) == 0 || n < 1 {
		return Verdict{}
	}
	var room [keyRoom]byte
	var tightest Verdict
	left := 2.0 // more than any share
	now := l.now()
	for _, r := range rules {
		key, known := r.appendKey(room[:0], who)
		if !known {
			continue
		}
		v := r.valueOf(key)
		if v.exempt {
			continue
		}
		o := l.spend(r, v, key, request{value: v, n: n, now: now, local: who.Local})
		switch {
		case !r.enforced:
		case !o.allowed:
			return Verdict{Refused: true, Rule: &v.policy, Remaining: o.remaining, Reset: o.reset, Retry: o.retry}
		case float64(o.remaining)/v.quota.burst < left:
			left = float64(o.remaining) / v.quota.burst
			tightest = Verdict{Rule: &v.policy, Remaining: o.remaining, Reset: o.reset}
		}
	}
	return tightest
}

func (r *rule) valueOf(key []byte) *value {
	if len(r.overrides) > 0 {
		if v := r.overrides[string(key)]; v != nil {
			return v
		}
	}
	return r.own
}

// spend is one rule's part of Spend: the live value decides, and the trial is asked beside it, except of keys that
// have a value of their own.
func (l *Limiter) spend(r *rule, v *value, key []byte, q request) outcome {
	e := r.table.get(key, q.now)
	q.counter = l
	if r.limit.Mode == store.LimitBlock || v.block {
		o := outcome{reset: blockRetry, retry: blockRetry}
		r.note(e, &q, o)
		return o
	}
	q.prefix, q.key = r.account.redisKey, e.key
	o := e.live.spend(q)
	r.note(e, &q, o)
	if r.trial != nil && v == r.own {
		q.value, q.prefix = r.trial, r.account.redisTrialKey
		if !e.trial.spend(q).allowed {
			r.meters[trialRefused].AddInt64(q.n)
		}
	}
	return o
}

// note counts what became of a request.
func (r *rule) note(e *entry, q *request, o outcome) {
	if o.allowed {
		r.meters[allowed].AddInt64(q.n)
		e.minuteAllowed.Add(q.n)
		return
	}
	e.minuteRefused.Add(q.n)
	e.refused.Store(q.now + o.retry.Microseconds())
	if !r.enforced {
		r.meters[wouldRefuse].AddInt64(q.n)
		return
	}
	r.meters[refused].AddInt64(q.n)
	if !r.hidden { // no guard asks for them
		r.account.refusals.add(r, e, q.now)
	}
}
