package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// An Ageing is a store whose rows a test can make older.
type Ageing struct {
	Store
	Age   func(table, column string, by time.Duration) // takes by from a column of every row
	Count func(table string) int
}

// A keptRow is how a test makes rows of a kind, all past their time when column is keep ago.
type keptRow struct {
	kind, table, column string
	add                 func(t *testing.T, db Store) // of which want have to go
	want                int64
}

var keptRows = []keptRow{
	{store.KeptDenials, "denials", "expires", func(t *testing.T, db Store) {
		must(t, db.Deny(testContext(t), []store.Denial{newDenial(0), newDenial(0)}))
	}, 2},
	{store.KeptCutoffs, "cutoffs", "at", func(t *testing.T, db Store) { cut(t, testContext(t), db, "a") }, 1},
	{store.KeptChanges, "changes", "at", func(t *testing.T, db Store) {
		cut(t, testContext(t), db, "a")
		cut(t, testContext(t), db, "b")
	}, 2}, // with the first of all, and without the newest
	{store.KeptCodes, "codes", "expires", func(t *testing.T, db Store) {
		code := newCode(newID())
		code.Expires = inHours(0)
		must(t, db.PutCode(testContext(t), code, store.ID{}))
	}, 1},
	{store.KeptPushed, "pushed", "expires", func(t *testing.T, db Store) {
		keptClient(t, db)
		must(t, db.PutPushed(testContext(t), store.Pushed{ID: newID(), Client: "web", Expires: inHours(0)}))
	}, 1},
	{store.KeptJTIs, "jtis", "expires", func(t *testing.T, db Store) {
		must(t, db.SpendJTI(testContext(t), "web", "a", inHours(0)))
	}, 1},
	{store.KeptGrants, "grants", "ends", func(t *testing.T, db Store) {
		keptClient(t, db)
		code := newCode(newID())
		code.Client, code.Grant.Client, code.Grant.Expires = "web", "web", time.Unix(inHours(0), 0)
		must(t, db.PutCode(testContext(t), code, store.ID{}))
		_, err := db.RedeemCode(testContext(t), redemption(code))
		must(t, err)
	}, 1},
	{store.KeptLogouts, "logouts", "next", func(t *testing.T, db Store) {
		keptClient(t, db)
		l := newLogout(newID())
		l.Client, l.Next = "web", now()
		must(t, db.QueueLogouts(testContext(t), []store.Logout{l}))
	}, 1},
	{store.KeptMinutes, "limit_minutes", "minute", func(t *testing.T, db Store) {
		must(t, db.SaveLimitMinute(testContext(t), newMinute(newID(), -1), nil))
	}, 1},
	{store.KeptRefused, "limit_refused", "at", func(t *testing.T, db Store) {
		must(t, db.SaveLimitMinute(testContext(t), newMinute(newID(), 0), newRefused("one", 1, 3)))
	}, 3},
	{store.KeptAudit, "audit", "at", func(t *testing.T, db Store) { keptClient(t, db) }, 1},
	{store.KeptReplicas, "replicas", "seen", func(t *testing.T, db Store) { must(t, db.Register(testContext(t), newReplica())) }, 1},
}

func keptClient(t *testing.T, db Store) {
	t.Helper()
	_, err := db.CreateClient(testContext(t), actor, newClient("web"))
	must(t, err)
}

// Retention proves what [Store] says of what is kept for a time. open is as for [Run].
func Retention(t *testing.T, open func(t testing.TB) Ageing) {
	for _, row := range keptRows {
		t.Run(row.kind, func(t *testing.T) { keptForItsTime(t, open(t), row) })
	}
	for _, rule := range []struct {
		name  string
		prove func(t *testing.T, db Ageing)
	}{
		{"EveryKindIsThere", keptKinds},
		{"SettingHoldsFromTheNextRun", keptSetting},
		{"BelowTheLeastIsRefused", keptLeast},
		{"SettingIsAudited", keptAudited},
		{"SettingsOfConcurrentOperators", keptRace},
		{"UnknownKind", keptUnknown},
		{"GoneClientsLeaveNothing", keptGone},
		{"NewestChangeStays", keptNewest},
		{"SizesAreSampled", keptSampled},
		{"OneRunAtATime", keptOneRun},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.prove(t, open(t)) })
	}
}

// kept is how a kind stands.
func kept(t testing.TB, db Store, kind string) store.Kept {
	t.Helper()
	all, err := db.Kept(testContext(t))
	must(t, err)
	return ofKind(t, all, kind)
}

func ofKind(t testing.TB, all []store.Kept, kind string) store.Kept {
	t.Helper()
	i := slices.IndexFunc(all, func(k store.Kept) bool { return k.Kind == kind })
	if i < 0 {
		t.Fatalf("kind %s is missing in %+v", kind, all)
	}
	return all[i]
}

