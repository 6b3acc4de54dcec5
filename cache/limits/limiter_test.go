package limits

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/redis/go-redis/v9"

	"oauth2-server/store"
)

// book is a store that keeps what it is told of minutes, and replicas.
type book struct {
	Ledger
	mu       sync.Mutex
	replicas int
	fault    error
	saves    int
	looks    int // at guards
	minutes  map[int64]store.LimitMinute
	refused  []store.RefusedKey
}

func (b *book) Replicas(context.Context) ([]store.Replica, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return make([]store.Replica, b.replicas), b.fault
}

func (b *book) SaveLimitMinute(_ context.Context, m store.LimitMinute, refused []store.RefusedKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault != nil {
		return b.fault
	}
	if b.minutes == nil {
		b.minutes = map[int64]store.LimitMinute{}
	}
	b.saves++
	b.minutes[m.Minute] = m
	b.refused = append(b.refused, refused...)
	return nil
}

func (b *book) NewlyRefused(context.Context, string, int64) (int64, error) {
	b.looks++
	return 0, nil
}

// manual is a clock that a test moves.
type manual struct{ at atomic.Int64 } // microseconds

func (c *manual) now() time.Time { return time.UnixMicro(c.at.Load()) }

func (c *manual) move(d time.Duration) { c.at.Add(d.Microseconds()) }

func newManual() *manual {
	c := new(manual)
	c.at.Store(1_700_000_000_000_000)
	return c
}

// newLimiter is a limiter without Redis unless options say otherwise.
func newLimiter(t testing.TB, change ...func(*Options)) *Limiter {
	t.Helper()
	options := Options{
		Store: &book{replicas: 1}, Replica: store.NewID(time.Now()), Metrics: metrics.NewSet(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&options)
	}
	return New(options)
}

func withClock(c *manual) func(*Options) { return func(o *Options) { o.Now = c.now } }

func withRedis(client redis.UniversalClient) func(*Options) {
	return func(o *Options) { o.Redis = client }
}

// limit is a rule for introspection by client, enforced.
func limit(rate, burst int64, period time.Duration, change ...func(*store.Limit)) store.Limit {
	l := store.Limit{
		Name: "introspect.client", Endpoint: "introspect", Key: store.LimitByClient, Mode: store.LimitEnforce, Version: 1,
		Quota: store.Quota{Rate: rate, Period: store.Period(period), Burst: burst},
	}
	for _, f := range change {
		f(&l)
	}
	return l
}

func mode(m string) func(*store.Limit) { return func(l *store.Limit) { l.Mode = m } }

func app(name string) *Who {
	return &Who{Client: []byte(name), Address: netip.MustParseAddr("192.0.2.1")}
}

// pass asks n times for one permit, and counts those that are let pass.
func pass(l *Limiter, who *Who, n int) (passed int) {
	for range n {
		if !l.Spend(Introspect, ByName, who, 1).Refused {
			passed++
		}
	}
	return passed
}

func decisions(l *Limiter, mode string) (got [numDecisions]uint64) {
	for d := range got {
		got[d] = l.options.Metrics.GetOrCreateCounter(decisionSeries("introspect.client", mode, d)).Get()
	}
	return got
}

func TestBurstPassesAndThenTheRate(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(10, 20, time.Second)})
	if got := pass(l, app("a"), 50); got != 20 {
		t.Fatalf("%d passed at once, want the burst of 20", got)
	}
	if got := pass(l, app("b"), 5); got != 5 {
		t.Errorf("another client had %d of 5", got)
	}
	clock.move(time.Second)
	if got := pass(l, app("a"), 50); got != 10 {
		t.Errorf("%d passed after a second, want the rate of 10", got)
	}
}

func TestShadowNeverRefusesAndCountsTruly(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(10, 20, time.Second, mode(store.LimitShadow))})
	if got := pass(l, app("a"), 50); got != 50 {
		t.Fatalf("%d of 50 passed", got)
	}
	if got, want := decisions(l, store.LimitShadow), [numDecisions]uint64{allowed: 20, wouldRefuse: 30}; got != want {
		t.Errorf("counted %v, want %v", got, want)
	}
	if v := l.Spend(Introspect, ByName, app("a"), 1); v.Rule != nil {
		t.Errorf("a shadow is told of: %+v", v)
	}
}

