package storetest

import (
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) rotations(t *testing.T) {
	s.rule(t, "NewestIsRotated_RFC6749_6", rotatesNewest)
	s.rule(t, "RepeatedWithinGrace", rotatesGrace)
	s.rule(t, "OlderEndsTheFamily_RFC9700_4_14_2", rotatesReuse)
	s.rule(t, "GraceZeroIsReuse", rotatesNoGrace)
	s.rule(t, "StaticStays", rotatesStatic)
	s.rule(t, "NewerThanTheRowIsAccepted", rotatesLostHistory)
	s.rule(t, "OthersAndTheDeadAreRefused", rotatesRefused)
	s.rule(t, "ManyInOneBatch", rotatesMany)
	s.rule(t, "RetriesInOneBatch", rotatesTwins)
	s.rule(t, "RetriesAtOnceHaveOneLineage", rotatesRace)
	s.rule(t, "WithoutGraceOneOfMany", rotatesRaceNoGrace)
	s.rule(t, "BatchesInAnyOrder", rotatesOrders)
	s.rule(t, "NothingSurvivesARevocation", rotatesRevokeRace)
}

const grace = time.Hour

// turn is a rotation of g by the token of its generation.
func turn(g store.Grant) store.Rotation {
	return store.Rotation{Grant: g.ID, Client: g.Client, Generation: g.Generation, Key: 7, Grace: grace}
}

// rotateAll does rotations in one batch, and checks that each has one outcome.
func rotateAll(t testing.TB, db Store, all ...store.Rotation) []store.Rotated {
	t.Helper()
	got, told := make([]store.Rotated, len(all)), make([]int, len(all))
	if err := db.RotateGrants(testContext(t), all, func(i int, r store.Rotated) { got[i] = r; told[i]++ }); err != nil {
		t.Errorf("rotate: %v", err)
	}
	for i, n := range told {
		if n != 1 {
			t.Errorf("rotation %d was told %d outcomes", i, n)
		}
	}
	return got
}

// wantOutcome checks an outcome, and that it tells the row as it is.
func wantOutcome(t testing.TB, db Store, what string, got store.Rotated, outcome int, generation uint32) {
	t.Helper()
	same(t, what+": outcome, generation", []any{got.Outcome, got.Grant.Generation}, []any{outcome, generation})
	wantGrant(t, db, got.Grant)
}

func rotatesNewest(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	got := rotateAll(t, db, turn(g))[0]
	wantOutcome(t, db, "the newest", got, store.RotationDone, 2)
	if got.Grant.Rotated.Before(g.Rotated) || got.Grant.Used.Second() != 0 {
		t.Errorf("rotated %v, used %v", got.Grant.Rotated, got.Grant.Used)
	}
	g.Generation, g.Key, g.Rotated, g.Used = 2, 7, got.Grant.Rotated, got.Grant.Used
	same(t, "all else", got.Grant, g)
}

func rotatesGrace(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	first := rotateAll(t, db, turn(g))[0]
	again := turn(g)
	again.Key = 9
	got := rotateAll(t, db, again)[0]
	wantOutcome(t, db, "a retry", got, store.RotationRepeated, 2)
	same(t, "the row", got.Grant, first.Grant) // of the key that made the token
}

func rotatesReuse(t *testing.T, db Store) {
	ctx := testContext(t)
	g := makeGrant(t, db, newCode(newID()))
	second := rotateAll(t, db, turn(g))[0].Grant
	rotateAll(t, db, turn(second))
	cursor := position(t, ctx, db)
	got := rotateAll(t, db, turn(g))[0]
	wantOutcome(t, db, "a token two generations old", got, store.RotationReused, 3)
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], store.RefreshReuse("web"), g.ID)
	same(t, "object of the audit", audits(t, ctx, db, 1)[0].Object, "grant "+g.ID.String())
	got = rotateAll(t, db, turn(got.Grant))[0]
	same(t, "the newest then", got, store.Rotated{})
}

func rotatesNoGrace(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	r := turn(g)
	r.Grace = 0
	wantOutcome(t, db, "the first", rotateAll(t, db, r)[0], store.RotationDone, 2)
	wantOutcome(t, db, "the second", rotateAll(t, db, r)[0], store.RotationReused, 2)
}

func rotatesStatic(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	r := turn(g)
	r.Static = true
	for range 2 {
		got := rotateAll(t, db, r)[0]
		wantOutcome(t, db, "static", got, store.RotationRepeated, 1)
		same(t, "the row", got.Grant, g)
	}
}

func rotatesLostHistory(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	r := turn(g)
	r.Generation = 5
	wantOutcome(t, db, "newer than the row", rotateAll(t, db, r)[0], store.RotationDone, 6)
}

