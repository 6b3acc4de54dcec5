package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/storetest"
)

// units are what a column counts where that is not seconds.
var units = map[string]time.Duration{
	"audit.at": time.Microsecond, "grants.ends": time.Microsecond, "logouts.next": time.Microsecond,
	"replicas.seen": time.Millisecond, "limit_minutes.minute": time.Minute,
}

func ageing(t testing.TB) storetest.Ageing {
	db := open(t, Options{Path: newFile(t), Create: true})
	return storetest.Ageing{
		Store: db,
		Age: func(table, column string, by time.Duration) {
			t.Helper()
			text := fmt.Sprintf("update %s set %[2]s = %[2]s - %d", table, column, by/max(units[table+"."+column], 1))
			switch {
			case table == "consents":
				text = fmt.Sprintf("update consents set body = json_set(body, '$.at', strftime('%%FT%%TZ', body->>'at', '-%d seconds'))", by/time.Second)
			case units[table+"."+column] == 0:
				text = fmt.Sprintf("update %s set %[2]s = %[2]s - %d", table, column, by/time.Second)
			}
			_, err := db.writer.Exec(text)
			must(t, err)
		},
		Count: func(table string) (n int) {
			t.Helper()
			must(t, db.reader.QueryRow("select count(*) from "+table).Scan(&n))
			return n
		},
	}
}

func TestRetention(t *testing.T) { storetest.Retention(t, ageing) }

// A kind that cannot be removed, on a full disk say, is told of, and the others are done.
func TestFaultOfAKindIsToldAndTheOthersAreDone(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	ctx := t.Context()
	must(t, db.Deny(ctx, []store.Denial{{Kind: store.DenyToken, Expires: 1}}))
	must(t, db.SpendJTI(ctx, "web", "a", 1))
	_, err := db.writer.Exec("create trigger full_disk before delete on denials begin select raise(fail, 'database or disk is full'); end")
	must(t, err)
	if err := db.Maintain(ctx); err == nil || !strings.Contains(err.Error(), "prune denials") {
		t.Errorf("Maintain on a full disk: got %v, want a fault of denials", err)
	}
	all, err := db.Kept(ctx)
	must(t, err)
	for _, k := range all {
		switch {
		case k.Kind == store.KeptDenials && (k.Due != 1 || !strings.Contains(k.Fault, "disk is full")):
			t.Errorf("after a fault: %+v", k)
		case k.Kind == store.KeptJTIs && (k.Removed != 1 || k.Fault != ""):
			t.Errorf("beside a fault: %+v", k)
		}
	}
	_, err = db.writer.Exec("drop trigger full_disk")
	must(t, err)
	done, err := db.Prune(ctx, store.KeptDenials)
	must(t, err)
	if done[0].Removed != 1 || done[0].Fault != "" {
		t.Errorf("after the fault: %+v", done[0])
	}
}

func TestOnePrunesAtATime(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	db.maintaining.Lock()
	if _, err := db.Prune(t.Context()); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Prune beside another: got %v, want %v", err, store.ErrConflict)
	}
	must(t, db.Maintain(t.Context()))
	db.maintaining.Unlock()
	_, err := db.Prune(t.Context())
	must(t, err)
}

// A setting out of bounds, of another release say, is read as the nearest within.
func TestSettingsAreReadWithinTheirBounds(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	_, err := db.writer.Exec("insert into retention values ('denials', 60, 1, null, 0, 0, 0, ''), ('tokens', 9223372036854775807, 1, null, 0, 0, 0, '')")
	must(t, err)
	all, err := db.Kept(t.Context())
	must(t, err)
	if all[1].Keep != all[1].Least || all[0].Keep != store.Period(store.MaxKept) {
		t.Errorf("got %+v and %+v", all[0], all[1])
	}
}

// Of servers that start and end again and again the newest are kept, as many as a list shows.
func TestReplicasBeyondTheNewestGo(t *testing.T) {
	db, clock := openWithClock(t)
	_, err := db.writer.Exec(`insert into replicas (id, seen, body)
		with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1) select randomblob(16), ?2 - i, '{}' from n`, store.MaxReplicas+7, clock.at.UnixMilli())
	must(t, err)
	done, err := db.Prune(t.Context(), store.KeptReplicas)
	must(t, err)
	var oldest int64
	must(t, db.reader.QueryRow("select min(seen) from replicas").Scan(&oldest))
	if done[0].Removed != 7 || oldest != clock.at.UnixMilli()-store.MaxReplicas {
		t.Errorf("got %+v, the oldest of %d ms ago, want the 7 oldest removed", done[0], clock.at.UnixMilli()-oldest)
	}
}