func TestBlockRefusesAll(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1000, 1000, time.Second, mode(store.LimitBlock))})
	v := l.Spend(Introspect, ByName, app("a"), 1)
	if !v.Refused || v.Retry != time.Minute || v.Rule == nil {
		t.Errorf("got %+v", v)
	}
}

func TestOffIsNotLookedAt(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1, 1, time.Hour, mode(store.LimitOff))})
	if v := l.Spend(Introspect, ByName, app("a"), 1000); v != (Verdict{}) {
		t.Errorf("got %+v", v)
	}
}

func TestOverridesHoldForTheirKeyAlone(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(10, 20, time.Second, func(l *store.Limit) {
		l.Overrides = map[string]store.Override{
			"big": {Quota: &store.Quota{Rate: 30, Burst: 30, Period: store.Period(time.Second)}},
			"own": {Mode: store.OverrideExempt}, "bad": {Mode: store.OverrideBlock},
		}
	})})
	for name, want := range map[string]int{"big": 30, "own": 100, "bad": 0, "other": 20} {
		if got := pass(l, app(name), 100); got != want {
			t.Errorf("%s: %d of 100 passed, want %d", name, got, want)
		}
	}
	if v := l.Spend(Introspect, ByName, app("big"), 1); v.Rule.Quota.Rate != 30 {
		t.Errorf("the policy of an override is %+v", v.Rule)
	}
}

func TestTrialForetellsWhatItWouldRefuse(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	trial := store.Quota{Rate: 5, Burst: 8, Period: store.Period(time.Second)}
	rule := limit(10, 20, time.Second, func(l *store.Limit) { l.Trial = &trial })
	l.Apply([]store.Limit{rule})
	if got := pass(l, app("a"), 50); got != 20 {
		t.Fatalf("%d passed with a trial of 8 beside 20", got)
	}
	if got, want := decisions(l, store.LimitEnforce), [numDecisions]uint64{20, 30, 0, 42}; got != want {
		t.Errorf("counted %v, want %v: the trial sees all requests", got, want)
	}
	clock.move(time.Hour)
	rule.Quota, rule.Trial, rule.Version = trial, nil, 2
	l.Apply([]store.Limit{rule})
	if got := pass(l, app("a"), 50); got != 8 {
		t.Errorf("%d passed after the promotion, 8 were foretold", got)
	}
}

// A promotion changes the rule's own value: it does not touch a key that has another.
func TestTrialLeavesKeysWithAnOverrideAlone(t *testing.T) {
	l := newLimiter(t, withClock(newManual()))
	l.Apply([]store.Limit{limit(10, 20, time.Second, func(l *store.Limit) {
		l.Trial = &store.Quota{Rate: 1, Burst: 1, Period: l.Period}
		l.Overrides = map[string]store.Override{"a": {Quota: &store.Quota{Rate: 30, Burst: 30, Period: l.Period}}}
	})})
	pass(l, app("a"), 50)
	if got := decisions(l, store.LimitEnforce)[trialRefused]; got != 0 {
		t.Errorf("the trial would refuse %d of a key with a value of its own", got)
	}
}

func TestCountsStayWhenARuleChanges(t *testing.T) {
	l := newLimiter(t, withClock(newManual()))
	l.Apply([]store.Limit{limit(10, 10, time.Hour)})
	pass(l, app("a"), 20)
	l.Apply([]store.Limit{limit(11, 10, time.Hour)})
	if got := pass(l, app("a"), 20); got != 0 {
		t.Errorf("%d passed after a change that adds no room", got)
	}
}

func TestKeysOfAnotherKindAreCountedAnew(t *testing.T) {
	l := newLimiter(t, withClock(newManual()))
	l.Apply([]store.Limit{limit(10, 10, time.Hour)})
	pass(l, app("a"), 20)
	l.Apply([]store.Limit{limit(10, 10, time.Hour, func(l *store.Limit) { l.Key = store.LimitByClientIP })})
	if n := l.accounts["introspect.client"].newest.size.Load(); n != 0 {
		t.Errorf("%d keys are held of a kind that is counted no more", n)
	}
}

