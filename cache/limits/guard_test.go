package limits

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

var operator = store.Actor{Kind: "admin", ID: "ann"}

// guardedSite is replicas on one store, in which a limit is changed.
type guardedSite struct {
	t        *testing.T
	db       *sqlite.DB
	replicas []*Limiter
}

func newGuarded(t *testing.T) *guardedSite {
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &guardedSite{t: t, db: db}
	for range 3 {
		s.replicas = append(s.replicas, newLimiter(t, func(o *Options) { o.Store = db }))
	}
	return s
}

// watched is a limit of the tests' own: a new store has some already.
func watched(l *store.Limit) {
	l.Name = "guarded"
	l.Guard = &store.Guard{MaxNewRefusedKeys: 5, Within: store.Period(time.Minute)}
}

// put stores the limit, as an operator does, and tells the replicas.
func (s *guardedSite) put(l store.Limit) store.Limit {
	s.t.Helper()
	stored, err := s.db.ChangeLimit(s.t.Context(), operator, "limit.update", l.Name, func(*store.Limit) (*store.Limit, error) { return &l, nil })
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell(stored)
	return stored
}

func (s *guardedSite) tell(l store.Limit) {
	for _, r := range s.replicas {
		r.Apply([]store.Limit{l})
	}
}

// refuse lets so many keys be refused, spread over the replicas, and saves.
func (s *guardedSite) refuse(names string, keys, times int) {
	for i := range keys {
		pass(s.replicas[i%3], app(fmt.Sprint(names, i)), times)
	}
	for _, r := range s.replicas {
		if !r.save(s.t.Context()) {
			s.t.Fatal("cannot save")
		}
	}
}

// look lets all replicas look at their guards at once, and returns the limit after it.
func (s *guardedSite) look() store.Limit {
	s.t.Helper()
	var all sync.WaitGroup
	for _, r := range s.replicas {
		all.Go(func() { r.guard(s.t.Context()) })
	}
	all.Wait()
	l, err := Operations{Store: s.db}.Find(s.t.Context(), "guarded")
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *guardedSite) takenBack() (n uint64) {
	for _, r := range s.replicas {
		n += r.meters.takenBack.Get()
	}
	return n
}

func TestGuardTakesAChangeBackOnce(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(100, 100, time.Hour, watched))
	s.put(limit(1, 1, time.Hour, watched))
	s.refuse("good", 6, 2)
	got := s.look()
	if got.Version != 3 || got.Rate != 100 || !got.Restored || s.takenBack() != 1 {
		t.Fatalf("taken back %d times, the limit is %+v", s.takenBack(), got)
	}
	rows, err := s.db.Audits(t.Context(), store.AuditQuery{Object: AuditObject(got.Name), Limit: 1})
	if err != nil || rows[0].Action != "limit.guard" || !strings.HasPrefix(rows[0].Actor, "guard:") {
		t.Errorf("the audit says %+v, %v", rows, err)
	}
	// The value that was taken back refuses others; the guard does not touch it again.
	s.tell(got)
	s.refuse("more", 30, 200)
	if again := s.look(); again.Version != 3 {
		t.Errorf("taken back again: %+v", again)
	}
}

// What else is changed meanwhile neither stops the guard nor is lost, and does not wake it again.
func TestGuardTakesBackTheValueAloneAcrossOtherChanges(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(100, 100, time.Hour, watched))
	bad := limit(1, 1, time.Hour, watched)
	s.put(bad)
	bad.Overrides = map[string]store.Override{"vip": {Mode: store.OverrideExempt}}
	s.put(bad)
	s.refuse("good", 3, 2)
	bad.Trial = &store.Quota{Rate: 5, Burst: 5, Period: bad.Period}
	s.put(bad)
	s.refuse("better", 3, 2) // three by each of two versions: together they are too many
	got := s.look()
	if got.Version != 5 || got.Rate != 100 || got.Burst != 100 || !got.Restored || len(got.Overrides) != 1 || got.Trial == nil {
		t.Fatalf("got %+v, want the value of version 1 with what came after", got)
	}
	s.refuse("more", 30, 200)
	edited := got.Clone()
	edited.Overrides, edited.Restored = nil, false
	if got = s.put(edited); !got.Restored {
		t.Errorf("got %+v, want the value known as taken back", got)
	}
	if again := s.look(); again.Version != 6 || s.takenBack() != 1 {
		t.Errorf("taken back again: %+v", again)
	}
}

