package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"oauth2-server/store"
)

func (s suite) feed(t *testing.T) {
	s.rule(t, "EmptyStoreHasACursor", feedEmpty)
	s.rule(t, "AcknowledgedIsInTheNextPoll", feedReadYourWrites)
	s.rule(t, "EveryChangeHasItsCursor", feedEveryCursor)
	s.rule(t, "WrongTagIsNotFound", feedWrongTag)
	s.rule(t, "UnknownNumberIsNotFound", feedUnknownNumber)
	s.rule(t, "TagsDifferBetweenStores", s.feedTagsDiffer)
	s.rule(t, "ErrorOfApplyIsReturned", feedApplyError)
	s.rule(t, "LoadTellsAll", feedLoadTellsAll)
	s.rule(t, "MaintainKeepsRecentChanges", feedMaintain)
	s.rule(t, "ClockDoesNotStepBack", feedClock)
}

func (s suite) feedRaces(t *testing.T) {
	s.rule(t, "PagesOfAThousand", feedPages)
	s.rule(t, "FollowersSeeEachChangeOnceInOrder", feedFollowers)
	s.rule(t, "LoadAndPollMakeALaterLoad", feedLoadAndPoll)
}

// cut cuts off subject name.
func cut(t testing.TB, ctx context.Context, db Store, name string) store.Cutoff {
	t.Helper()
	c, err := db.CutOff(ctx, actor, store.CutSubject, name)
	must(t, err)
	return c
}

func ignore(*store.Change) error { return nil }

func feedEmpty(t *testing.T, db Store) {
	ctx := testContext(t)
	s := load(t, ctx, db)
	if len(s.Clients)+len(s.Keys)+len(s.Denials)+len(s.Cutoffs) != 0 {
		t.Errorf("an empty store holds %+v", s)
	}
	before := s.Cursor
	if n := s.follow(t, ctx, db); n != 0 || s.Cursor != before {
		t.Errorf("polling an empty store: %d changes, cursor %v, want %v", n, s.Cursor, before)
	}
}

func feedReadYourWrites(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	for i := range 20 {
		made := cut(t, ctx, db, fmt.Sprint("subject", i))
		change := since(t, ctx, db, cursor, 1)[0]
		same(t, "the change", change.Cutoffs, []store.Cutoff{made})
		_, cursor = drain(t, ctx, db, cursor)
	}
}

func feedEveryCursor(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	cursors := []store.Cursor{cursor}
	for i := range 10 {
		cut(t, ctx, db, fmt.Sprint("subject", i))
		_, cursor = drain(t, ctx, db, cursor)
		cursors = append(cursors, cursor)
	}
	tags := map[int64]bool{}
	for i, from := range cursors {
		since(t, ctx, db, from, 10-i)
		tags[from.Tag] = true
	}
	same(t, "different tags", len(tags), len(cursors))
	same(t, "cursor of Load", position(t, ctx, db), cursor)
}

func feedWrongTag(t *testing.T, db Store) {
	ctx := testContext(t)
	genesis := position(t, ctx, db)
	cut(t, ctx, db, "a")
	cut(t, ctx, db, "b")
	_, newest := drain(t, ctx, db, genesis)
	for _, cursor := range []store.Cursor{genesis, newest} {
		for _, tag := range []int64{cursor.Tag + 1, -cursor.Tag, 0} {
			_, err := db.Poll(ctx, store.Cursor{Seq: cursor.Seq, Tag: tag}, func(*store.Change) error {
				t.Error("a change was handed out after a wrong tag")
				return nil
			})
			wantError(t, fmt.Sprintf("number %d with a wrong tag", cursor.Seq), err, store.ErrNotFound)
		}
	}
}

func feedUnknownNumber(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	cut(t, ctx, db, "a")
	for _, seq := range []store.Position{-1, cursor.Seq - 1, cursor.Seq + 1000, 1 << 60} {
		_, err := db.Poll(ctx, store.Cursor{Seq: seq, Tag: cursor.Tag}, ignore)
		wantError(t, fmt.Sprintf("unknown number %d", seq), err, store.ErrNotFound)
	}
}

func (s suite) feedTagsDiffer(t *testing.T, db Store) {
	ctx := testContext(t)
	other := s.open(t)
	for _, what := range []string{"first", "second"} {
		_, err := other.Poll(ctx, position(t, ctx, db), ignore)
		wantError(t, "the "+what+" cursor of another store", err, store.ErrNotFound)
		cut(t, ctx, db, "a")
		cut(t, ctx, other, "a")
	}
}

func feedApplyError(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	cut(t, ctx, db, "a")
	mine := errors.New("mine")
	fail := func(*store.Change) error { return mine }
	if _, err := db.Poll(ctx, cursor, fail); !errors.Is(err, mine) {
		t.Errorf("poll: got %v, want the error of apply", err)
	}
	if _, err := db.Load(ctx, fail); !errors.Is(err, mine) {
		t.Errorf("load: got %v, want the error of apply", err)
	}
	since(t, ctx, db, cursor, 1)
}

func feedLoadTellsAll(t *testing.T, db Store) {
	ctx := testContext(t)
	followed := load(t, ctx, db)
	client, err := db.CreateClient(ctx, actor, newClient("web"))
	must(t, err)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	dead := newDenial(1)
	must(t, db.Deny(ctx, []store.Denial{dead}))
	off := cut(t, ctx, db, "bob")
	loaded := load(t, ctx, db)
	same(t, "client", loaded.Clients["web"], client)
	same(t, "client's secrets", loaded.Clients["web"].Secrets, newClient("web").Secrets)
	same(t, "keys", len(loaded.Keys), len(ring))
	for _, key := range ring {
		same(t, "key", loaded.Keys[key.ID], key)
	}
	same(t, "denial", loaded.Denials[thing(dead)].Expires, dead.Expires)
	same(t, "cut-off", loaded.Cutoffs["subject bob"], off)
	for followed.follow(t, ctx, db) > 0 {
	}
	wantState(t, "followed", followed, loaded)
}

