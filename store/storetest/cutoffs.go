package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) cutoffs(t *testing.T) {
	s.rule(t, "NumberIsItsOwnPlaceInTheFeed", cutoffsNumber)
	s.rule(t, "NumberIsAheadOfAnyOlderHistory", cutoffsAhead)
	s.rule(t, "KindsAndNamesAreApart", cutoffsKinds)
	s.rule(t, "LaterReplacesEarlier", cutoffsLater)
	s.rule(t, "ConcurrentCutoffsHaveNumbersOfTheirOwn", cutoffsRace)
}

func (s suite) rewrite(t *testing.T) {
	s.rule(t, "NumbersMovePastTheLost", rewriteNumbers)
	s.rule(t, "NumbersNeverMoveBack", rewriteNotBack)
	s.rule(t, "DenialsComeBack", rewriteDenials)
	s.rule(t, "CutoffsKeepTheirNumbers", rewriteCutoffs)
	s.rule(t, "OlderFollowersSeeIt", rewriteFollowers)
	s.rule(t, "ByAllReplicasAtOnce", rewriteRace)
}

func cutoffsNumber(t *testing.T, db Store) {
	ctx := testContext(t)
	for _, kind := range []store.CutoffKind{store.CutAll, store.CutClient, store.CutSubject} {
		name := "someone"
		if kind == store.CutAll {
			name = ""
		}
		cursor := position(t, ctx, db)
		got, err := db.CutOff(ctx, actor, kind, name)
		must(t, err)
		if got.Number <= cursor.Seq {
			t.Errorf("%s: number %d is not past the position %d seen before", kind, got.Number, cursor.Seq)
		}
		if got.Kind != kind || got.Name != name || got.Actor != actor.String() || got.At == 0 {
			t.Errorf("got cut-off %+v", got)
		}
		change := since(t, ctx, db, cursor, 1)[0]
		same(t, "number of the change", change.Seq, got.Number)
		same(t, "cut-offs of the change", change.Cutoffs, []store.Cutoff{got})
	}
}

// A history that was lost drew its numbers before now: what is drawn now is above them.
func cutoffsAhead(t *testing.T, db Store) {
	before := time.Now().Add(-time.Second).UnixMilli() // the store's clock and ours may differ a little
	got, err := db.CutOff(testContext(t), actor, store.CutAll, "")
	must(t, err)
	if int64(got.Number) < before {
		t.Errorf("number %d is below %d, the milliseconds of a second ago", got.Number, before)
	}
}

func cutoffsKinds(t *testing.T, db Store) {
	ctx := testContext(t)
	var want []string
	for _, kind := range []store.CutoffKind{store.CutClient, store.CutSubject} {
		for _, name := range []string{"a", "A", "ä", "a b"} {
			made, err := db.CutOff(ctx, actor, kind, name)
			must(t, err)
			want = append(want, fmt.Sprint(made))
		}
	}
	all, err := db.Cutoffs(ctx)
	must(t, err)
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprint(c))
	}
	slices.Sort(got)
	slices.Sort(want)
	same(t, "cut-offs", got, want)
	same(t, "cut-offs of Load", len(load(t, ctx, db).Cutoffs), len(want))
}

func cutoffsLater(t *testing.T, db Store) {
	ctx := testContext(t)
	first := cut(t, ctx, db, "bob")
	second := cut(t, ctx, db, "bob")
	if second.Number <= first.Number {
		t.Errorf("the later cut-off has number %d, the earlier %d", second.Number, first.Number)
	}
	all, err := db.Cutoffs(ctx)
	must(t, err)
	same(t, "cut-offs", all, []store.Cutoff{second})
	same(t, "cut-off of Load", load(t, ctx, db).Cutoffs["subject bob"], second)
}

func cutoffsRace(t *testing.T, db Store) {
	ctx := testContext(t)
	numbers := make([]store.Position, 32)
	race(len(numbers), func(i int) {
		made, err := db.CutOff(ctx, actor, store.CutSubject, "bob")
		if err != nil {
			t.Errorf("cut off: %v", err)
		}
		numbers[i] = made.Number
	})
	slices.Sort(numbers)
	if len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
		t.Errorf("two cut-offs have one number: %v", numbers)
	}
	same(t, "the cut-off that stays", load(t, ctx, db).Cutoffs["subject bob"].Number, slices.Max(numbers))
}

