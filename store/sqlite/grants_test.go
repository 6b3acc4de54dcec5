package sqlite

import (
	"testing"
	"time"

	"oauth2-server/store"
)

func TestMaintainForgetsWhatPeopleLeft(t *testing.T) {
	db, clock := openWithClock(t)
	ctx, start := t.Context(), clock.at
	id := func() store.ID { return store.NewID(start) }
	code := store.Code{ID: id(), Client: "web", Expires: start.Unix() + 60, Grant: store.Grant{ID: id(), Client: "web", Expires: start.Add(time.Hour)}}
	_, err := db.CreateClient(ctx, store.Actor{}, store.Client{ID: "web"})
	must(t, err)
	must(t, db.PutCode(ctx, code, store.ID{}))
	_, err = db.RedeemCode(ctx, store.Redemption{Code: code.ID, Client: "web"})
	must(t, err)
	must(t, db.PutPushed(ctx, store.Pushed{ID: id(), Client: "web", Expires: start.Unix() + 60}))
	must(t, db.SpendJTI(ctx, "web", "a", start.Unix()+60))
	must(t, db.QueueLogouts(ctx, []store.Logout{{ID: id(), Client: "web", Next: start}}))
	f := func(after time.Duration, want map[string]int) {
		t.Helper()
		clock.at = start.Add(after)
		must(t, db.Maintain(ctx))
		for _, table := range []string{"codes", "pushed", "jtis", "logouts", "grants"} {
			if n := count(t, db, table); n != want[table] {
				t.Errorf("after %v: %d rows of %s, want %d", after, n, table, want[table])
			}
		}
	}
	f(time.Minute, map[string]int{"codes": 1, "pushed": 1, "jtis": 1, "logouts": 1, "grants": 1})
	f(61*time.Second, map[string]int{"codes": 1, "logouts": 1, "grants": 1})
	f(62*time.Minute, map[string]int{"logouts": 1, "grants": 1})
	f(25*time.Hour, map[string]int{"grants": 1})
	f(7*24*time.Hour+time.Hour, map[string]int{"grants": 1})
	f(7*24*time.Hour+2*time.Hour, nil)
}
