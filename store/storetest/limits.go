package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) limits(t *testing.T) {
	s.rule(t, "FirstStartHasDefaults", limitsDefaults)
	s.rule(t, "StoredAsGivenAndFollowed", limitsStored)
	s.rule(t, "ChangeMakesTheNextVersion", limitsNext)
	s.rule(t, "ChangeCannotAlterWhatTheStoreSets", limitsStoreSets)
	s.rule(t, "ErrorOfChangeIsReturnedAndNothingDone", limitsError)
	s.rule(t, "NilDeletesAndTheNameGoesOnFromItsVersion", limitsDelete)
	s.rule(t, "SinceMovesWithWhatDecides", limitsSince)
	s.rule(t, "NothingOfNothingIsNotFound", limitsNothing)
	s.rule(t, "Audited", limitsAudited)
}

func (s suite) limitRaces(t *testing.T) {
	s.rule(t, "VersionsFollowEachOther", limitsVersionRace)
	s.rule(t, "CreatorsSeeEachOther", limitsCreateRace)
	s.rule(t, "OneOfManyDeletes", limitsDeleteRace)
}

// newLimit is a limit with something in every field the store keeps.
func newLimit(name string) store.Limit {
	quota := store.Quota{Rate: 500, Period: store.Period(time.Second), Burst: 1000}
	tight := store.Quota{Rate: 5, Period: store.Period(15 * time.Minute), Burst: 1}
	return store.Limit{
		Name: name, Endpoint: "introspect", Key: store.LimitByClientIP, Quota: quota, Mode: store.LimitEnforce, Trial: &tight,
		Overrides: map[string]store.Override{"größe\"\\@10.0.0.1": {Quota: &tight}, "gate@::1": {Mode: store.OverrideExempt}},
		Guard:     &store.Guard{MaxNewRefusedKeys: 50, Within: store.Period(5 * time.Minute)},
	}
}

// putLimit makes limit what the limit of its name is.
func putLimit(ctx context.Context, db Store, limit store.Limit) (store.Limit, error) {
	return db.ChangeLimit(ctx, actor, "limit.put", limit.Name, func(*store.Limit) (*store.Limit, error) { return &limit, nil })
}

// raise changes the limit of the name by one.
func raise(t testing.TB, ctx context.Context, db Store, name string) store.Limit {
	t.Helper()
	limit, err := db.ChangeLimit(ctx, actor, "limit.update", name, func(old *store.Limit) (*store.Limit, error) {
		old.Rate++
		return old, nil
	})
	must(t, err)
	return limit
}

