package cache

import (
	"testing"
	"time"

	"oauth2-server/store"
)

func TestDenialsHoldUntilExpiryAndNoLonger(t *testing.T) {
	s := newDenySet()
	now := int64(1_800_000_000)
	short := store.Denial{Kind: store.DenyToken, ID: store.NewID(time.Unix(now, 0)), Expires: now + 60}
	long := store.Denial{Kind: store.DenyToken, ID: store.NewID(time.Unix(now, 0)), Expires: now + 7200}
	grant := store.Denial{Kind: store.DenyGrant, ID: store.NewID(time.Unix(now, 0)), Expires: now + 60}
	for _, d := range []store.Denial{short, long, grant, short} {
		s.add(d)
	}
	if got := s.size.Load(); got != 3 {
		t.Fatalf("size %d, want 3: adding twice counts once", got)
	}
	s.sweep(now + 59)
	if !s.has(short) || !s.has(long) || !s.has(grant) {
		t.Fatal("the sweep took a denial that has not expired")
	}
	s.sweep(now + 3600 + 60)
	if s.has(short) || s.has(grant) || !s.has(long) {
		t.Fatal("the sweep must take what has expired, and nothing else")
	}
	if got := s.size.Load(); got != 1 {
		t.Fatalf("size %d after the sweep, want 1", got)
	}
}

func TestDenialOfOneKindIsNotOfAnother(t *testing.T) {
	s := newDenySet()
	id := store.NewID(time.Now())
	s.add(store.Denial{Kind: store.DenyGrant, ID: id, Expires: 2_000_000_000})
	if s.token(id, 2_000_000_000) || s.other(store.DenySession, id) || !s.other(store.DenyGrant, id) {
		t.Fatal("a denial names its own kind only")
	}
}

func TestCutoffKillsWhatIsBelowItsNumber(t *testing.T) {
	record := func(position store.Position) *store.Record {
		return &store.Record{Position: position, Client: []byte("app"), Subject: []byte("alice")}
	}
	for _, cut := range []store.Cutoff{
		{Kind: store.CutAll, Number: 10},
		{Kind: store.CutClient, Name: "app", Number: 10},
		{Kind: store.CutSubject, Name: "alice", Number: 10},
	} {
		c := newCutoffs()
		c.add(cut)
		if !c.kill(record(9)) || c.kill(record(10)) {
			t.Errorf("%s: kills 9: %v, kills 10: %v", cut.Kind, c.kill(record(9)), c.kill(record(10)))
		}
	}
}

func TestCutoffOfOneNameHitsNoOther(t *testing.T) {
	c := newCutoffs()
	c.add(store.Cutoff{Kind: store.CutClient, Name: "alice", Number: 10})
	c.add(store.Cutoff{Kind: store.CutSubject, Name: "app", Number: 10})
	r := &store.Record{Position: 1, Client: []byte("app"), Subject: []byte("alice")}
	if c.kill(r) {
		t.Fatal("a client's cut-off hit a subject of the same name, or the other way round")
	}
}

func TestLowerCutoffDoesNotReplaceAHigher(t *testing.T) {
	c := newCutoffs()
	c.add(store.Cutoff{Kind: store.CutAll, Number: 10})
	c.add(store.Cutoff{Kind: store.CutAll, Number: 5})
	if !c.kill(&store.Record{Position: 9}) {
		t.Fatal("an older cut-off lifted a newer one")
	}
}
