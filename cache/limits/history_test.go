package limits_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

func TestHistoryTellsEveryChange(t *testing.T) {
	d := newDesk(t)
	d.made("client")
	for rate := range int64(120) { // more than one page of the audit
		d.changed(d.SetTrial(t.Context(), order("x", 0), quota(rate+1, 1)))
	}
	d.changed(d.Delete(t.Context(), order("x", 0)))
	all, err := d.history("x", 1000)
	if err != nil || len(all) != 122 {
		t.Fatalf("got %d changes and %v, want 122", len(all), err)
	}
	if first := all[0]; first.Action != "limit.delete" || first.Value != nil || first.Version != 121 || first.Before().Trial.Rate != 120 || first.Actor != "admin:ann" {
		t.Errorf("got %+v, want the deletion of version 121", first)
	}
	if last := all[121]; last.Action != "limit.create" || last.Version != 1 || last.Value.Rate != 10 || last.Before() != nil {
		t.Errorf("got %+v, want the creation", last)
	}
	if some, err := d.history("x", 2); err != nil || len(some) != 2 || some[1].Version != 121 {
		t.Errorf("got %+v and %v, want the newest two", some, err)
	}
	if done := d.changed(d.Rollback(t.Context(), order("x", 0), 2)); done.After.Trial.Rate != 1 || done.After.Version != 122 {
		t.Errorf("got %+v, want the value of version 2, brought back", done.After)
	}
}

func (d *desk) history(name string, most int) ([]limits.Version, error) {
	h, err := d.History(d.Context(), limits.HistoryQuery{Limit: name, Most: most})
	return h.Items, err
}

// Pages follow each other without a gap, by number as by size, to the value that no change made.
func TestHistoryComesInPages(t *testing.T) {
	d := newDesk(t)
	const name = "introspect.client"
	for rate := range int64(20) {
		d.changed(d.SetTrial(t.Context(), order(name, 0), quota(rate+1, 1)))
	}
	for _, q := range []limits.HistoryQuery{{Most: 1}, {Most: 7}, {Most: 20}, {Most: 21}, {Most: 100}, {Most: 100, Bytes: 1}, {Most: 100, Bytes: 1500}} {
		var versions []int64
		q.Limit = name
		for pages := 0; pages == 0 || q.Before != 0; pages++ {
			h, err := d.History(t.Context(), q)
			if err != nil || len(h.Items) == 0 || len(h.Items) > q.Most || q.Bytes == 1 && len(h.Items) > 2 || q.Bytes == 1500 && len(h.Items) > 8 {
				t.Fatalf("%+v: got %d changes and %v", q, len(h.Items), err)
			}
			for _, v := range h.Items {
				versions = append(versions, v.Version)
			}
			q.Before = h.Next
		}
		for i, v := range versions {
			if v != int64(21-i) || len(versions) != 21 {
				t.Fatalf("%+v: got versions %v, want 21 to 1", q, versions)
			}
		}
	}
}

func TestLimitsOfAFirstStartHaveAHistory(t *testing.T) {
	d := newDesk(t)
	const name = "introspect.client"
	actions := func(want ...string) {
		t.Helper()
		var got []string
		all, err := d.history(name, 10)
		for _, v := range all {
			got = append(got, fmt.Sprintf("%d %s", v.Version, v.Action))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	}
	actions("1 limit.first")
	_, err := d.Rollback(t.Context(), order(name, 0), 0)
	if got := faults(err); !slices.Equal(got, []string{"version"}) {
		t.Errorf("got %v, want it said that there is nothing before", err)
	}
	mode := store.LimitEnforce
	d.changed(d.Patch(t.Context(), order(name, 0), limits.Patch{Mode: &mode}))
	actions("2 limit.update", "1 limit.first")
	if done := d.changed(d.Rollback(t.Context(), order(name, 0), 1)); done.After.Mode != store.LimitShadow || !done.After.Restored {
		t.Errorf("got %+v, want the first value back", done.After)
	}
}

// A rollback takes back what was seen, and not what came between.
func TestRollbackOfWhatWasChangedMeanwhile(t *testing.T) {
	d := newDesk(t)
	d.made("client")
	d.changed(d.SetTrial(t.Context(), order("x", 0), quota(5, 5)))
	slow := limits.Operations{Store: meanwhile{d.db, func() { d.changed(d.Promote(t.Context(), order("x", 0))) }}}
	_, err := slow.Rollback(t.Context(), order("x", 0), 0)
	d.unchanged(3, store.ErrConflict, err)
}

// meanwhile is a store in which something happens after the audit was read.
type meanwhile struct {
	*sqlite.DB
	happens func()
}

func (m meanwhile) Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error) {
	rows, err := m.DB.Audits(ctx, query)
	if query.Limit > 1 {
		m.happens()
	}
	return rows, err
}