// limitNamed finds the limit of the name among all; nil when there is none.
func limitNamed(t testing.TB, ctx context.Context, db Store, name string) *store.Limit {
	t.Helper()
	all, err := db.Limits(ctx)
	must(t, err)
	if !slices.IsSortedFunc(all, func(a, b store.Limit) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) }) {
		t.Error("limits are not ordered by name")
	}
	if i := slices.IndexFunc(all, func(l store.Limit) bool { return l.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func limitsDefaults(t *testing.T, db Store) {
	ctx := testContext(t)
	all, err := db.Limits(ctx)
	must(t, err)
	var got []string
	for _, l := range all {
		got = append(got, fmt.Sprint(l.Name, " ", l.Endpoint, " ", l.Key, " ", l.Rate, "/", l.Period, " ", l.Burst, " ", l.Mode))
		if l.Version != 1 || l.Created.IsZero() || !l.Created.Equal(l.Updated) {
			t.Errorf("limit %+v", l)
		}
	}
	same(t, "limits of a new store", got, []string{
		"failures.client+ip failures client+ip 10/1m 10 enforce", "introspect.client introspect client 10000/1s 20000 shadow",
		"login.ip login ip 30/15m 30 enforce", "login.username login username 10/15m 10 enforce",
		"par.client par client 100/1s 200 shadow", "par.ip par ip 60/1m 120 enforce",
		"revoke.client revoke client 500/1s 1000 shadow", "token.client token client 1000/1s 2000 shadow", "token.ip token ip 1000/1s 2000 shadow",
	})
	same(t, "limits of Load", len(load(t, ctx, db).Limits), len(all))
}

func limitsStored(t *testing.T, db Store) {
	ctx := testContext(t)
	follower := load(t, ctx, db)
	cursor := follower.Cursor
	given := newLimit("a.new-one")
	made, err := putLimit(ctx, db, given)
	must(t, err)
	if made.Version != 1 || made.Created.IsZero() || !made.Updated.Equal(made.Created) {
		t.Errorf("version %d, created %v, updated %v", made.Version, made.Created, made.Updated)
	}
	given.Version, given.Created, given.Updated = 1, made.Created, made.Updated
	given.Since, given.SinceAt = 1, made.Created
	same(t, "limit returned", made, given)
	same(t, "limit listed", limitNamed(t, ctx, db, "a.new-one"), made)
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{Limit: &made})
	follower.follow(t, ctx, db)
	wantState(t, "follower", follower, load(t, ctx, db))
}

func limitsNext(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	changed, err := db.ChangeLimit(ctx, actor, "limit.update", "one", func(old *store.Limit) (*store.Limit, error) {
		same(t, "limit to change", old, made)
		return &store.Limit{Mode: store.LimitBlock, Restored: true}, nil
	})
	must(t, err)
	want := store.Limit{Name: "one", Mode: store.LimitBlock, Restored: true, Version: 2, Created: made.Created, Updated: changed.Updated, Since: 2, SinceAt: changed.Updated}
	same(t, "limit returned", changed, want)
	if changed.Updated.Before(made.Updated) {
		t.Errorf("updated at %v, before %v", changed.Updated, made.Updated)
	}
	same(t, "limit listed", limitNamed(t, ctx, db, "one"), want)
}

func limitsStoreSets(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	other := newLimit("other")
	other.Version, other.Created = 99, made.Created.Add(-time.Hour)
	changed, err := db.ChangeLimit(ctx, actor, "limit.update", "one", func(*store.Limit) (*store.Limit, error) { return &other, nil })
	must(t, err)
	same(t, "name, version, creation", []any{changed.Name, changed.Version, changed.Created}, []any{"one", 2, made.Created})
	same(t, "limit listed", limitNamed(t, ctx, db, "one"), changed)
	if limitNamed(t, ctx, db, "other") != nil {
		t.Error("a change took another name")
	}
}

func limitsError(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	cursor := position(t, ctx, db)
	rows := len(audits(t, ctx, db, 100))
	mine := errors.New("mine")
	for _, name := range []string{"one", "none"} {
		_, err = db.ChangeLimit(ctx, actor, "limit.update", name, func(old *store.Limit) (*store.Limit, error) {
			if old != nil {
				old.Rate = 1
			}
			return old, mine
		})
		if err != mine { //nolint:errorlint // not wrapped: as it is
			t.Errorf("got error %v, want the error of change as it is", err)
		}
	}
	same(t, "limit after it", limitNamed(t, ctx, db, "one"), made)
	since(t, ctx, db, cursor, 0)
	same(t, "rows of audit", len(audits(t, ctx, db, 100)), rows)
	same(t, "version after it", raise(t, ctx, db, "one").Version, 2)
}

func deleteLimit(ctx context.Context, db Store, name string) (store.Limit, error) {
	return db.ChangeLimit(ctx, actor, "limit.delete", name, func(*store.Limit) (*store.Limit, error) { return nil, nil })
}

func limitsDelete(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	follower := load(t, ctx, db)
	cursor := follower.Cursor
	gone, err := deleteLimit(ctx, db, "one")
	must(t, err)
	same(t, "the limit that was", gone, made)
	if limitNamed(t, ctx, db, "one") != nil {
		t.Error("the limit is still there")
	}
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{Lifted: "one"})
	follower.follow(t, ctx, db)
	wantState(t, "follower", follower, load(t, ctx, db))
	again, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	same(t, "versions of a new one of the name", []int64{again.Version, again.Since}, []int64{2, 2})
	same(t, "the version after it", raise(t, ctx, db, "one").Version, 3)
	_, err = deleteLimit(ctx, db, "token.ip") // it is there from the first start, and no row of audit tells of that
	must(t, err)
	again, err = putLimit(ctx, db, newLimit("token.ip"))
	must(t, err)
	same(t, "version of what was there from the first start", again.Version, 2)
}

