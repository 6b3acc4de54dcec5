package limits_test

import (
	"net/netip"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

// ofAFirstStart is the limits that a new store has.
func ofAFirstStart(t *testing.T) []store.Limit {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := db.Limits(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("got %d limits, %v", len(all), err)
	}
	return all
}

// The limits of a first start stand in migrations, which cannot see what is right here.
func TestLimitsOfAFirstStartAreValid(t *testing.T) {
	for _, limit := range ofAFirstStart(t) {
		if err := limit.Validate(limits.Endpoints()); err != nil {
			t.Errorf("limit %s: %v", limit.Name, err)
		}
	}
}

// What anybody can have kept, as a public client that pushes requests, is bounded from the first start: by address. A client that has
// proved itself is watched only.
func TestPushedRequestsAreLimitedFromAFirstStart(t *testing.T) {
	l := limits.New(limits.Options{Metrics: metrics.NewSet()})
	l.Apply(ofAFirstStart(t))
	pass := func(stage limits.Stage, who *limits.Who) (n int) {
		for range 1000 {
			if !l.Spend(limits.Par, stage, who, 1).Refused {
				n++
			}
		}
		return n
	}
	here, there := &limits.Who{Address: netip.MustParseAddr("192.0.2.1")}, &limits.Who{Address: netip.MustParseAddr("192.0.2.2")}
	for _, who := range []*limits.Who{here, there} {
		if n := pass(limits.ByAddress, who); n < 120 || n > 200 {
			t.Errorf("%s: %d passed, want the burst of 120 and the few that come with time", who.Address, n)
		}
	}
	if n := pass(limits.ByName, &limits.Who{Address: here.Address, Client: []byte("web")}); n != 1000 {
		t.Errorf("%d of a client's passed, want all", n)
	}
}