// A change that has long held is not taken back because of a new override.
func TestGuardCountsItsTimeFromTheValue(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(100, 100, time.Hour, watched))
	bad := s.put(limit(1, 1, time.Hour, watched))
	s.refuse("good", 50, 2)
	bad.Version, bad.Updated = 3, bad.Updated.Add(2*time.Minute) // an override, two minutes later
	s.tell(bad)
	for _, r := range s.replicas {
		r.options.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	}
	if got := s.look(); got.Version != 2 {
		t.Errorf("taken back too late: %+v", got)
	}
}

// The keys that an earlier limit of the name refused are none of the new one's.
func TestGuardOfANameThatIsUsedAgain(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(1, 1, time.Hour, watched))
	s.refuse("old", 30, 2)
	if _, err := (Operations{Store: s.db}).Delete(t.Context(), Order{Actor: operator, Name: "guarded"}); err != nil {
		t.Fatal(err)
	}
	s.put(limit(100, 100, time.Hour, watched))
	if got := s.look(); got.Version != 2 || got.Mode != store.LimitEnforce {
		t.Errorf("got %+v, want the new limit left alone", got)
	}
}

// Nobody fills the store with names that he makes up.
func TestRefusedKeysOfInventedNamesAreNotKept(t *testing.T) {
	b := &book{replicas: 1}
	l := newLimiter(t, func(o *Options) { o.Store = b })
	l.Apply([]store.Limit{
		limit(1, 1, time.Hour, func(l *store.Limit) { l.Name, l.Endpoint = "failures.client", "failures" }),
		limit(1, 1, time.Hour, func(l *store.Limit) { l.Name, l.Endpoint, l.Key = "login.username", "login", store.LimitByUsername }),
		limit(1, 1, time.Hour),
	})
	who := &Who{Client: []byte("a"), Username: []byte("a")}
	for _, e := range []Endpoint{Failures, Login, Introspect} {
		l.Spend(e, ByName, who, 1)
		if !l.Spend(e, ByName, who, 1).Refused {
			t.Fatalf("%v is not refused", e)
		}
	}
	if l.save(t.Context()); len(b.refused) != 1 || b.refused[0].Limit != "introspect.client" {
		t.Errorf("kept %+v, want the one of introspection", b.refused)
	}
}

func TestGuardLeavesFewKeysAndOldRefusalsAlone(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(5, 5, time.Hour, watched))
	s.refuse("attacker", 64, 10)
	s.put(limit(4, 4, time.Hour, watched))
	s.refuse("attacker", 64, 10)
	s.refuse("good", 5, 10)
	if got := s.look(); got.Version != 2 || s.takenBack() != 0 {
		t.Errorf("an attack of 64 keys and 5 others took the change back: %+v", got)
	}
}

func TestGuardEndsWithItsTime(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(100, 100, time.Hour, watched))
	s.put(limit(1, 1, time.Hour, watched))
	s.refuse("good", 50, 2)
	for _, r := range s.replicas {
		r.options.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	}
	if got := s.look(); got.Version != 2 {
		t.Errorf("taken back too late: %+v", got)
	}
}

func TestGuardLetsANewLimitOnlyCount(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(1, 1, time.Hour, watched))
	s.refuse("good", 6, 2)
	if got := s.look(); got.Version != 2 || got.Mode != store.LimitShadow || got.Rate != 1 || !got.Restored {
		t.Errorf("got %+v", got)
	}
}

// Who changes the limit meanwhile is not overruled.
func TestGuardComparesTheVersion(t *testing.T) {
	s := newGuarded(t)
	s.put(limit(100, 100, time.Hour, watched))
	cut := s.put(limit(1, 1, time.Hour, watched))
	s.refuse("good", 6, 2)
	s.put(limit(50, 50, time.Hour, watched))
	s.tell(cut) // they have not heard of it yet
	if got := s.look(); got.Rate != 50 || got.Version != 3 || s.takenBack() != 0 {
		t.Errorf("got %+v", got)
	}
}
