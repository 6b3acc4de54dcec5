package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func openWithClock(t *testing.T) (*DB, *clock) {
	c := &clock{at: time.Unix(2_000_000_000, 0)}
	return open(t, Options{Path: Memory, Now: c.now}), c
}

func count(t *testing.T, db *DB, table string) int {
	t.Helper()
	var n int
	must(t, db.reader.QueryRow("select count(*) from "+table).Scan(&n))
	return n
}

// Tokens stay for an hour after they expired.
func TestMaintainDeletesExpiredTokens(t *testing.T) {
	db, clock := openWithClock(t)
	var tokens []store.Token
	for range 2*batchRows + 10 {
		tokens = append(tokens, newToken(clock.at.Add(time.Hour)))
	}
	alive := newToken(clock.at.Add(time.Hour + time.Second))
	must(t, db.InsertTokens(t.Context(), append(tokens, alive)))
	clock.at = clock.at.Add(2 * time.Hour)
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "tokens"); n != len(tokens)+1 {
		t.Errorf("%d tokens are left an hour after their expiry, want all %d", n, len(tokens)+1)
	}
	clock.at = clock.at.Add(time.Second)
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "tokens"); n != 1 || !has(t, db, alive.TokenKey)[0] {
		t.Errorf("%d tokens are left, want the one that is not due", n)
	}
}

func TestMaintainForgetsExpiredDenials(t *testing.T) {
	db, clock := openWithClock(t)
	denial := store.Denial{Kind: store.DenyGrant, ID: store.NewID(clock.at), Expires: clock.at.Unix() + 10}
	must(t, db.Deny(t.Context(), []store.Denial{denial}))
	loaded := func() (n int) {
		_, err := db.Load(t.Context(), func(c *store.Change) error { n += len(c.Denials); return nil })
		must(t, err)
		return n
	}
	if n := loaded(); n != 1 {
		t.Errorf("loaded %d denials, want 1", n)
	}
	clock.at = clock.at.Add(11 * time.Second)
	if n := loaded(); n != 0 {
		t.Errorf("loaded %d denials that have expired", n)
	}
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "denials"); n != 1 {
		t.Error("a clock that runs ahead for some minutes removes the denial of a token that lives")
	}
	clock.at = clock.at.Add(24 * time.Hour)
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "denials"); n != 0 {
		t.Errorf("%d denials are left", n)
	}
}

func TestMaintainKeepsTheNewestChange(t *testing.T) {
	db, clock := openWithClock(t)
	old, err := db.Load(t.Context(), func(*store.Change) error { return nil })
	must(t, err)
	var last store.Cutoff
	for i := range 5 {
		last, err = db.CutOff(t.Context(), tester, store.CutSubject, fmt.Sprint(i))
		must(t, err)
	}
	clock.at = clock.at.Add(time.Hour + time.Second)
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "changes"); n != 1 {
		t.Errorf("%d changes are left, want the newest", n)
	}
	if _, err := db.Poll(t.Context(), old.Cursor, func(*store.Change) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("polling from a change that is gone: got %v, want %v", err, store.ErrNotFound)
	}
	next, err := db.CutOff(t.Context(), tester, store.CutAll, "")
	must(t, err)
	if next.Number <= last.Number {
		t.Errorf("number %d came after %d", next.Number, last.Number)
	}
}

func TestSilentReplicasAreNotListed(t *testing.T) {
	db, clock := openWithClock(t)
	silent, alive := store.Replica{ID: store.NewID(clock.at)}, store.Replica{ID: store.NewID(clock.at)}
	must(t, db.Register(t.Context(), silent))
	clock.at = clock.at.Add(store.Alive)
	must(t, db.Register(t.Context(), alive))
	all, err := db.Replicas(t.Context())
	must(t, err)
	if len(all) != 2 {
		t.Errorf("got %d replicas, want both within %v", len(all), store.Alive)
	}
	clock.at = clock.at.Add(time.Millisecond)
	all, err = db.Replicas(t.Context())
	must(t, err)
	if len(all) != 1 || all[0].ID != alive.ID || !all[0].Seen.Equal(clock.at.Add(-time.Millisecond)) {
		t.Errorf("got replicas %+v, want the one that is not silent", all)
	}
	must(t, db.Maintain(t.Context()))
	if n := count(t, db, "replicas"); n != 2 {
		t.Errorf("%d replicas are left, want the silent one too", n)
	}
}

// A key is forgotten a day after it was last refused, not after it was first.
func TestRefusedKeysAreForgottenADayAfterTheLast(t *testing.T) {
	db, clock := openWithClock(t)
	save := func(version int64, names ...byte) {
		t.Helper()
		var keys []store.RefusedKey
		for _, name := range names {
			keys = append(keys, store.RefusedKey{Limit: "one", Hash: [16]byte{name}, Version: version})
		}
		must(t, db.SaveLimitMinute(t.Context(), store.LimitMinute{Minute: clock.at.Unix() / 60}, keys))
	}
	later := func(hours time.Duration) {
		t.Helper()
		clock.at = clock.at.Add(hours * time.Hour)
		must(t, db.Maintain(t.Context()))
	}
	f := func(version, want int64) {
		t.Helper()
		n, err := db.NewlyRefused(t.Context(), "one", version)
		must(t, err)
		if n != want {
			t.Errorf("NewlyRefused(%d) = %d, want %d", version, n, want)
		}
	}
	save(1, 'a', 'b')
	later(23)
	save(2, 'b')
	f(1, 2)
	later(2)
	f(1, 1)
	if n := count(t, db, "limit_minutes"); n != 0 {
		t.Errorf("%d minutes are left after hours", n)
	}
	later(23)
	f(1, 0)
	save(3, 'b')
	f(3, 1)
}

// No statement that runs often may read a whole table.
func TestHotStatementsUseIndexes(t *testing.T) {
	db := open(t, Options{Path: Memory})
	audit, _ := auditSQL(store.AuditQuery{Object: "x", Before: 1, Limit: 1})
	texts := []string{
		pollSQL, findTokensSQL, clientSQL, limitSQL, userSQL, userByNameSQL, usersSQL,
		findTokenSQL, newestTokensSQL, audit, "select max(seq) from changes",
	}
	for _, p := range prunings {
		if strings.Contains(p.due[0], "order by") && !strings.Contains(p.due[0], "limit ?2") { // the others look at few rows
			texts = append(texts, p.deletion(0))
		}
	}
	for _, text := range texts {
		args := make([]any, max(strings.Count(text, "?"), 0))
		for i := range args {
			args[i] = "[1]"
		}
		found, err := db.reader.Query("explain query plan "+text, args...)
		must(t, err)
		defer found.Close()
		var plan []string
		for found.Next() {
			var id, parent, unused int
			var step string
			must(t, found.Scan(&id, &parent, &unused, &step))
			plan = append(plan, step)
		}
		must(t, found.Err())
		scans := func(step string) bool {
			return strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "VIRTUAL TABLE")
		}
		if len(plan) == 0 || slices.ContainsFunc(plan, scans) || slices.Contains(plan, "USE TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s\nhas plan\n%s", text, strings.Join(plan, "\n"))
		}
	}
}
