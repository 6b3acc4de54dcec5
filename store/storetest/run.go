package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// suite is what each case gets: a way to open an empty store.
type suite struct {
	open func(t testing.TB) Store
}

// Run proves that the stores open returns keep the contract of [Store]. Every
// call of open returns an empty store of its own, closed by the test's Cleanup.
func Run(t *testing.T, open func(t testing.TB) Store) {
	s := suite{open: open}
	for _, theme := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Tokens", s.tokens},
		{"Feed", s.feed},
		{"FeedRaces", s.feedRaces},
		{"Denials", s.denials},
		{"Cutoffs", s.cutoffs},
		{"Rewrite", s.rewrite},
		{"Clients", s.clients},
		{"ClientRaces", s.clientRaces},
		{"Keys", s.keys},
		{"Audit", s.audit},
		{"AuditQueries", s.auditQueries},
		{"TokenLists", s.tokenLists},
		{"Limits", s.limits},
		{"LimitRaces", s.limitRaces},
		{"LimitMinutes", s.limitMinutes},
		{"Users", s.users},
		{"UserRaces", s.userRaces},
		{"Codes", s.codes},
		{"Grants", s.grants},
		{"Rotations", s.rotations},
		{"Replicas", s.replicas},
		{"Census", s.census},
		{"Cancelled", s.cancelled},
	} {
		t.Run(theme.name, theme.run)
	}
}

// rule runs one case as a subtest on an empty store.
func (s suite) rule(t *testing.T, name string, prove func(t *testing.T, db Store)) {
	t.Run(name, func(t *testing.T) { prove(t, s.open(t)) })
}

var actor = store.Actor{Kind: "cli", ID: "tester"}

// now is the time of the machine. Databases and tests share it closely enough
// for expiries that are hours away.
func now() time.Time { return time.Now() }

func newID() store.ID { return store.NewID(now()) }

// inHours is an expiry h hours ahead of now, or behind when negative.
func inHours(h int) int64 { return now().Unix() + int64(h)*3600 }

// must ends the test when a call that has to work did not.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var four = []error{store.ErrNotFound, store.ErrConflict, store.ErrSpent, store.ErrUnavailable}

// wantError checks that err is want and none of the four that want is not.
func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, want)
		return
	}
	for _, one := range slices.Concat(four, []error{want}) {
		if errors.Is(err, one) != errors.Is(want, one) {
			t.Errorf("%s: got error %q, want %v and none of the others", what, err, want)
		}
	}
}

// wantRefused checks that err says that a row was refused, which is known for certain.
func wantRefused(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%s: got %v, want an error that is not %v", what, err, store.ErrUnavailable)
	}
}

// same compares two values by what they say in JSON, where a nil and an empty list are one.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	must(t, err)
	w, err := json.Marshal(want)
	must(t, err)
	if !bytes.Equal(g, w) {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// race runs do n times at once, all starting together, and waits for them.
func race(n int, do func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	group.Wait()
}

// testContext bounds a case that hangs, so that it fails and says where.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