// An override or a trial is no change of who is refused by the value: what is known of that stays.
func limitsSince(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	change := func(edit func(l *store.Limit)) store.Limit {
		t.Helper()
		changed, err := db.ChangeLimit(ctx, actor, "limit.update", "one", func(old *store.Limit) (*store.Limit, error) {
			old.Since, old.SinceAt, old.Restored = 99, time.Time{}, !old.Restored // not theirs to say
			edit(old)
			return old, nil
		})
		must(t, err)
		same(t, "limit listed", limitNamed(t, ctx, db, "one"), changed)
		return changed
	}
	for _, edit := range []func(l *store.Limit){
		func(l *store.Limit) { l.Overrides = nil }, func(l *store.Limit) { l.Trial = nil }, func(l *store.Limit) { l.Guard = nil },
	} {
		got := change(edit)
		same(t, "since", []any{got.Since, got.SinceAt, got.Restored}, []any{1, made.Updated, false})
	}
	for _, edit := range []func(l *store.Limit){
		func(l *store.Limit) { l.Rate++ }, func(l *store.Limit) { l.Period++ }, func(l *store.Limit) { l.Burst++ },
		func(l *store.Limit) { l.Mode = store.LimitBlock }, func(l *store.Limit) { l.Key = store.LimitByIP }, func(l *store.Limit) { l.Endpoint = "revoke" },
	} {
		got := change(func(l *store.Limit) { edit(l); l.Restored = true })
		same(t, "since", []any{got.Since, got.SinceAt, got.Restored}, []any{got.Version, got.Updated, true})
	}
}

func limitsNothing(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	_, err := deleteLimit(ctx, db, "none")
	wantError(t, "deletion of nothing", err, store.ErrNotFound)
	since(t, ctx, db, cursor, 0)
}

func limitsAudited(t *testing.T, db Store) {
	ctx := testContext(t)
	made, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	row := newest(t, ctx, db, "limit.put", "limit one")
	wantJSON(t, "before", row.Before, nil)
	wantJSON(t, "after", row.After, made)
	changed := raise(t, ctx, db, "one")
	row = newest(t, ctx, db, "limit.update", "limit one")
	wantJSON(t, "before", row.Before, made)
	wantJSON(t, "after", row.After, changed)
	_, err = deleteLimit(ctx, db, "one")
	must(t, err)
	row = newest(t, ctx, db, "limit.delete", "limit one")
	wantJSON(t, "before", row.Before, changed)
	wantJSON(t, "after", row.After, nil)
}

func limitsVersionRace(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	versions := make([]int64, 64) // the first creates it
	race(len(versions), func(i int) {
		limit, err := db.ChangeLimit(ctx, actor, "limit.put", "one", func(old *store.Limit) (*store.Limit, error) {
			if old == nil {
				fresh := newLimit("one")
				return &fresh, nil
			}
			old.Rate++
			return old, nil
		})
		if err != nil {
			t.Errorf("change: %v", err)
		}
		versions[i] = limit.Version
	})
	slices.Sort(versions)
	for i, version := range versions {
		if version != int64(i+1) {
			t.Fatalf("versions %v, want 1 to %d", versions, len(versions))
		}
	}
	same(t, "changes that were counted", limitNamed(t, ctx, db, "one").Rate, newLimit("").Rate+int64(len(versions))-1)
	for i, change := range since(t, ctx, db, cursor, len(versions)) {
		same(t, "version in the feed", change.Limit.Version, i+1)
	}
}

func limitsCreateRace(t *testing.T, db Store) {
	ctx := testContext(t)
	made := make([]bool, 16)
	race(len(made), func(i int) {
		_, err := db.ChangeLimit(ctx, actor, "limit.create", "one", func(old *store.Limit) (*store.Limit, error) {
			if old != nil {
				return nil, store.ErrConflict
			}
			fresh := newLimit("one")
			return &fresh, nil
		})
		made[i] = err == nil
		if err != nil && !errors.Is(err, store.ErrConflict) {
			t.Errorf("create: %v", err)
		}
	})
	same(t, "creators", count(made), 1)
}

// count is how many of all are true.
func count(all []bool) (n int) {
	for _, one := range all {
		if one {
			n++
		}
	}
	return n
}

func limitsDeleteRace(t *testing.T, db Store) {
	ctx := testContext(t)
	_, err := putLimit(ctx, db, newLimit("one"))
	must(t, err)
	done := make([]bool, 16)
	race(len(done), func(i int) {
		_, err := deleteLimit(ctx, db, "one")
		done[i] = err == nil
		if err != nil {
			wantError(t, "deleted by another", err, store.ErrNotFound)
		}
	})
	same(t, "deleters", count(done), 1)
}
