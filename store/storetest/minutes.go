package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"oauth2-server/store"
)

func (s suite) limitMinutes(t *testing.T) {
	s.rule(t, "ListedInOrderSinceAMinute", minutesListed)
	s.rule(t, "LaterReplacesEarlier", minutesReplaced)
	s.rule(t, "KeyKeepsTheVersionThatRefusedItFirst", refusedFirst)
	s.rule(t, "KeysOfLimitsAreApart", refusedApart)
	s.rule(t, "KeysOfALimitAreBounded", refusedBounded)
	s.rule(t, "ReplicasThatRefuseTheSameKeys", refusedRace)
	s.rule(t, "MaintainForgetsWhatIsOlderThanAnHour", minutesForgotten)
	s.rule(t, "IsNoChange", minutesNoChange)
}

// newMinute is what a replica counted so many minutes ago.
func newMinute(replica store.ID, ago int64) store.LimitMinute {
	return store.LimitMinute{Replica: replica, Minute: now().Unix()/60 - ago, Rules: map[string]store.RuleMinute{
		"token.ip": {Allowed: []int64{1, 0, 3}, Refused: []int64{2}, Top: []store.KeyMinute{{Key: "\"größe\\ ☃", Allowed: 4, Refused: 2}}},
		"login.ip": {Would: []int64{7}, Trial: []int64{0, 8}},
	}}
}

// newRefused is n keys, the same each time.
func newRefused(limit string, version int64, n int) []store.RefusedKey {
	keys := make([]store.RefusedKey, n)
	for i := range keys {
		hash := sha256.Sum256(fmt.Append(nil, i))
		keys[i] = store.RefusedKey{Limit: limit, Hash: [16]byte(hash[:16]), Version: version}
	}
	return keys
}

func minutesOf(t testing.TB, ctx context.Context, db Store, ago int64) []store.LimitMinute {
	t.Helper()
	all, err := db.LimitMinutes(ctx, now().Unix()/60-ago)
	must(t, err)
	return all
}

func wantNewlyRefused(t testing.TB, db Store, limit string, version, want int64) {
	t.Helper()
	n, err := db.NewlyRefused(testContext(t), limit, version)
	must(t, err)
	same(t, fmt.Sprintf("keys that %[2]s refused since version %[1]d, and never before", version, limit), n, want)
}

func minutesListed(t *testing.T, db Store) {
	ctx := testContext(t)
	same(t, "minutes of an empty store", len(minutesOf(t, ctx, db, 60)), 0)
	one, other := newID(), newID()
	for one.String() > other.String() { // ids of one millisecond are in no order
		other = newID()
	}
	all := []store.LimitMinute{newMinute(other, 30), newMinute(one, 20), newMinute(other, 20), newMinute(one, 10)}
	for _, i := range []int{2, 0, 3, 1} {
		must(t, db.SaveLimitMinute(ctx, all[i], nil))
	}
	same(t, "minutes", minutesOf(t, ctx, db, 40), all)
	same(t, "minutes since", minutesOf(t, ctx, db, 15), all[3:])
	idle := store.LimitMinute{Replica: one, Minute: all[3].Minute + 1}
	must(t, db.SaveLimitMinute(ctx, idle, nil))
	same(t, "a minute without counts", minutesOf(t, ctx, db, 9), []store.LimitMinute{idle})
}

func minutesReplaced(t *testing.T, db Store) {
	ctx := testContext(t)
	minute := newMinute(newID(), 5)
	must(t, db.SaveLimitMinute(ctx, minute, nil))
	minute.Rules = map[string]store.RuleMinute{"other": {Allowed: []int64{9}}}
	must(t, db.SaveLimitMinute(ctx, minute, nil))
	same(t, "minutes", minutesOf(t, ctx, db, 10), []store.LimitMinute{minute})
}

func refusedFirst(t *testing.T, db Store) {
	ctx := testContext(t)
	replica := newID()
	must(t, db.SaveLimitMinute(ctx, newMinute(replica, 2), newRefused("one", 3, 10)))
	must(t, db.SaveLimitMinute(ctx, newMinute(replica, 1), newRefused("one", 4, 15)))
	twice := append(newRefused("one", 5, 16), newRefused("one", 5, 16)...)
	must(t, db.SaveLimitMinute(ctx, newMinute(replica, 1), twice)) // told twice is refused once
	for version, want := range map[int64]int64{2: 16, 3: 16, 4: 6, 5: 1, 6: 0} {
		wantNewlyRefused(t, db, "one", version, want)
	}
}

func refusedApart(t *testing.T, db Store) {
	ctx := testContext(t)
	both := append(newRefused("one", 1, 2500), newRefused("other", 1, 2)...)
	must(t, db.SaveLimitMinute(ctx, newMinute(newID(), 1), both))
	wantNewlyRefused(t, db, "one", 1, 2500)
	wantNewlyRefused(t, db, "other", 1, 2)
	wantNewlyRefused(t, db, "none", 1, 0)
}

func refusedRace(t *testing.T, db Store) {
	ctx := testContext(t)
	race(8, func(i int) {
		keys := newRefused("one", int64(1+i%2), 500)
		keys = append(keys[i*50:], keys[:i*50]...) // each in an order of its own
		if err := db.SaveLimitMinute(ctx, newMinute(newID(), 1), keys); err != nil {
			t.Errorf("save: %v", err)
		}
	})
	wantNewlyRefused(t, db, "one", 1, 500)
	same(t, "minutes", len(minutesOf(t, ctx, db, 2)), 8)
}

// An attack that makes up keys does not fill the database. What is known stays known. Each part has its own time: with -race they take long.
func refusedBounded(t *testing.T, db Store) {
	all := newRefused("one", 1, store.MaxRefusedKeys+10)
	for part := range slices.Chunk(all[:store.MaxRefusedKeys], 5_000) {
		must(t, db.SaveLimitMinute(testContext(t), newMinute(newID(), 1), part))
	}
	wantNewlyRefused(t, db, "one", 1, store.MaxRefusedKeys)
	must(t, db.SaveLimitMinute(testContext(t), newMinute(newID(), 1), append(newRefused("other", 1, 3), all[store.MaxRefusedKeys-10:]...)))
	wantNewlyRefused(t, db, "one", 1, store.MaxRefusedKeys)
	wantNewlyRefused(t, db, "other", 1, 3)
}

func minutesForgotten(t *testing.T, db Store) {
	ctx := testContext(t)
	young := newMinute(newID(), 58)
	must(t, db.SaveLimitMinute(ctx, newMinute(newID(), 70), newRefused("one", 1, 3)))
	must(t, db.SaveLimitMinute(ctx, young, nil))
	must(t, db.Maintain(ctx))
	same(t, "minutes", minutesOf(t, ctx, db, 1000), []store.LimitMinute{young})
	wantNewlyRefused(t, db, "one", 1, 3) // these for a day
}

func minutesNoChange(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	must(t, db.SaveLimitMinute(ctx, newMinute(newID(), 1), newRefused("one", 1, 3)))
	since(t, ctx, db, cursor, 0)
	same(t, "rows of audit", len(audits(t, ctx, db, 10)), 0)
}
