package cache

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// ledger is grants in memory, of which each has the outcome that its client's name says.
type ledger struct {
	batches int
	fault   error
	asked   map[store.ID]int // how often each was asked for
}

func (l *ledger) RotateGrants(_ context.Context, all []store.Rotation, done func(int, store.Rotated)) error {
	l.batches++
	for i, r := range all {
		if l.fault != nil {
			return l.fault
		}
		if l.asked != nil {
			l.asked[r.Grant]++
		}
		if r.Client == "spoiled" {
			return errors.New("a row was refused")
		}
		outcome := store.RotationDone
		if r.Client == "thief" {
			outcome = store.RotationReused
		}
		done(i, store.Rotated{Outcome: outcome, Grant: store.Grant{ID: r.Grant, Generation: r.Generation + 1}})
	}
	return l.fault
}

func (l *ledger) RedeemCode(ctx context.Context, _ store.Redemption) (store.Code, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return store.Code{}, errors.New("there is no deadline")
	}
	return store.Code{}, l.fault
}

func (l *ledger) Grant(ctx context.Context, id store.ID) (store.Grant, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return store.Grant{}, errors.New("there is no deadline")
	}
	return store.Grant{ID: id}, l.fault
}

func (l *ledger) RevokeGrants(_ context.Context, _ store.Actor, query store.GrantQuery) (int, error) {
	if query.Client != "owner" || query.ID.IsZero() {
		return 0, l.fault
	}
	return 1, l.fault
}

func newLedger(l *ledger) *Cache {
	c := &Cache{state: newState(nil, nil), clock: newClock(), fence: newFence(0), l1: newL1(0)}
	c.metrics = newMeters(metrics.NewSet(), c)
	c.grants = newGrants(l, c.metrics)
	return c
}

func (c *Cache) deadGrant(id store.ID) bool { return c.Dead(&store.Record{Grant: id, Position: 1}) }

// A batch is one trip to the store, and each of its callers hears of its own rotation.
func TestRotationsShareATrip(t *testing.T) {
	l := new(ledger)
	c := newLedger(l)
	all := make([]*rotation, 64)
	for i := range all {
		all[i] = &rotation{Rotation: store.Rotation{Grant: store.NewID(time.Now()), Generation: uint32(i)}}
	}
	if err := c.grants.rotate(t.Context(), all); err != nil || l.batches != 1 {
		t.Fatalf("got %d trips, %v", l.batches, err)
	}
	for i, r := range all {
		if r.done.Grant.ID != r.Grant || r.done.Grant.Generation != uint32(i)+1 {
			t.Errorf("%d: got %+v", i, r.done)
		}
	}
	c.grants.close()
	if _, err := c.Rotate(store.Rotation{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("closed: got %v", err)
	}
}

// An outcome that was told is durable: a failure for others neither hides it nor has it done again, as a reuse.
func TestOutcomeThatWasToldStands(t *testing.T) {
	l := &ledger{asked: map[store.ID]int{}}
	c := newLedger(l)
	all := make([]*rotation, 4)
	for i := range all {
		all[i] = &rotation{Rotation: store.Rotation{Grant: store.NewID(time.Now())}}
	}
	all[2].Client = "spoiled"
	if err := c.grants.rotate(t.Context(), all); err == nil {
		t.Fatal("the failure is not told")
	}
	for i, r := range all { // one by one, as a batch that was refused is committed
		if err := c.grants.rotate(t.Context(), all[i:i+1]); (err != nil) != (i == 2) || r.settled != (i != 2) {
			t.Errorf("%d: got %v, settled %v", i, err, r.settled)
		}
	}
	for i, want := range []int{1, 1, 2, 1} {
		if got := l.asked[all[i].Grant]; got != want {
			t.Errorf("%d: the store was asked %d times, want %d", i, got, want)
		}
	}
	c.grants.store = failsLate{l}
	if _, err := c.Rotate(store.Rotation{Grant: store.NewID(time.Now())}); err != nil {
		t.Errorf("a caller whose outcome was told got %v", err)
	}
}

// failsLate fails after it has told all outcomes.
type failsLate struct{ *ledger }

func (f failsLate) RotateGrants(ctx context.Context, all []store.Rotation, done func(int, store.Rotated)) error {
	return errors.Join(f.ledger.RotateGrants(ctx, all, done), store.ErrUnavailable)
}

// What the store revoked is dead here before the caller hears of it, ahead of the feed.
func TestRevokedGrantIsDeadHereAtOnce(t *testing.T) {
	l := new(ledger)
	c := newLedger(l)
	kept, reused, revoked := store.NewID(time.Now()), store.NewID(time.Now()), store.NewID(time.Now())
	if _, err := c.Rotate(store.Rotation{Grant: kept, Client: "owner"}); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Rotate(store.Rotation{Grant: reused, Client: "thief"}); err != nil || done.Outcome != store.RotationReused {
		t.Fatalf("got %+v, %v", done, err)
	}
	if done, err := c.RevokeGrant(store.Actor{}, revoked, "owner"); err != nil || !done {
		t.Fatalf("got %v, %v", done, err)
	}
	if done, err := c.RevokeGrant(store.Actor{}, kept, "thief"); err != nil || done {
		t.Fatalf("got %v, %v", done, err)
	}
	if c.deadGrant(kept) || !c.deadGrant(reused) || !c.deadGrant(revoked) {
		t.Errorf("dead: kept %v, reused %v, revoked %v", c.deadGrant(kept), c.deadGrant(reused), c.deadGrant(revoked))
	}
}

// A fault is told as it is, and denies nothing.
func TestFaultOfAGrantIsTold(t *testing.T) {
	l := &ledger{fault: store.ErrUnavailable}
	c := newLedger(l)
	id := store.NewID(time.Now())
	_, errRotate := c.Rotate(store.Rotation{Grant: id, Client: "thief"})
	_, errRevoke := c.RevokeGrant(store.Actor{}, id, "owner")
	_, errRedeem := c.Redeem(store.Redemption{})
	_, errGrant := c.Grant(id)
	for _, err := range []error{errRotate, errRevoke, errRedeem, errGrant} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if c.deadGrant(id) {
		t.Error("a fault has denied a grant")
	}
}
