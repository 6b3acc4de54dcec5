package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) keys(t *testing.T) {
	s.rule(t, "AddedAsGivenInOneChange", keysAdded)
	s.rule(t, "SecondActiveOrNextIsConflict", keysConflict)
	s.rule(t, "ConflictWithinABatchAddsNone", keysConflictInBatch)
	s.rule(t, "OlderStatesAreNotLimited", keysOlderStates)
	s.rule(t, "OneOfManyAddsTheRing", keysAddRace)
	s.rule(t, "SealStandsBesideTheOthers", keysSeal)
	s.rule(t, "ConcurrentSealsAllStay", keysSealRace)
	s.rule(t, "RotationIsOneChangeInAnyOrder", keysRotate)
	s.rule(t, "ConcurrentChangesSeeEachOther", keysChangeRace)
	s.rule(t, "ErrorOfChangeIsReturnedAndNothingDone", keysChangeError)
	s.rule(t, "NothingChangedIsNoChange", keysUnchanged)
	s.rule(t, "ResetReplacesAllAndCutsOffEverything", keysReset)
	s.rule(t, "ConcurrentResetsLeaveOneRing", keysResetRace)
}

// newKey is a key with random bytes in it.
func newKey(use, alg, state string, number int) store.Key {
	secret := make([]byte, 48)
	rand.Read(secret)
	key := store.Key{
		ID: newID(), Number: number, Use: use, Alg: alg, State: state,
		Seals:   map[string][]byte{"fingerprint": secret},
		Created: now().UTC().Truncate(time.Millisecond),
	}
	if use == store.UseSign {
		key.Public = bytes.Repeat([]byte{0, 0xff}, 40)
	}
	return key
}

// newRing is what a first start adds: active and next of both uses.
func newRing() []store.Key {
	return []store.Key{
		newKey(store.UseSign, "ES256", store.KeyActive, 0),
		newKey(store.UseSign, "ES256", store.KeyNext, 0),
		newKey(store.UseMAC, store.AlgMAC, store.KeyActive, 1),
		newKey(store.UseMAC, store.AlgMAC, store.KeyNext, 2),
	}
}

// addKeys adds keys to the ring.
func addKeys(ctx context.Context, db Store, keys []store.Key) error {
	return db.ChangeKeys(ctx, actor, "keys.add", func([]store.Key) ([]store.Key, error) { return keys, nil })
}

// sealKey adds a seal to a key, beside those it has.
func sealKey(ctx context.Context, db Store, id store.ID, fingerprint string, sealed []byte) error {
	return db.ChangeKeys(ctx, actor, "keys.seal", func(all []store.Key) ([]store.Key, error) {
		i := slices.IndexFunc(all, func(k store.Key) bool { return k.ID == id })
		all[i].Seals[fingerprint] = sealed // not a copy: the store must not mind
		return all[i : i+1], nil
	})
}

// byID orders keys of one millisecond in a way of their own.
func byID(keys []store.Key) []store.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b store.Key) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return keys
}

func wantKeys(t testing.TB, ctx context.Context, db Store, want []store.Key) {
	t.Helper()
	got, err := db.Keys(ctx)
	must(t, err)
	same(t, "keys", byID(got), byID(want))
}

func keysAdded(t *testing.T, db Store) {
	ctx := testContext(t)
	wantKeys(t, ctx, db, nil)
	cursor := position(t, ctx, db)
	ring := newRing()
	for i := range ring {
		ring[i].Created = ring[i].Created.Add(-time.Duration(i) * time.Hour)
	}
	must(t, addKeys(ctx, db, ring))
	wantKeys(t, ctx, db, ring)
	got, err := db.Keys(ctx)
	must(t, err)
	if !slices.IsSortedFunc(got, func(a, b store.Key) int { return a.Created.Compare(b.Created) }) {
		t.Error("keys are not ordered by creation")
	}
	change := since(t, ctx, db, cursor, 1)[0]
	same(t, "keys of the change", byID(change.Keys), byID(ring))
	same(t, "cut-offs of the change", len(change.Cutoffs), 0)
}