func TestTheNarrowestRuleSparesWhatIsShared(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	all := limit(100, 100, time.Second, func(l *store.Limit) { l.Name, l.Key, l.Endpoint = "login.all", store.LimitByNobody, "login" })
	address := limit(5, 5, time.Second, func(l *store.Limit) { l.Name, l.Key, l.Endpoint = "login.ip", store.LimitByIP, "login" })
	l.Apply([]store.Limit{all, address})
	passed := 0
	for range 1000 {
		if !l.Spend(Login, ByAddress, app("a"), 1).Refused {
			passed++
		}
	}
	other := &Who{Address: netip.MustParseAddr("192.0.2.2")}
	if v := l.Spend(Login, ByAddress, other, 1); passed != 5 || v.Refused || v.Rule.Name != "login.ip" {
		t.Errorf("%d passed, want 5; another address got %+v", passed, v)
	}
	if v := l.Spend(Login, ByName, other, 1); v != (Verdict{}) {
		t.Errorf("rules by address were spent by name: %+v", v)
	}
}

func TestVerdictIsOfTheRuleWithTheLeastLeft(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	both := func(l *store.Limit) { l.Name, l.Key = "introspect.both", store.LimitByClientIP }
	l.Apply([]store.Limit{limit(100, 100, time.Second), limit(10, 10, time.Second, both)})
	if v := l.Spend(Introspect, ByName, app("a"), 5); v.Rule.Name != "introspect.both" || v.Remaining != 5 || v.Reset != 500*time.Millisecond {
		t.Errorf("got %+v", v)
	}
}

// What an answer tells of a limit agrees with itself and with what happens.
func TestRemainingResetAndRetryAgree(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(10, 20, time.Second)})
	who := app("a")
	first := l.Spend(Introspect, ByName, who, 1)
	if first.Remaining != 19 || first.Reset != 100*time.Millisecond || first.Retry != 0 {
		t.Fatalf("first: %+v", first)
	}
	if got := pass(l, who, 100); got != int(first.Remaining) {
		t.Fatalf("%d passed, %d were said to remain", got, first.Remaining)
	}
	v := l.Spend(Introspect, ByName, who, 5)
	if !v.Refused || v.Remaining != 0 || v.Reset != 2*time.Second || v.Retry != 500*time.Millisecond {
		t.Fatalf("refused: %+v", v)
	}
	clock.move(v.Retry - time.Microsecond)
	if !l.Spend(Introspect, ByName, who, 5).Refused {
		t.Error("passed before Retry was over")
	}
	clock.move(time.Microsecond)
	if l.Spend(Introspect, ByName, who, 5).Refused {
		t.Error("refused when Retry was over")
	}
	clock.move(10 * time.Second)
	if got := pass(l, who, 100); got != 20 {
		t.Errorf("%d passed when all was reset, want 20", got)
	}
}

func TestMoreThanTheBurstIsRefusedAlways(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(10, 20, time.Second)})
	for range 3 {
		v := l.Spend(Introspect, ByName, app("a"), 21)
		if !v.Refused || v.Remaining != 20 || v.Retry <= 0 {
			t.Fatalf("got %+v", v)
		}
		clock.move(time.Hour)
	}
	if got := pass(l, app("a"), 30); got != 20 {
		t.Errorf("%d passed after it: what is refused spends nothing", got)
	}
}

func TestPolicyTellsRateAndRemainingBound(t *testing.T) {
	f := func(rate, burst int64, period time.Duration, want string) {
		t.Helper()
		p := newPolicy("r", store.Quota{Rate: rate, Burst: burst, Period: store.Period(period)})
		if p.Header != want || !strings.Contains(want, fmt.Sprintf(";q=%d;", p.Limit)) {
			t.Errorf("%d/%v burst %d: got %s and %d, want %s", rate, period, burst, p.Header, p.Limit, want)
		}
	}
	f(500, 500, time.Second, `"r";q=500;w=1`)
	f(500, 1000, time.Second, `"r";q=1000;w=2`)
	f(500, 50, time.Second, `"r";q=500;w=1`)
	f(5, 5, time.Minute, `"r";q=5;w=60`)
	f(5, 1, time.Minute, `"r";q=1;w=12`)
	f(7, 3, time.Second, `"r";q=7;w=1`)
	f(10, 20, time.Hour, `"r";q=20;w=7200`)
	f(3, 1, time.Second, `"r";q=3;w=1`)
}

