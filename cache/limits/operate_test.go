package limits_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

// A desk is operations on a store of the test's own.
type desk struct {
	*testing.T
	limits.Operations
	db *sqlite.DB
}

var ann = store.Actor{Kind: "admin", ID: "ann"}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &desk{t, limits.Operations{Store: db}, db}
}

func order(name string, version int64) limits.Order {
	return limits.Order{Actor: ann, Name: name, Version: version}
}

func quota(rate, burst int64) store.Quota {
	return store.Quota{Rate: rate, Period: store.Period(1e9), Burst: burst}
}

func rule(key string, q store.Quota) store.Limit {
	return store.Limit{Endpoint: "introspect", Key: key, Quota: q, Mode: store.LimitEnforce}
}

// made is the limit "x", by key, at version 1.
func (d *desk) made(key string) {
	d.Helper()
	d.changed(d.Create(d.Context(), order("x", 0), rule(key, quota(10, 20))))
}

// changed is a change that has to succeed, and to be one.
func (d *desk) changed(done limits.Change, err error) limits.Change {
	d.Helper()
	if err != nil || done.Same {
		d.Fatalf("got %+v and %v, want a change", done, err)
	}
	return done
}

// unchanged: the error is the one expected, and the limit has still the version.
func (d *desk) unchanged(version int64, want error, err error) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("got %v, want %v", err, want)
	}
	if l, err := d.Find(d.Context(), "x"); err != nil || l.Version != version {
		d.Errorf("got version %d and %v, want %d still", l.Version, err, version)
	}
}

// faults are the fields that a change was refused for.
func faults(err error) (fields []string) {
	for _, fault := range store.FieldErrors(err) {
		fields = append(fields, fault.Field)
	}
	return fields
}