// prune runs one kind and is what it did.
func prune(t testing.TB, db Store, kind string) store.Kept {
	t.Helper()
	done, err := db.Prune(testContext(t), kind)
	must(t, err)
	same(t, "kinds of the run", len(done), 1)
	return ofKind(t, done, kind)
}

func setKept(ctx context.Context, db Store, kind string, keep time.Duration) error {
	return db.SetKept(ctx, actor, kind, func(k *store.Kept) error {
		k.Own, k.Keep = true, store.Period(keep)
		return nil
	})
}

// A row stays until its time is over, and then it goes; looking at what is due removes nothing, and counts the same.
func keptForItsTime(t *testing.T, db Ageing, row keptRow) {
	row.add(t, db)
	keep := time.Duration(kept(t, db, row.kind).Keep)
	slack := 3 * time.Minute // limit_minutes have two of their own; between this machine's clock and the store's
	before := db.Count(row.table)

	db.Age(row.table, row.column, keep-slack)
	same(t, "due before their time", kept(t, db, row.kind).Due, 0)
	same(t, "removed before their time", prune(t, db, row.kind).Removed, 0)
	same(t, "rows before their time", db.Count(row.table), before)

	db.Age(row.table, row.column, 2*slack)
	same(t, "due", kept(t, db, row.kind).Due, row.want)
	same(t, "rows after looking", db.Count(row.table), before)
	done := prune(t, db, row.kind)
	same(t, "removed", done.Removed, row.want)
	same(t, "rows that are left", int64(db.Count(row.table)), int64(before)-row.want)

	now := kept(t, db, row.kind)
	if now.Due != 0 || now.Removed != row.want || now.Total != row.want || now.Ran.IsZero() || now.Fault != "" {
		t.Errorf("after the run: %+v, want %d removed and nothing due", now, row.want)
	}
	prune(t, db, row.kind)
	if now = kept(t, db, row.kind); now.Removed != 0 || now.Total != row.want {
		t.Errorf("after a second run: %+v, want nothing removed, %d in all", now, row.want)
	}
}

func keptKinds(t *testing.T, db Ageing) {
	all, err := db.Kept(testContext(t))
	must(t, err)
	done, err := db.Prune(testContext(t))
	must(t, err)
	for i, k := range store.KeptKinds {
		if all[i].Kind != k.Name || done[i].Kind != k.Name {
			t.Errorf("kind %d is %s, and %s of a run, want %s", i, all[i].Kind, done[i].Kind, k.Name)
		}
		if all[i].Own || all[i].Version != 0 || all[i].Keep != all[i].Default || all[i].Keep < all[i].Least {
			t.Errorf("nobody has set anything, and it is %+v", all[i])
		}
	}
	same(t, "kinds", []int{len(all), len(done)}, []int{len(store.KeptKinds), len(store.KeptKinds)})
}

func keptSetting(t *testing.T, db Ageing) {
	ctx := testContext(t)
	must(t, db.Deny(ctx, []store.Denial{newDenial(-50)}))
	must(t, setKept(ctx, db, store.KeptDenials, 72*time.Hour))
	k := kept(t, db, store.KeptDenials)
	if !k.Own || k.Keep != store.Period(72*time.Hour) || k.Version != 1 || k.Default != store.Period(24*time.Hour) {
		t.Errorf("set to 72h, it is %+v", k)
	}
	must(t, db.Maintain(ctx))
	same(t, "denials kept for 72h", db.Count("denials"), 1)
	must(t, setKept(ctx, db, store.KeptDenials, 48*time.Hour))
	must(t, db.Maintain(ctx))
	same(t, "denials kept for 48h", db.Count("denials"), 0)
	must(t, db.SetKept(ctx, actor, store.KeptDenials, func(k *store.Kept) error { k.Own = false; return nil }))
	if k := kept(t, db, store.KeptDenials); k.Own || k.Keep != k.Default || k.Version != 3 || k.Total != 1 {
		t.Errorf("set to the default, it is %+v", k)
	}
}

func keptLeast(t *testing.T, db Ageing) {
	ctx := testContext(t)
	all, err := db.Kept(ctx)
	must(t, err)
	for _, k := range all {
		must(t, setKept(ctx, db, k.Kind, time.Duration(k.Least)))
		for _, keep := range []time.Duration{time.Duration(k.Least) - time.Second, store.MaxKept + time.Second, time.Duration(k.Least) + time.Millisecond} {
			err := setKept(ctx, db, k.Kind, keep)
			if faults := store.FieldErrors(err); len(faults) != 1 || faults[0].Field != "keep" {
				t.Errorf("%s kept for %v: got %v, want a fault of the field keep", k.Kind, keep, err)
			}
		}
		if now := kept(t, db, k.Kind); now.Version != 1 || now.Keep != k.Least {
			t.Errorf("after refusals %s is %+v, want version 1", k.Kind, now)
		}
	}
}