func feedMaintain(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	for i := range 10 {
		cut(t, ctx, db, fmt.Sprint("subject", i))
	}
	must(t, db.Maintain(ctx))
	since(t, ctx, db, cursor, 10)
}

func feedClock(t *testing.T, db Store) {
	ctx := testContext(t)
	first, err := db.Load(ctx, ignore)
	must(t, err)
	second, err := db.Poll(ctx, first.Cursor, ignore)
	must(t, err)
	if first.Now.IsZero() || second.Now.Before(first.Now) {
		t.Errorf("load was at %v, the poll after it at %v", first.Now, second.Now)
	}
}

func feedPages(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	const writers, each = 16, 70
	race(writers, func(i int) {
		for j := range each {
			cut(t, ctx, db, fmt.Sprint(i, "-", j))
		}
	})
	n := 0
	beat, err := db.Poll(ctx, cursor, func(*store.Change) error { n++; return nil })
	must(t, err)
	if n != pageChanges {
		t.Errorf("first page: got %d changes, want %d", n, pageChanges)
	}
	since(t, ctx, db, beat.Cursor, writers*each-pageChanges)
	since(t, ctx, db, cursor, writers*each)
}

// mutate makes one change; which of several, the step decides.
func mutate(t testing.TB, ctx context.Context, db Store, worker, step int) {
	name := fmt.Sprintf("%d-%d", worker, step)
	var err error
	switch step % 4 {
	case 0:
		_, err = db.CutOff(ctx, actor, store.CutSubject, name)
	case 1:
		_, err = db.CreateClient(ctx, actor, newClient(name))
	case 2:
		previous := fmt.Sprintf("%d-%d", worker, step-1)
		_, err = db.UpdateClient(ctx, actor, previous, func(c *store.Client) error { c.Name = "changed"; return nil })
	case 3:
		err = db.Deny(ctx, []store.Denial{newDenial(1)})
	}
	if err != nil {
		t.Errorf("step %s: %v", name, err)
	}
}

func feedFollowers(t *testing.T, db Store) {
	const mutators, steps, followers = 16, 24, 4
	ctx := testContext(t)
	start := position(t, ctx, db)
	var working atomic.Int32
	working.Store(mutators)
	seen := make([][]store.Position, followers)
	race(mutators+followers, func(i int) {
		if i < mutators {
			defer working.Add(-1)
			for step := range steps {
				mutate(t, ctx, db, i, step)
			}
			return
		}
		seen[i-mutators] = followUntilIdle(t, ctx, db, start, &working)
	})
	changes := since(t, ctx, db, start, mutators*steps)
	want := make([]store.Position, len(changes))
	for i, c := range changes {
		want[i] = c.Seq
	}
	for i, got := range seen {
		if !slices.Equal(got, want) {
			t.Errorf("follower %d saw %d changes, or in another order; want %d", i, len(got), len(want))
		}
	}
	wantVersionsInOrder(t, changes)
}

// followUntilIdle polls until nobody works any more and nothing is left.
func followUntilIdle(t testing.TB, ctx context.Context, db Store, from store.Cursor, working *atomic.Int32) []store.Position {
	var seen []store.Position
	for {
		idle := working.Load() == 0
		changes, cursor := drain(t, ctx, db, from)
		for _, c := range changes {
			seen = append(seen, c.Seq)
		}
		from = cursor
		if idle {
			return seen
		}
	}
}

// wantVersionsInOrder checks that the versions of each client follow each other.
func wantVersionsInOrder(t testing.TB, changes []store.Change) {
	t.Helper()
	last := map[string]int64{}
	for _, c := range changes {
		if c.Client == nil {
			continue
		}
		if c.Client.Version != last[c.Client.ID]+1 {
			t.Errorf("client %s: version %d stands after version %d", c.Client.ID, c.Client.Version, last[c.Client.ID])
		}
		last[c.Client.ID] = c.Client.Version
	}
}

func feedLoadAndPoll(t *testing.T, db Store) {
	const mutators, steps, loaders = 8, 20, 4
	ctx := testContext(t)
	var working atomic.Int32
	working.Store(mutators)
	states := make([][]*state, loaders)
	race(mutators+loaders, func(i int) {
		if i < mutators {
			defer working.Add(-1)
			for step := range steps {
				mutate(t, ctx, db, i, step)
			}
			return
		}
		for {
			idle := working.Load() == 0
			s := load(t, ctx, db)
			s.follow(t, ctx, db)
			states[i-mutators] = append(states[i-mutators], s)
			if idle {
				return
			}
		}
	})
	final := load(t, ctx, db)
	for _, some := range states {
		for _, s := range sample(some, 20) {
			for s.follow(t, ctx, db) > 0 {
			}
			wantState(t, "state loaded while others changed it", s, final)
		}
	}
}

// sample picks at most n, spread over all.
func sample(all []*state, n int) []*state {
	if len(all) <= n {
		return all
	}
	picked := make([]*state, n)
	for i := range picked {
		picked[i] = all[i*len(all)/n]
	}
	return picked
}
