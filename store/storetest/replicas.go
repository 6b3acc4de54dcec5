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
}

func newReplica() store.Replica {
	return store.Replica{
		ID: newID(), Version: "v1.2.3", Started: now().UTC().Truncate(time.Millisecond),
		Public: "10.0.0.1:8080", Admin: "10.0.0.1:8081", Fence: 12, Position: 34,
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