func keptAudited(t *testing.T, db Ageing) {
	ctx := testContext(t)
	must(t, setKept(ctx, db, store.KeptAudit, 1000*time.Hour))
	mine := errors.New("mine")
	if err := db.SetKept(ctx, actor, store.KeptAudit, func(*store.Kept) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("got %v, want the error of change", err)
	}
	rows := audits(t, ctx, db, 10)
	if len(rows) != 1 || rows[0].Object != "retention audit" || rows[0].Actor != actor.String() {
		t.Errorf("the audit is %+v, want one row of retention audit", rows)
	}
}

func keptRace(t *testing.T, db Ageing) {
	ctx := testContext(t)
	race(8, func(int) {
		err := db.SetKept(ctx, actor, store.KeptGrants, func(k *store.Kept) error {
			k.Own, k.Keep = true, store.Period(24+k.Version)*store.Period(time.Hour)
			return nil
		})
		if err != nil {
			t.Errorf("set: %v", err)
		}
	})
	if k := kept(t, db, store.KeptGrants); k.Version != 8 || k.Keep != store.Period(31*time.Hour) {
		t.Errorf("after 8 changes it is %+v, want version 8 made of version 7", k)
	}
}

func keptUnknown(t *testing.T, db Ageing) {
	wantError(t, "set an unknown kind", setKept(testContext(t), db, "clients", time.Hour), store.ErrNotFound)
}

// What clients left that are gone goes at once, of those that are there nothing.
func keptGone(t *testing.T, db Ageing) {
	ctx := testContext(t)
	keptClient(t, db)
	for _, client := range []string{"gone", "web", "zone"} {
		code := newCode(newID())
		code.Client, code.Grant.Client = client, client
		must(t, db.PutCode(ctx, code, store.ID{}))
		_, err := db.RedeemCode(ctx, redemption(code))
		must(t, err)
		must(t, db.PutPushed(ctx, store.Pushed{ID: newID(), Client: client, Expires: inHours(1)}))
		l := newLogout(newID())
		l.Client = client
		must(t, db.QueueLogouts(ctx, []store.Logout{l}))
		must(t, db.SaveConsent(ctx, store.Consent{User: newID(), Client: client, Scopes: []string{"a"}}))
	}
	db.Age("consents", "at", 2*time.Second)
	for _, kind := range []string{store.KeptGrants, store.KeptPushed, store.KeptLogouts, store.KeptConsents} {
		same(t, kind+" due", kept(t, db, kind).Due, 2)
		same(t, kind+" removed", prune(t, db, kind).Removed, 2)
		same(t, kind+" left", db.Count(kind), 1)
	}
}

func keptNewest(t *testing.T, db Ageing) {
	ctx := testContext(t)
	cut(t, ctx, db, "a")
	db.Age("changes", "at", store.MaxKept)
	must(t, db.Maintain(ctx))
	same(t, "changes", db.Count("changes"), 1)
	cursor := position(t, ctx, db)
	cut(t, ctx, db, "b")
	since(t, ctx, db, cursor, 1)
}

func keptSampled(t *testing.T, db Ageing) {
	must(t, db.Maintain(testContext(t)))
	first := db.Count("sizes")
	if first == 0 {
		t.Error("nothing was measured")
	}
	must(t, db.Maintain(testContext(t)))
	if n := db.Count("sizes"); n != first && n != 2*first { // the hour may turn
		t.Errorf("%d sizes after a second run, want the %d of the first", n, first)
	}
	db.Age("sizes", "at", 2*time.Hour)
	must(t, db.Maintain(testContext(t)))
	if n := db.Count("sizes"); n < 2*first {
		t.Errorf("%d sizes hours later, want %d more", n, first)
	}
	db.Age("sizes", "at", 36*24*time.Hour)
	must(t, db.Maintain(testContext(t)))
	same(t, "sizes after weeks", db.Count("sizes"), first)
}

// Of runs at the same time each row is removed by one, and who is not let in is told so.
func keptOneRun(t *testing.T, db Ageing) {
	ctx := testContext(t)
	for range 5 {
		denials := make([]store.Denial, store.MaxDenials)
		for i := range denials {
			denials[i] = newDenial(-25)
		}
		must(t, db.Deny(ctx, denials))
	}
	var (
		mu      sync.Mutex
		removed int64
		ran     int
	)
	race(4, func(int) {
		done, err := db.Prune(ctx, store.KeptDenials)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			ran++
			removed += done[0].Removed
		case !errors.Is(err, store.ErrConflict):
			t.Errorf("prune: %v", err)
		}
	})
	same(t, fmt.Sprintf("removed by %d runs", ran), removed, 5*store.MaxDenials)
	same(t, "denials", db.Count("denials"), 0)
	same(t, "total", kept(t, db, store.KeptDenials).Total, 5*store.MaxDenials)
}