func TestSeriesAreThoseOfTheRules(t *testing.T) {
	l := newLimiter(t)
	series := l.options.Metrics.ListMetricNames
	base := len(series())
	l.Apply([]store.Limit{limit(1, 1, time.Hour)})
	with := len(series())
	for i := range 100_000 {
		l.Spend(Introspect, ByName, app(fmt.Sprint("client ", i)), 1)
	}
	if got := len(series()); got != with || with != base+3 {
		t.Errorf("%d series before the rule, %d with it, %d after 100,000 keys", base, with, got)
	}
	l.Apply(nil)
	if got := len(series()); got != base {
		t.Errorf("%d series stayed when the rule had gone", got-base)
	}
}

func TestTableIsBoundedAndKeepsTheRefused(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(1, 1, time.Hour)})
	for i := range 1000 {
		pass(l, app(fmt.Sprint("refused ", i)), 2)
	}
	clock.move(time.Second)
	for i := range 100_000 {
		l.Spend(Introspect, ByName, app(fmt.Sprint("idle ", i)), 1)
	}
	table := l.accounts["introspect.client"].newest
	if n := table.size.Load(); n > tableShards*shardKeys || n < tableShards*shardKeys/2 {
		t.Errorf("%d keys are held", n)
	}
	for i := range 1000 {
		if !l.Spend(Introspect, ByName, app(fmt.Sprint("refused ", i)), 1).Refused {
			t.Fatalf("refused key %d is free again", i)
		}
	}
}

// Who has nearly spent his budget does not get it back by making up keys until his own is forgotten.
func TestKeysWithTheMostSpentAreKept(t *testing.T) {
	s := &shard{keys: map[string]*entry{}}
	q := newQuota(store.Quota{Rate: 10, Burst: 10, Period: store.Period(15 * time.Minute)})
	add := func(name string, level float64, used int64) {
		e := &entry{key: name}
		e.used.Store(used)
		if level > 0 {
			e.live.local, e.live.part = bucket{level, 1}, q
		}
		s.keys[name] = e
	}
	add("victim", 9, 1) // the longest idle
	for i := range 50 {
		add(fmt.Sprint(i), float64(i%3), int64(100+i))
	}
	for range 50 {
		s.evict(1000)
	}
	if s.keys["victim"] == nil {
		t.Error("a bucket that was nearly full was forgotten before those that were nearly empty")
	}
	leaked := int64(time.Hour / time.Microsecond)
	add("young", 5, leaked)
	s.keys["young"].live.local.at = leaked
	if s.evict(leaked); s.keys["young"] == nil {
		t.Error("what has leaked meanwhile counts as spent")
	}
}

// The race detector watches.
func TestRulesMayChangeUnderRequests(t *testing.T) {
	l := newLimiter(t)
	kinds := []string{store.LimitByClient, store.LimitByClientIP}
	l.Apply([]store.Limit{limit(10, 10, time.Second)})
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					pass(l, app("a"), 10)
				}
			}
		})
	}
	for i := range 500 {
		l.Apply([]store.Limit{limit(10, 10, time.Second, func(l *store.Limit) { l.Key = kinds[i%2] })})
	}
	close(stop)
	all.Wait()
}

func TestWhenAllKeysAreRefusedTheOldestGoes(t *testing.T) {
	s := &shard{keys: map[string]*entry{}}
	for i := range 20 {
		e := &entry{key: fmt.Sprint(i)}
		e.used.Store(int64(100 - i))
		e.refused.Store(1000)
		s.keys[e.key] = e
	}
	s.evict(500)
	if s.keys["19"] != nil || len(s.keys) != 19 {
		t.Errorf("%d keys are left, the oldest among them: %v", len(s.keys), s.keys["19"] != nil)
	}
}
