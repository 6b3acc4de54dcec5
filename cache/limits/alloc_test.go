//go:build !race

package limits

import (
	"net/netip"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// The contract of the hot path: a request that is decided here allocates nothing, whatever rules there are.
func TestDecidingHereAllocatesNothing(t *testing.T) {
	c := newCluster(t, newRedis(t, private.TestRedis(t).Addr()), 1)
	leased := c.replicas[0]
	c.apply(limit(10_000_000, 10_000_000, time.Second, func(l *store.Limit) {
		l.Overrides = map[string]store.Override{"b": {Mode: store.OverrideExempt}}
		l.Trial = &store.Quota{Rate: 9_000_000, Burst: 9_000_000, Period: l.Period}
	}))
	ready := func(c *count) bool { // it holds enough for the test, and nothing is under way for it
		h := c.held.Load()
		return h != nil && h.unspent() > max(2000, h.size/2) && !h.renewing.Load()
	}
	pass(leased, app("a"), 1)
	e := leased.accounts["introspect.client"].newest.get([]byte("a"), 0)
	for !ready(&e.live) || !ready(&e.trial) {
		c.clock.move(time.Millisecond)
		pass(leased, app("a"), 500)
	}
	here := newLimiter(t)
	here.Apply([]store.Limit{
		limit(1, 1, time.Hour),
		limit(1000, 1000, time.Second, func(l *store.Limit) { l.Name, l.Key, l.Endpoint = "token.ip", store.LimitByIP, "token" }),
		limit(1000, 1000, time.Second, func(l *store.Limit) { l.Name, l.Key, l.Endpoint = "token.pair", store.LimitByClientIP, "token" }),
	})
	a := app("a")
	six := &Who{Address: netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), Client: []byte("app")}
	for name, f := range map[string]func(){
		"leased":      func() { leased.Spend(Introspect, ByName, a, 1) },
		"refused":     func() { here.Spend(Introspect, ByName, a, 1) },
		"by address":  func() { here.Spend(Token, ByAddress, six, 1) },
		"by both":     func() { here.Spend(Token, ByName, six, 1) },
		"without any": func() { here.Spend(Revoke, ByName, six, 1) },
	} {
		f()
		trips := leased.meters.trips.Get()
		if n := testing.AllocsPerRun(500, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if name == "leased" && leased.meters.trips.Get() != trips {
			t.Errorf("it was for a lease, and took %d trips", leased.meters.trips.Get()-trips)
		}
	}
}