// lastAction is that of the newest audit row of "x".
func (d *desk) lastAction() string {
	d.Helper()
	rows, err := d.db.Audits(d.Context(), store.AuditQuery{Object: "limit x", Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Actor != ann.String() {
		d.Fatalf("got %+v and %v, want a row of %s", rows, err, ann)
	}
	return rows[0].Action
}

func TestEveryOperationLeavesItsAction(t *testing.T) {
	d := newDesk(t)
	q := quota(5, 5)
	rate := int64(7)
	for i, step := range []struct {
		action string
		do     func() (limits.Change, error)
		holds  func(l *store.Limit) bool
	}{
		{"limit.create", func() (limits.Change, error) {
			return d.Put(t.Context(), order("x", 0), rule("client", quota(10, 20)))
		}, func(l *store.Limit) bool { return l.Name == "x" && l.Rate == 10 }},
		{"limit.update", func() (limits.Change, error) {
			return d.Put(t.Context(), order("x", 1), rule("client", quota(11, 20)))
		}, func(l *store.Limit) bool { return l.Rate == 11 }},
		{
			"limit.update", func() (limits.Change, error) { return d.Patch(t.Context(), order("x", 0), limits.Patch{Rate: &rate}) },
			func(l *store.Limit) bool { return l.Rate == 7 && l.Burst == 20 },
		},
		{"limit.override", func() (limits.Change, error) {
			return d.SetOverride(t.Context(), order("x", 0), "a", store.Override{Quota: &q})
		}, func(l *store.Limit) bool { return l.Overrides["a"].Rate == 5 }},
		{
			"limit.override", func() (limits.Change, error) { return d.DropOverride(t.Context(), order("x", 0), "a") },
			func(l *store.Limit) bool { return len(l.Overrides) == 0 },
		},
		{
			"limit.trial", func() (limits.Change, error) { return d.SetTrial(t.Context(), order("x", 0), q) },
			func(l *store.Limit) bool { return *l.Trial == q && l.Rate == 7 },
		},
		{
			"limit.trial", func() (limits.Change, error) { return d.DropTrial(t.Context(), order("x", 0)) },
			func(l *store.Limit) bool { return l.Trial == nil },
		},
		{"limit.trial", func() (limits.Change, error) { return d.SetTrial(t.Context(), order("x", 0), q) }, nil},
		{
			"limit.promote", func() (limits.Change, error) { return d.Promote(t.Context(), order("x", 0)) },
			func(l *store.Limit) bool { return l.Trial == nil && l.Quota == q && l.Mode == store.LimitEnforce },
		},
		{
			"limit.rollback", func() (limits.Change, error) { return d.Rollback(t.Context(), order("x", 0), 0) },
			func(l *store.Limit) bool { return l.Restored && l.Rate == 7 && *l.Trial == q },
		},
		{
			"limit.rollback", func() (limits.Change, error) { return d.Rollback(t.Context(), order("x", 0), 2) },
			func(l *store.Limit) bool { return l.Restored && l.Rate == 11 && l.Trial == nil },
		},
		{
			"limit.update", func() (limits.Change, error) { return d.Patch(t.Context(), order("x", 0), limits.Patch{Rate: &rate}) },
			func(l *store.Limit) bool { return !l.Restored },
		},
	} {
		done := d.changed(step.do())
		if done.After.Version != int64(i+1) || step.holds != nil && !step.holds(done.After) || d.lastAction() != step.action {
			t.Errorf("step %d: got %+v by %s, want version %d by %s", i, done.After, d.lastAction(), i+1, step.action)
		}
	}
	if done := d.changed(d.Delete(t.Context(), order("x", 12))); done.After != nil || done.Before.Version != 12 || d.lastAction() != "limit.delete" {
		t.Errorf("got %+v, want version 12 deleted", done)
	}
}

func TestAFaultyChangeTellsAllAndChangesNothing(t *testing.T) {
	d := newDesk(t)
	d.made("client")
	check := func(err error, fields ...string) {
		t.Helper()
		d.unchanged(1, nil, nil)
		if got := faults(err); !slices.Equal(got, fields) {
			t.Errorf("got faults of %v (%v), want of %v", got, err, fields)
		}
	}
	_, err := d.Put(t.Context(), order("x", 0), store.Limit{
		Name: "y", Endpoint: "dance", Key: "client", Mode: "maybe", Trial: &store.Quota{Rate: -1, Period: 1, Burst: 1},
		Overrides: map[string]store.Override{"a": {}}, Guard: &store.Guard{},
	})
	check(err, "name", "endpoint", "mode", "rate", "burst", "period", "trial.rate", "trial.period", "overrides.a", "guard.max_new_refused_keys", "guard.within")
	for _, rate := range []int64{0, -1, 10_000_001} {
		_, err = d.Patch(t.Context(), order("x", 0), limits.Patch{Rate: &rate})
		check(err, "rate")
		_, err = d.SetTrial(t.Context(), order("x", 0), quota(rate, 1))
		check(err, "trial.rate")
		q := quota(rate, 1)
		_, err = d.SetOverride(t.Context(), order("x", 0), "a", store.Override{Quota: &q})
		check(err, "overrides.a.rate")
	}
	_, err = d.SetOverride(t.Context(), order("x", 0), "", store.Override{Mode: store.OverrideBlock})
	check(err, "overrides.")
	_, err = d.Promote(t.Context(), order("x", 0))
	check(err, "trial")
	for _, version := range []int64{0, 2, -1} {
		_, err = d.Rollback(t.Context(), order("x", 0), version)
		check(err, "version")
	}
}

func TestAnotherVersionIsRefusedAndTellsWhoMadeIt(t *testing.T) {
	d := newDesk(t)
	d.made("client")
	d.changed(d.SetTrial(t.Context(), order("x", 1), quota(5, 5)))
	stale := func(done limits.Change, err error) {
		t.Helper()
		d.unchanged(2, store.ErrConflict, err)
		e, ok := errors.AsType[*limits.Stale](err)
		if !ok || e.Version != 2 || e.Actor != ann.String() || e.At.IsZero() || !strings.Contains(err.Error(), "changed by admin:ann at ") {
			t.Errorf("got %+v and %v, want who made version 2, and when", done, err)
		}
	}
	old := order("x", 1)
	stale(d.Put(t.Context(), old, rule("client", quota(1, 1))))
	stale(d.Create(t.Context(), order("x", 0), rule("client", quota(1, 1))))
	stale(d.Patch(t.Context(), old, limits.Patch{}))
	stale(d.Delete(t.Context(), old))
	stale(d.SetOverride(t.Context(), old, "a", store.Override{Mode: store.OverrideBlock}))
	stale(d.DropOverride(t.Context(), old, "a"))
	stale(d.SetTrial(t.Context(), old, quota(1, 1)))
	stale(d.DropTrial(t.Context(), old))
	stale(d.Promote(t.Context(), old))
	stale(d.Rollback(t.Context(), old, 1))
	if _, err := d.Put(t.Context(), order("new", 3), rule("client", quota(1, 1))); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want a version of what is not there refused", err)
	}
}

func TestWhatIsThereAlreadyMakesNoVersion(t *testing.T) {
	d := newDesk(t)
	d.made("client")
	d.changed(d.SetTrial(t.Context(), order("x", 0), quota(5, 5)))
	d.changed(d.SetOverride(t.Context(), order("x", 0), "a", store.Override{Mode: store.OverrideExempt}))
	l, err := d.Find(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	rate := l.Rate
	for name, do := range map[string]func() (limits.Change, error){
		"put":   func() (limits.Change, error) { return d.Put(t.Context(), order("x", 3), l) },
		"patch": func() (limits.Change, error) { return d.Patch(t.Context(), order("x", 0), limits.Patch{Rate: &rate}) },
		"trial": func() (limits.Change, error) { return d.SetTrial(t.Context(), order("x", 0), quota(5, 5)) },
		"override": func() (limits.Change, error) {
			return d.SetOverride(t.Context(), order("x", 0), "a", store.Override{Mode: store.OverrideExempt})
		},
		"rollback": func() (limits.Change, error) { return d.Rollback(t.Context(), order("x", 0), 3) },
	} {
		done, err := do()
		if err != nil || !done.Same || done.After.Version != 3 {
			t.Errorf("%s: got %+v and %v, want nothing done at version 3", name, done, err)
		}
	}
	d.unchanged(3, nil, nil)
}

func TestOverridesHaveOneSpelling(t *testing.T) {
	d := newDesk(t)
	d.made("client+ip")
	block := store.Override{Mode: store.OverrideBlock}
	done := d.changed(d.SetOverride(t.Context(), order("x", 0), "app@2001:DB8:0::7", block))
	if keys := slices.Collect(maps.Keys(done.After.Overrides)); len(keys) != 1 || keys[0] != "app@2001:db8::/64" {
		t.Errorf("got keys %q, want the /64", keys)
	}
	if done, err := d.SetOverride(t.Context(), order("x", 0), "app@2001:db8::9", block); err != nil || !done.Same {
		t.Errorf("got %+v and %v, want another address of the /64 to be the same key", done, err)
	}
	l := rule("client+ip", quota(1, 1))
	l.Overrides = map[string]store.Override{"app@2001:db8::1": block, "app@2001:db8::/64": block}
	_, err := d.Put(t.Context(), order("x", 0), l)
	if got := faults(err); len(got) != 1 {
		t.Errorf("got faults of %q, want two spellings of one key refused", got)
	}
	d.changed(d.DropOverride(t.Context(), order("x", 0), "app@2001:db8::8"))
	_, err = d.DropOverride(t.Context(), order("x", 0), "app@2001:db8::8")
	d.unchanged(3, store.ErrNotFound, err)
	_, err = d.SetOverride(t.Context(), order("x", 0), "app", block)
	if got := faults(err); !slices.Equal(got, []string{"overrides.app"}) {
		t.Errorf("got faults of %q, want the key refused", got)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	d := newDesk(t)
	missing := func(_ limits.Change, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want not found", err)
		}
	}
	missing(d.Patch(t.Context(), order("x", 0), limits.Patch{}))
	missing(d.Patch(t.Context(), order("x", 4), limits.Patch{}))
	missing(d.Delete(t.Context(), order("x", 0)))
	missing(d.SetTrial(t.Context(), order("x", 0), quota(1, 1)))
	missing(d.Rollback(t.Context(), order("x", 0), 0))
	missing(d.Rollback(t.Context(), order("x", 0), 1))
	_, err := d.history("x", 10)
	missing(limits.Change{}, err)
	d.made("client")
	missing(d.DropTrial(t.Context(), order("x", 0)))
}