func keysConflict(t *testing.T, db Store) {
	ctx := testContext(t)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	cursor := position(t, ctx, db)
	for _, key := range newRing() {
		key.Number += 10
		more := newKey(store.UseSign, "EdDSA", key.State, 0)
		err := addKeys(ctx, db, []store.Key{more, key})
		wantError(t, fmt.Sprintf("second %s %s", key.State, key.Alg), err, store.ErrConflict)
	}
	wantKeys(t, ctx, db, ring)
	since(t, ctx, db, cursor, 0)
	other := []store.Key{newKey(store.UseSign, "EdDSA", store.KeyActive, 0), newKey(store.UseSign, "EdDSA", store.KeyNext, 0)}
	must(t, addKeys(ctx, db, other))
	wantKeys(t, ctx, db, slices.Concat(ring, other))
}

func keysConflictInBatch(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	ring := append(newRing(), newKey(store.UseSign, "ES256", store.KeyNext, 0))
	wantError(t, "two next keys in one batch", addKeys(ctx, db, ring), store.ErrConflict)
	wantKeys(t, ctx, db, nil)
	since(t, ctx, db, cursor, 0)
}

func keysOlderStates(t *testing.T, db Store) {
	ctx := testContext(t)
	var all []store.Key
	for i, state := range []string{store.KeyRetiring, store.KeyRetiring, store.KeyRetired, store.KeyRetired} {
		all = append(all, newKey(store.UseMAC, store.AlgMAC, state, i+1))
	}
	must(t, addKeys(ctx, db, all[:2]))
	must(t, addKeys(ctx, db, all[2:]))
	wantKeys(t, ctx, db, all)
}

func keysAddRace(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	var winner atomic.Pointer[[]store.Key]
	race(16, func(int) {
		ring := newRing()
		err := addKeys(ctx, db, ring)
		if err != nil {
			wantError(t, "another ring was first", err, store.ErrConflict)
		} else if !winner.CompareAndSwap(nil, &ring) {
			t.Error("two rings were added")
		}
	})
	if winner.Load() == nil {
		t.Fatal("no ring was added")
	}
	wantKeys(t, ctx, db, *winner.Load())
	same(t, "keys of the change", byID(since(t, ctx, db, cursor, 1)[0].Keys), byID(*winner.Load()))
}

func keysSeal(t *testing.T, db Store) {
	ctx := testContext(t)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	cursor := position(t, ctx, db)
	must(t, sealKey(ctx, db, ring[1].ID, "second", []byte{0, 1, 2}))
	ring[1] = ring[1].Clone()
	ring[1].Seals["second"] = []byte{0, 1, 2}
	wantKeys(t, ctx, db, ring)
	same(t, "keys of the change", since(t, ctx, db, cursor, 1)[0].Keys, ring[1:2])
}

func keysSealRace(t *testing.T, db Store) {
	ctx := testContext(t)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	follower := load(t, ctx, db)
	want := ring[0].Clone()
	for i := range 16 {
		want.Seals[fmt.Sprint("secret", i)] = []byte{byte(i)}
	}
	race(16, func(i int) {
		if err := sealKey(ctx, db, ring[0].ID, fmt.Sprint("secret", i), []byte{byte(i)}); err != nil {
			t.Errorf("seal: %v", err)
		}
	})
	wantKeys(t, ctx, db, slices.Concat([]store.Key{want}, ring[1:]))
	for follower.follow(t, ctx, db) > 0 {
	}
	same(t, "key as followed", follower.Keys[want.ID], want)
}

// rotated is the ring after a rotation of use: its next key active, its active key retiring, and a new one next.
func rotated(all []store.Key, use string) []store.Key {
	var changed []store.Key
	for _, key := range all {
		switch {
		case key.Use == use && key.State == store.KeyNext:
			fresh := newKey(use, key.Alg, store.KeyNext, key.Number+1)
			key.State, key.Since = store.KeyActive, now().UTC().Truncate(time.Millisecond)
			changed = append(changed, fresh, key)
		case key.Use == use && key.State == store.KeyActive:
			key.State, key.Until = store.KeyRetiring, now().UTC().Truncate(time.Millisecond).Add(time.Hour)
			changed = append(changed, key)
		}
	}
	return changed
}

