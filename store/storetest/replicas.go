package storetest

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) replicas(t *testing.T) {
	s.rule(t, "RegisteredAreListed", replicasListed)
	s.rule(t, "RenewalReplaces", replicasRenewed)
	s.rule(t, "RenewalIsNoChange", replicasNoChange)
	s.rule(t, "ConcurrentRenewals", replicasRace)
	s.rule(t, "VitalsAreKeptAndReplaced", replicasVitals)
	s.rule(t, "SinceListsTheNewestStartFirst", replicasSince)
}

func newReplica() store.Replica {
	return store.Replica{
		ID: newID(), Version: "v1.2.3", Started: now().UTC().Truncate(time.Millisecond),
		Public: "10.0.0.1:8080", Admin: "10.0.0.1:8081", Fence: 12, Position: 34, Vitals: newVitals(),
	}
}

// newVitals has a value in every sort of field: text, list, time, number, map and struct.
func newVitals() store.Vitals {
	return store.Vitals{
		Revision: "abc", Host: "pod-1", Ready: true, Failing: []string{"database: it is down, \"so\" it says"}, Secrets: []string{"0123abcd", "4567cdef"},
		Ended: now().UTC().Truncate(time.Millisecond), Skew: -3, CPUShare: 0.25, Memory: 1 << 40, Goroutines: 17,
		Pools:   []store.PoolVitals{{Name: "read", Limit: 4, Open: 2, Waits: 1, Waited: 0.5}},
		Queries: map[string]store.WorkVitals{"poll": {Count: 1200, P50: 0.1, P99: 2.5}},
		Logins:  map[string]int64{"wrong": 3}, Counts: map[string]float64{`introspections_total{outcome="inactive"}`: 1.5},
		Hasher: store.HasherVitals{Places: 1, Busy: 2}, Proxy: store.ProxyVitals{OtherHost: 9, Host: "10.0.0.1:8080"},
	}
}

// listed reads the replicas and checks that each was seen; it takes the times out.
func listed(t testing.TB, ctx context.Context, db Store) []store.Replica {
	t.Helper()
	all, err := db.Replicas(ctx)
	must(t, err)
	for i := range all {
		if all[i].Seen.IsZero() {
			t.Error("a replica was never seen")
		}
		all[i].Seen = time.Time{}
	}
	return inOrder(all)
}

func inOrder(all []store.Replica) []store.Replica {
	slices.SortFunc(all, func(a, b store.Replica) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

func replicasListed(t *testing.T, db Store) {
	ctx := testContext(t)
	same(t, "replicas of an empty store", len(listed(t, ctx, db)), 0)
	all := []store.Replica{newReplica(), newReplica(), newReplica()}
	for _, r := range all {
		must(t, db.Register(ctx, r))
	}
	must(t, db.Maintain(ctx))
	same(t, "replicas", listed(t, ctx, db), inOrder(all))
}

func replicasRenewed(t *testing.T, db Store) {
	ctx := testContext(t)
	r := newReplica()
	must(t, db.Register(ctx, r))
	r.Position, r.Fence, r.Version = 99, 3, "v2"
	must(t, db.Register(ctx, r))
	same(t, "replicas", listed(t, ctx, db), []store.Replica{r})
}

func replicasNoChange(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	must(t, db.Register(ctx, newReplica()))
	since(t, ctx, db, cursor, 0)
}

func replicasRace(t *testing.T, db Store) {
	ctx := testContext(t)
	all := make([]store.Replica, 8)
	for i := range all {
		all[i] = newReplica()
	}
	race(32, func(i int) {
		if err := db.Register(ctx, all[i%len(all)]); err != nil {
			t.Errorf("register: %v", err)
		}
	})
	same(t, "replicas", listed(t, ctx, db), inOrder(all))
}

func replicasVitals(t *testing.T, db Store) {
	ctx := testContext(t)
	r := newReplica()
	must(t, db.Register(ctx, r))
	r.Vitals = store.Vitals{Ready: true, Queries: map[string]store.WorkVitals{"find": {Count: 1}}}
	must(t, db.Register(ctx, r))
	same(t, "replicas", listed(t, ctx, db), []store.Replica{r})
}

func replicasSince(t *testing.T, db Store) {
	ctx := testContext(t)
	begin := now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	var want []store.Replica
	for i := range 3 {
		r := newReplica()
		r.Started = begin.Add(time.Duration(i) * time.Minute)
		want = append(want, r)
	}
	for _, i := range []int{1, 2, 0} { // the order of renewals says nothing
		must(t, db.Register(ctx, want[i]))
	}
	slices.Reverse(want)
	all, err := db.ReplicasSince(ctx, begin)
	must(t, err)
	for i := range all {
		all[i].Seen = time.Time{}
	}
	same(t, "replicas", all, want)

	all, err = db.ReplicasSince(ctx, now().Add(time.Hour))
	must(t, err)
	same(t, "replicas seen in an hour from now", len(all), 0)
}
