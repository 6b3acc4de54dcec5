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
