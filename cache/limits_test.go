package cache

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

// limitFollower is a feed, and what it told of limits: "name version" of all, each time.
func limitFollower(h *history) (f *feed, told *[]string) {
	told = new([]string)
	f = &feed{store: h, log: slog.New(slog.NewTextHandler(io.Discard, nil)), clock: newClock(), fence: newFence(0)}
	f.state = newState(func([]store.Key, bool) {}, func(all []store.Limit) {
		var names []string
		for _, l := range all {
			names = append(names, fmt.Sprint(l.Name, " ", l.Version))
		}
		*told = append(*told, strings.Join(names, ", "))
	})
	return f, told
}

func limitChange(name string, version int64) store.Change {
	return store.Change{Limit: &store.Limit{Name: name, Version: version}}
}

func TestLimitsAreToldWhenLoadedAndWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f, told := limitFollower(h)
		h.add(limitChange("b", 1))
		h.add(limitChange("a", 1))
		start(t, f)
		want := func(list ...string) {
			t.Helper()
			time.Sleep(2 * pollEvery)
			synctest.Wait()
			if got := fmt.Sprintf("%q", *told); got != fmt.Sprintf("%q", list) {
				t.Fatalf("told %s, want %q", got, list)
			}
			*told = nil
		}
		want("a 1, b 1")
		h.add(limitChange("a", 2))
		want("a 2, b 1")
		h.add(limitChange("c", 1))
		h.add(store.Change{Lifted: "a"})
		want("b 1, c 1")
		h.add(store.Change{Denials: []store.Denial{denial()}})
		want()
		h.add(store.Change{Lifted: "b"})
		h.add(store.Change{Lifted: "c"})
		want("")
	})
}

// A limit that the history lost is gone, as a client is: what the store says holds.
func TestLimitsOfALostHistoryAreTheStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f, told := limitFollower(h)
		h.add(limitChange("a", 1))
		h.add(limitChange("a", 2))
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.tag, h.changes = 2, h.changes[:1] })
		time.Sleep(time.Second)
		synctest.Wait()
		if last := (*told)[len(*told)-1]; last != "a 1" {
			t.Errorf("told %q at last", last)
		}
	})
}