func keysRotate(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, addKeys(ctx, db, newRing()))
	follower := load(t, ctx, db)
	// In whatever order the keys are told: of none there may be two on the way.
	for _, order := range []func([]store.Key){func([]store.Key) {}, slices.Reverse[[]store.Key]} {
		cursor := position(t, ctx, db)
		var told []store.Key
		must(t, db.ChangeKeys(ctx, actor, "keys.rotate", func(all []store.Key) ([]store.Key, error) {
			told = rotated(all, store.UseMAC)
			order(told)
			return told, nil
		}))
		same(t, "keys of the change", since(t, ctx, db, cursor, 1)[0].Keys, told)
		newest(t, ctx, db, "keys.rotate", "ring")
	}
	all, err := db.Keys(ctx)
	must(t, err)
	same(t, "keys", len(all), 6)
	for follower.follow(t, ctx, db) > 0 {
	}
	wantState(t, "follower", follower, load(t, ctx, db))
}

func keysChangeRace(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, addKeys(ctx, db, newRing()))
	follower := load(t, ctx, db)
	race(16, func(i int) {
		use := []string{store.UseMAC, store.UseSign}[i%2]
		err := db.ChangeKeys(ctx, actor, "keys.rotate", func(all []store.Key) ([]store.Key, error) { return rotated(all, use), nil })
		if err != nil {
			t.Errorf("rotate: %v", err)
		}
	})
	all, err := db.Keys(ctx)
	must(t, err)
	same(t, "keys after 16 rotations", len(all), 4+16)
	for follower.follow(t, ctx, db) > 0 {
	}
	wantState(t, "follower", follower, load(t, ctx, db))
}

func keysChangeError(t *testing.T, db Store) {
	ctx := testContext(t)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	cursor := position(t, ctx, db)
	mine := errors.New("mine")
	err := db.ChangeKeys(ctx, actor, "keys.rotate", func(all []store.Key) ([]store.Key, error) { return rotated(all, store.UseMAC), mine })
	if err != mine { //nolint:errorlint // not wrapped: as it is
		t.Errorf("got error %v, want the error of change as it is", err)
	}
	wantKeys(t, ctx, db, ring)
	since(t, ctx, db, cursor, 0)
}

func keysUnchanged(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, addKeys(ctx, db, newRing()))
	cursor := position(t, ctx, db)
	rows := len(audits(t, ctx, db, 100))
	must(t, db.ChangeKeys(ctx, actor, "keys.rotate", func([]store.Key) ([]store.Key, error) { return nil, nil }))
	since(t, ctx, db, cursor, 0)
	same(t, "rows of audit", len(audits(t, ctx, db, 100)), rows)
}

func keysReset(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, addKeys(ctx, db, newRing()))
	follower := load(t, ctx, db)
	cursor := follower.Cursor
	ring := newRing()
	must(t, db.ResetKeys(ctx, actor, ring))
	wantKeys(t, ctx, db, ring)
	change := since(t, ctx, db, cursor, 1)[0]
	if len(change.Cutoffs) != 1 || change.Cutoffs[0].Kind != store.CutAll || change.Cutoffs[0].Number != change.Seq {
		t.Errorf("change %d has cut-offs %+v", change.Seq, change.Cutoffs)
	}
	follower.follow(t, ctx, db)
	same(t, "keys of a follower", len(follower.Keys), len(ring)) // the old ones were told as retired
	wantState(t, "follower", follower, load(t, ctx, db))
}

func keysResetRace(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, addKeys(ctx, db, newRing()))
	follower := load(t, ctx, db)
	race(8, func(int) {
		if err := db.ResetKeys(ctx, actor, newRing()); err != nil {
			t.Errorf("reset: %v", err)
		}
	})
	for follower.follow(t, ctx, db) > 0 {
	}
	same(t, "keys", len(follower.Keys), 4)
	wantState(t, "follower", follower, load(t, ctx, db))
}
