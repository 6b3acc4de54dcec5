package storetest

import (
	"slices"
	"testing"

	"oauth2-server/store"
)

func (s suite) denials(t *testing.T) {
	s.rule(t, "OneChangeForAll", denialsOneChange)
	s.rule(t, "Idempotent", denialsIdempotent)
	s.rule(t, "KindsAreApart", denialsKinds)
	s.rule(t, "TwiceInOneBatch", denialsTwice)
	s.rule(t, "NoneIsNoChange", denialsNone)
	s.rule(t, "TooManyAreRefused", denialsTooMany)
	s.rule(t, "ExpiredAreLeftOutOfLoad", denialsExpired)
	s.rule(t, "MaintainForgetsExpired", denialsMaintain)
	s.rule(t, "ConcurrentDeniersOfOneThing", denialsRace)
	s.rule(t, "UnknownIsNotFound", denialsUnknown)
}

// newDenial is a denial of a new token that expires in some hours.
func newDenial(hours int) store.Denial {
	return store.Denial{Kind: store.DenyToken, ID: newID(), Expires: inHours(hours), Actor: actor.String()}
}

func newDenials(n int) []store.Denial {
	all := make([]store.Denial, n)
	for i := range all {
		all[i] = newDenial(1 + i%3)
	}
	return all
}

// things are the sorted names of what is denied.
func things(denials []store.Denial) []string {
	var names []string
	for _, d := range denials {
		names = append(names, thing(d))
	}
	slices.Sort(names)
	return names
}

// denied reads a denial that must be there.
func denied(t testing.TB, db Store, want store.Denial) store.Denial {
	t.Helper()
	got, err := db.Denied(testContext(t), want.Kind, want.ID)
	must(t, err)
	return got
}

func denialsOneChange(t *testing.T, db Store) {
	ctx := testContext(t)
	for _, n := range []int{1, 2, store.MaxDenials} {
		cursor := position(t, ctx, db)
		all := newDenials(n)
		must(t, db.Deny(ctx, slices.Clone(all)))
		change := since(t, ctx, db, cursor, 1)[0]
		same(t, "denials of the change", things(change.Denials), things(all))
		for _, d := range change.Denials {
			if d.At == 0 {
				t.Fatal("a denial does not say when it was made")
			}
		}
		got := denied(t, db, all[0])
		if got.At == 0 {
			t.Error("the denial does not say when it was made")
		}
		got.At = 0
		same(t, "denial", got, all[0])
	}
}

func denialsIdempotent(t *testing.T, db Store) {
	ctx := testContext(t)
	first := newDenial(1)
	must(t, db.Deny(ctx, []store.Denial{first}))
	stored := denied(t, db, first)
	again := first
	again.Actor, again.Expires = "cli:other", first.Expires+3600
	fresh := newDenial(1)
	must(t, db.Deny(ctx, []store.Denial{again}))
	must(t, db.Deny(ctx, []store.Denial{fresh, again}))
	same(t, "denial after it was denied again", denied(t, db, first), stored)
	denied(t, db, fresh)
	same(t, "denied things", len(load(t, ctx, db).Denials), 2)
}

func denialsKinds(t *testing.T, db Store) {
	ctx := testContext(t)
	token := newDenial(1)
	grant := token
	grant.Kind = store.DenyGrant
	must(t, db.Deny(ctx, []store.Denial{token}))
	_, err := db.Denied(ctx, store.DenyGrant, token.ID)
	wantError(t, "a grant of a denied token's id", err, store.ErrNotFound)
	must(t, db.Deny(ctx, []store.Denial{grant}))
	same(t, "kind", denied(t, db, grant).Kind, store.DenyGrant)
	same(t, "kind", denied(t, db, token).Kind, store.DenyToken)
}

func denialsTwice(t *testing.T, db Store) {
	ctx := testContext(t)
	d := newDenial(1)
	other := newDenial(1)
	must(t, db.Deny(ctx, []store.Denial{d, other, d}))
	same(t, "denied things", len(load(t, ctx, db).Denials), 2)
}

func denialsNone(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	must(t, db.Deny(ctx, nil))
	since(t, ctx, db, cursor, 0)
}

func denialsTooMany(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	if err := db.Deny(ctx, newDenials(store.MaxDenials+1)); err == nil {
		t.Error("more than MaxDenials were taken")
	}
	since(t, ctx, db, cursor, 0)
}

func denialsExpired(t *testing.T, db Store) {
	ctx := testContext(t)
	alive, dead := newDenial(1), newDenial(-1)
	must(t, db.Deny(ctx, []store.Denial{dead, alive}))
	loaded := load(t, ctx, db)
	if _, there := loaded.Denials[thing(dead)]; there || len(loaded.Denials) != 1 {
		t.Errorf("got %d denials, want the one that has not expired", len(loaded.Denials))
	}
}

func denialsMaintain(t *testing.T, db Store) {
	ctx := testContext(t)
	alive, dead := newDenial(1), newDenial(-72)
	must(t, db.Deny(ctx, []store.Denial{dead, alive}))
	must(t, db.Maintain(ctx))
	denied(t, db, alive)
	_, err := db.Denied(ctx, dead.Kind, dead.ID)
	wantError(t, "an expired denial after Maintain", err, store.ErrNotFound)
}

func denialsRace(t *testing.T, db Store) {
	ctx := testContext(t)
	all := newDenials(20)
	race(16, func(i int) {
		mine := slices.Concat(all[i:], all[:i]) // each in another order: no deadlock
		if err := db.Deny(ctx, append(mine, newDenial(1))); err != nil {
			t.Errorf("deny: %v", err)
		}
	})
	same(t, "denied things", len(load(t, ctx, db).Denials), len(all)+16)
}

func denialsUnknown(t *testing.T, db Store) {
	_, err := db.Denied(testContext(t), store.DenyToken, newID())
	wantError(t, "what was never denied", err, store.ErrNotFound)
}
