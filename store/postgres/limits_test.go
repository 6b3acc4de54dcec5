package postgres

import (
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// A list of refused keys, however slow to write, keeps nobody from revoking.
func TestSavingCountsDelaysNoRevocation(t *testing.T) {
	db := openDB(t)
	blocker := sql(t, db.options.URL)
	run(t, blocker, "begin")
	run(t, blocker, "lock table limit_refused in access exclusive mode")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			minute := store.LimitMinute{Replica: store.NewID(time.Now()), Minute: 1}
			if err := db.SaveLimitMinute(within(t, 10*time.Second), minute, []store.RefusedKey{{Limit: "one"}}); err != nil {
				t.Errorf("SaveLimitMinute: %v", err)
			}
		})
	}
	for get[int](t, blocker, "select count(*) from pg_locks where not granted and relation = 'limit_refused'::regclass") == 0 {
	}
	if _, err := db.CutOff(within(t, 2*time.Second), tester, store.CutAll, ""); err != nil {
		t.Errorf("CutOff: %v", err)
	}
	if err := db.InsertTokens(within(t, 2*time.Second), []store.Token{token(time.Hour)}); err != nil {
		t.Errorf("InsertTokens: %v", err)
	}
	run(t, blocker, "rollback")
	group.Wait()
}

// A key is forgotten a day after it was last refused, not after it was first.
func TestRefusedKeysAreForgottenADayAfterTheLast(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	save := func(version int64, names ...string) {
		t.Helper()
		var keys []store.RefusedKey
		for _, name := range names {
			keys = append(keys, store.RefusedKey{Limit: "one", Hash: [16]byte([]byte(name + strings.Repeat(" ", 16))), Version: version})
		}
		if err := db.SaveLimitMinute(within(t, 10*time.Second), store.LimitMinute{Minute: version}, keys); err != nil {
			t.Fatal(err)
		}
	}
	later := func(hours int) {
		t.Helper()
		run(t, conn, "update limit_refused set at = at - $1 * interval '1 hour'", hours)
		if err := db.Maintain(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(version, want int64) {
		t.Helper()
		n, err := db.NewlyRefused(within(t, 10*time.Second), "one", version)
		if err != nil || n != want {
			t.Errorf("NewlyRefused(%d) = %d, %v, want %d", version, n, err, want)
		}
	}
	save(1, "once", "again")
	later(23)
	save(2, "again")
	f(1, 2)
	later(2)
	f(1, 1)
	later(23)
	f(1, 0)
	save(3, "again")
	f(3, 1)
}

// Two changes of different rows do not wait for each other before they draw their numbers.
func TestRowsAreLockedApart(t *testing.T) {
	db := openDB(t)
	change := func(name string, while func()) {
		_, err := db.ChangeLimit(within(t, 10*time.Second), tester, "limit.put", name, func(*store.Limit) (*store.Limit, error) {
			while()
			return &store.Limit{Mode: store.LimitOff}, nil
		})
		if err != nil {
			t.Errorf("ChangeLimit(%s): %v", name, err)
		}
	}
	change("one", func() { change("other", func() {}) })
}

// A row that is not there is locked too: whoever comes second waits, and then sees what the first has made.
func TestCreatorsOfOneNameSeeEachOther(t *testing.T) {
	db := openDB(t)
	watcher := sql(t, db.options.URL)
	var group sync.WaitGroup
	entered := make(chan struct{})
	second := func(old *store.Limit) (*store.Limit, error) { //nolint:unparam // what ChangeLimit takes
		close(entered)
		if old == nil || old.Mode != store.LimitOff {
			t.Errorf("the second creator saw %+v", old)
		}
		return &store.Limit{Mode: store.LimitShadow}, nil
	}
	change := func(change func(*store.Limit) (*store.Limit, error), version int64) {
		limit, err := db.ChangeLimit(within(t, 10*time.Second), tester, "limit.put", "one", change)
		if err != nil || limit.Version != version {
			t.Errorf("ChangeLimit: version %d, %v, want %d", limit.Version, err, version)
		}
	}
	change(func(*store.Limit) (*store.Limit, error) {
		group.Go(func() { change(second, 2) })
		for get[int](t, watcher, "select count(*) from pg_locks where not granted and locktype = 'advisory'") == 0 {
			select {
			case <-entered:
				return &store.Limit{Mode: store.LimitOff}, nil // it does not wait
			default:
			}
		}
		return &store.Limit{Mode: store.LimitOff}, nil
	}, 1)
	group.Wait()
}