func rotatesRefused(t *testing.T, db Store) {
	expired := newCode(newID())
	expired.Grant.Expires = time.Unix(inHours(-1), 0).UTC()
	g, dead, revoked := makeGrant(t, db, newCode(newID())), makeGrant(t, db, expired), makeGrant(t, db, newCode(newID()))
	_, err := db.RevokeGrants(testContext(t), actor, store.GrantQuery{ID: revoked.ID})
	must(t, err)
	foreign, old, unknown := turn(g), turn(g), turn(g)
	foreign.Client, old.Client, old.Generation, unknown.Grant = "other", "other", 0, newID()
	for i, got := range rotateAll(t, db, foreign, old, unknown, turn(dead), turn(revoked)) {
		if got.Outcome != store.RotationRefused {
			t.Errorf("rotation %d: got %+v, want it refused", i, got)
		}
	}
	wantGrant(t, db, g)
}

func rotatesMany(t *testing.T, db Store) {
	var all []store.Rotation
	for range 64 {
		all = append(all, turn(makeGrant(t, db, newCode(newID()))))
	}
	for i, got := range rotateAll(t, db, all...) {
		same(t, "grant", got.Grant.ID, all[i].Grant)
		wantOutcome(t, db, "one of many", got, store.RotationDone, 2)
	}
}

func rotatesTwins(t *testing.T, db Store) {
	g, other := makeGrant(t, db, newCode(newID())), makeGrant(t, db, newCode(newID()))
	got := rotateAll(t, db, turn(g), turn(other), turn(g), turn(g))
	wantOutcome(t, db, "first", got[0], store.RotationDone, 2)
	wantOutcome(t, db, "another grant", got[1], store.RotationDone, 2)
	same(t, "the retries", []store.Rotated{got[2], got[3]}, []store.Rotated{
		{Outcome: store.RotationRepeated, Grant: got[0].Grant}, {Outcome: store.RotationRepeated, Grant: got[0].Grant},
	})
	r := turn(got[0].Grant)
	r.Grace = 0
	got = rotateAll(t, db, r, r)
	same(t, "outcomes without grace", []int{got[0].Outcome, got[1].Outcome}, []int{store.RotationDone, store.RotationReused})
}

func rotatesRace(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	done := make([]bool, 64)
	race(len(done), func(i int) {
		got := rotateAll(t, db, turn(g))[0]
		done[i] = got.Outcome == store.RotationDone
		if got.Outcome != store.RotationDone && got.Outcome != store.RotationRepeated || got.Grant.Generation != 2 {
			t.Errorf("a retry: %+v", got)
		}
	})
	same(t, "successors", count(done), 1)
}

func rotatesRaceNoGrace(t *testing.T, db Store) {
	g := makeGrant(t, db, newCode(newID()))
	done := make([]bool, 64)
	race(len(done), func(i int) {
		r := turn(g)
		r.Grace = 0
		done[i] = rotateAll(t, db, r)[0].Outcome == store.RotationDone
	})
	same(t, "successes", count(done), 1)
	got, err := db.Grant(testContext(t), g.ID)
	must(t, err)
	same(t, "the family is dead", got.Revoked, true)
}

// Batches that share grants, each in an order of its own, do not lock each other out.
func rotatesOrders(t *testing.T, db Store) {
	var all []store.Rotation
	for range 20 {
		all = append(all, turn(makeGrant(t, db, newCode(newID()))))
	}
	race(20, func(i int) {
		mine := append(append([]store.Rotation(nil), all[i:]...), all[:i]...)
		for _, got := range rotateAll(t, db, mine...) {
			same(t, "generation", got.Grant.Generation, 2)
		}
	})
}

func rotatesRevokeRace(t *testing.T, db Store) {
	user := newID()
	var all []store.Grant
	for range 32 {
		all = append(all, makeGrant(t, db, newCode(user)))
	}
	race(33, func(i int) {
		if i == 32 {
			if _, err := db.RevokeGrants(testContext(t), actor, store.GrantQuery{Subject: user.String()}); err != nil {
				t.Errorf("revoke: %v", err)
			}
			return
		}
		for g := all[i]; ; {
			got := rotateAll(t, db, turn(g))[0]
			if got.Outcome != store.RotationDone {
				same(t, "outcome once revoked", got.Outcome, store.RotationRefused)
				return
			}
			g = got.Grant
		}
	})
	for _, g := range all {
		got, err := db.Grant(testContext(t), g.ID)
		must(t, err)
		same(t, "revoked", got.Revoked, true)
		denied(t, db, store.Denial{Kind: store.DenyGrant, ID: g.ID})
	}
}
