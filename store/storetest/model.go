package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"oauth2-server/store"
)

// state is what a replica holds: what Load hands out, kept up by Poll.
type state struct {
	Cursor  store.Cursor
	Clients map[string]store.Client
	Keys    map[store.ID]store.Key // retired ones are dropped
	Denials map[string]store.Denial
	Cutoffs map[string]store.Cutoff
	Limits  map[string]store.Limit
}

// load reads the whole state.
func load(t testing.TB, ctx context.Context, db Store) *state {
	t.Helper()
	s := &state{
		Clients: map[string]store.Client{},
		Keys:    map[store.ID]store.Key{},
		Denials: map[string]store.Denial{},
		Cutoffs: map[string]store.Cutoff{},
		Limits:  map[string]store.Limit{},
	}
	beat, err := db.Load(ctx, s.apply)
	must(t, err)
	s.Cursor = beat.Cursor
	return s
}

// follow polls once and returns how many changes there were.
func (s *state) follow(t testing.TB, ctx context.Context, db Store) int {
	t.Helper()
	n := 0
	beat, err := db.Poll(ctx, s.Cursor, func(c *store.Change) error {
		n++
		return s.apply(c)
	})
	must(t, err)
	s.Cursor = beat.Cursor
	return n
}

func (s *state) apply(c *store.Change) error {
	if c.Client != nil {
		s.Clients[c.Client.ID] = *c.Client
	}
	delete(s.Clients, c.Gone)
	if c.Limit != nil {
		s.Limits[c.Limit.Name] = *c.Limit
	}
	delete(s.Limits, c.Lifted)
	for _, key := range c.Keys {
		if key.State == store.KeyRetired {
			delete(s.Keys, key.ID)
		} else {
			s.Keys[key.ID] = key
		}
	}
	for _, d := range c.Denials {
		s.Denials[thing(d)] = d
	}
	for _, cut := range c.Cutoffs {
		name := string(cut.Kind) + " " + cut.Name
		if cut.Number > s.Cutoffs[name].Number {
			s.Cutoffs[name] = cut
		}
	}
	return nil
}

func thing(d store.Denial) string { return fmt.Sprintf("%d %s", d.Kind, d.ID) }

// drain polls until there is nothing new and returns the changes in order. It
// checks what every page promises.
func drain(t testing.TB, ctx context.Context, db Store, from store.Cursor) ([]store.Change, store.Cursor) {
	t.Helper()
	var all []store.Change
	for {
		last := from.Seq
		n := 0
		beat, err := db.Poll(ctx, from, func(c *store.Change) error {
			if c.Seq <= last {
				t.Errorf("change %d was handed out after %d", c.Seq, last)
			}
			last = c.Seq
			n++
			all = append(all, *c)
			return nil
		})
		must(t, err)
		if beat.Cursor.Seq != last {
			t.Fatalf("beat leads to %d, the last change was %d", beat.Cursor.Seq, last)
		}
		if n > pageChanges {
			t.Fatalf("a poll handed out %d changes, want at most %d", n, pageChanges)
		}
		if n == 0 {
			if beat.Cursor != from {
				t.Fatalf("a poll without changes moved the cursor from %v to %v", from, beat.Cursor)
			}
			return all, from
		}
		from = beat.Cursor
	}
}

// pageChanges is the most that one poll hands out.
const pageChanges = 1000

// position is where the feed stands.
func position(t testing.TB, ctx context.Context, db Store) store.Cursor {
	t.Helper()
	return load(t, ctx, db).Cursor
}

// since returns the changes after from, with their number of want checked.
func since(t testing.TB, ctx context.Context, db Store, from store.Cursor, want int) []store.Change {
	t.Helper()
	changes, _ := drain(t, ctx, db, from)
	if len(changes) != want {
		t.Fatalf("got %d changes, want %d: %s", len(changes), want, summary(changes))
	}
	return changes
}

func summary(changes []store.Change) string {
	var lines []string
	for _, c := range changes {
		b, _ := json.Marshal(c)
		lines = append(lines, fmt.Sprintf("%d %s", c.Seq, b))
		if len(lines) == 10 {
			break
		}
	}
	return strings.Join(lines, "\n")
}

// wantState compares two states, cursor included.
func wantState(t testing.TB, what string, got, want *state) {
	t.Helper()
	same(t, what+": cursor", got.Cursor, want.Cursor)
	same(t, what+": clients", got.Clients, want.Clients)
	same(t, what+": keys", got.Keys, want.Keys)
	same(t, what+": limits", got.Limits, want.Limits)
	same(t, what+": denials", slices.Sorted(maps.Keys(got.Denials)), slices.Sorted(maps.Keys(want.Denials)))
	same(t, what+": cut-offs", got.Cutoffs, want.Cutoffs)
}