func rewriteNumbers(t *testing.T, db Store) {
	ctx := testContext(t)
	lost := position(t, ctx, db).Seq + 5000
	must(t, db.Rewrite(ctx, actor, lost, nil, nil))
	if made := cut(t, ctx, db, "bob"); made.Number <= lost {
		t.Errorf("the next cut-off has number %d, want more than %d", made.Number, lost)
	}
}

func rewriteNotBack(t *testing.T, db Store) {
	ctx := testContext(t)
	var last store.Cutoff
	for range 5 {
		last = cut(t, ctx, db, "bob")
	}
	must(t, db.Rewrite(ctx, actor, 1, newDenials(1), nil))
	if made := cut(t, ctx, db, "bob"); made.Number <= last.Number {
		t.Errorf("after a rewrite the number fell from %d to %d", last.Number, made.Number)
	}
}

func rewriteDenials(t *testing.T, db Store) {
	ctx := testContext(t)
	lost := newDenials(2*store.MaxDenials + 10)
	cursor := position(t, ctx, db)
	must(t, db.Deny(ctx, []store.Denial{lost[7]})) // this one was not lost
	must(t, db.Rewrite(ctx, actor, cursor.Seq+100, slices.Clone(lost), nil))
	got := denied(t, db, lost[0])
	same(t, "expiry and actor", []any{got.Expires, got.Actor}, []any{lost[0].Expires, lost[0].Actor})
	same(t, "denials of Load", len(load(t, ctx, db).Denials), len(lost))
	changes, _ := drain(t, ctx, db, cursor)
	var told []store.Denial
	for _, c := range changes {
		if len(c.Denials) > store.MaxDenials {
			t.Errorf("a change has %d denials", len(c.Denials))
		}
		told = append(told, c.Denials...)
	}
	same(t, "denials told", slices.Compact(things(told)), things(lost))
}

func rewriteCutoffs(t *testing.T, db Store) {
	ctx := testContext(t)
	kept := cut(t, ctx, db, "kept")
	raised := cut(t, ctx, db, "raised")
	lost := raised.Number + 1000
	back := []store.Cutoff{
		{Kind: store.CutSubject, Name: "kept", Number: kept.Number - 1, Actor: "cli:lost", At: 5},
		{Kind: store.CutSubject, Name: "raised", Number: lost - 1, Actor: "cli:lost", At: 6},
		{Kind: store.CutAll, Number: lost, Actor: "cli:lost", At: 7},
	}
	must(t, db.Rewrite(ctx, actor, lost, nil, slices.Clone(back)))
	got := load(t, ctx, db).Cutoffs
	same(t, "the higher that was there", got["subject kept"], kept)
	same(t, "the higher that was given", got["subject raised"], back[1])
	same(t, "the one that was lost", got["all "], back[2])
	all, err := db.Cutoffs(ctx)
	must(t, err)
	same(t, "number of cut-offs", len(all), 3)
}

func rewriteFollowers(t *testing.T, db Store) {
	ctx := testContext(t)
	follower := load(t, ctx, db)
	cut(t, ctx, db, "bob")
	lost := follower.Cursor.Seq + 1000
	off := store.Cutoff{Kind: store.CutClient, Name: "web", Number: lost, Actor: "cli:lost", At: 5}
	back := newDenials(3)
	must(t, db.Rewrite(ctx, actor, lost, slices.Clone(back), []store.Cutoff{off}))
	for follower.follow(t, ctx, db) > 0 {
	}
	if follower.Cursor.Seq <= lost {
		t.Errorf("the follower stands at %d, want it past %d", follower.Cursor.Seq, lost)
	}
	same(t, "cut-off", follower.Cutoffs["client web"], off)
	for _, d := range back {
		same(t, "denial", follower.Denials[thing(d)].Expires, d.Expires)
	}
	wantState(t, "follower", follower, load(t, ctx, db))
}

func rewriteRace(t *testing.T, db Store) {
	ctx := testContext(t)
	follower := load(t, ctx, db)
	lost := follower.Cursor.Seq + 1000
	back := newDenials(50)
	race(8, func(i int) {
		off := store.Cutoff{Kind: store.CutAll, Number: lost - store.Position(i), Actor: "cli:lost", At: 5}
		mine := slices.Concat(back[i:], back[:i])
		if err := db.Rewrite(ctx, actor, lost-store.Position(i), mine, []store.Cutoff{off}); err != nil {
			t.Errorf("rewrite: %v", err)
		}
	})
	for follower.follow(t, ctx, db) > 0 {
	}
	same(t, "cut-off", follower.Cutoffs["all "].Number, lost)
	same(t, "denials", len(follower.Denials), len(back))
	wantState(t, "follower", follower, load(t, ctx, db))
}
