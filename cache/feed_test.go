package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

// history is a feed in memory whose faults a test decides.
type history struct {
	mu      sync.Mutex
	changes []store.Change
	tag     int64 // of every row
	fault   error // of the next calls
	hang    bool  // calls wait for their deadline
	short   bool  // a poll applies what there is, and misses its deadline
	delay   time.Duration
	loads   int
	rewrote []store.Cutoff
}

var errGone = fmt.Errorf("down: %w", store.ErrUnavailable)

func (h *history) set(f func(*history)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

// add appends a change under the next number.
func (h *history) add(c store.Change) store.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.append(c)
}

func (h *history) append(c store.Change) store.Position {
	next := store.Position(1)
	if n := len(h.changes); n > 0 {
		next = h.changes[n-1].Seq + 1
	}
	c.Place(next, time.Now())
	h.changes = append(h.changes, c)
	return next
}

func (h *history) cursor() store.Cursor {
	if len(h.changes) == 0 {
		return store.Cursor{Tag: h.tag}
	}
	return store.Cursor{Seq: h.changes[len(h.changes)-1].Seq, Tag: h.tag}
}

func (h *history) trouble(ctx context.Context) error {
	h.mu.Lock()
	hang, fault, delay := h.hang, h.fault, h.delay
	h.mu.Unlock()
	time.Sleep(delay)
	if hang {
		<-ctx.Done()
		return errGone
	}
	return fault
}

func (h *history) Load(ctx context.Context, apply func(*store.Change) error) (store.Beat, error) {
	if err := h.trouble(ctx); err != nil {
		return store.Beat{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loads++
	for i := range h.changes {
		if err := apply(&h.changes[i]); err != nil {
			return store.Beat{}, err
		}
	}
	return store.Beat{Cursor: h.cursor(), Now: time.Now()}, nil
}

func (h *history) Poll(ctx context.Context, from store.Cursor, apply func(*store.Change) error) (store.Beat, error) {
	if err := h.trouble(ctx); err != nil {
		return store.Beat{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.changes, func(c store.Change) bool { return c.Seq == from.Seq })
	if from.Tag != h.tag || at < 0 && from.Seq != 0 {
		return store.Beat{}, store.ErrNotFound
	}
	beat := store.Beat{Cursor: from, Now: time.Now()}
	for i := range h.changes[at+1:] {
		if i == pageSize {
			break
		}
		c := &h.changes[at+1+i]
		if err := apply(c); err != nil {
			return store.Beat{}, err
		}
		beat.Cursor.Seq = c.Seq
	}
	if h.short && beat.Cursor.Seq != from.Seq {
		return store.Beat{}, errGone
	}
	return beat, nil
}

func (h *history) Rewrite(_ context.Context, _ store.Actor, last store.Position, denials []store.Denial, cutoffs []store.Cutoff) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rewrote = append(h.rewrote, cutoffs...)
	h.changes = append(h.changes, store.Change{Seq: last + 1, Denials: denials, Cutoffs: cutoffs})
	return nil
}

// follower is a feed under test, and what its state says.
func follower(h *history, staleMax time.Duration) *feed {
	return &feed{
		store: h, log: slog.New(slog.NewTextHandler(io.Discard, nil)), clock: newClock(),
		state: newState(func([]store.Key, bool) {}, nil), fence: newFence(staleMax),
	}
}

// start runs the feed inside a synctest bubble until the test ends.
func start(t *testing.T, f *feed) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func denial() store.Denial {
	now := time.Now()
	return store.Denial{Kind: store.DenyToken, ID: store.NewID(now), Expires: now.Unix() + 3600}
}

func TestChangesArriveWithinAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		start(t, f)
		time.Sleep(time.Second)
		d := denial()
		h.add(store.Change{Client: &store.Client{ID: "app"}})
		position := h.add(store.Change{Denials: []store.Denial{d}})
		time.Sleep(pollEvery)
		synctest.Wait()
		if f.state.clients.Load().byID["app"] == nil || !f.state.denials.Load().has(d) {
			t.Fatal("a change did not arrive")
		}
		if got := store.Position(f.state.position.Load()); got != position {
			t.Fatalf("position %d, want %d", got, position)
		}
		h.add(store.Change{Gone: "app"})
		time.Sleep(pollEvery)
		synctest.Wait()
		if f.state.clients.Load().byID["app"] != nil {
			t.Fatal("a deleted client stayed")
		}
	})
}

func TestFenceIsNotBeatenBeforeTheLastPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		if err := f.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range pageSize + 1 {
			h.add(store.Change{Denials: []store.Denial{denial()}})
		}
		if more, err := f.follow(t.Context(), time.Now()); !more || err != nil {
			t.Fatalf("first page: more %v, err %v", more, err)
		}
		if f.fence.beat.Load() != 0 {
			t.Fatal("the fence was beaten with changes still to fetch")
		}
		if more, err := f.follow(t.Context(), time.Now()); more || err != nil {
			t.Fatalf("second page: more %v, err %v", more, err)
		}
		if f.fence.beat.Load() == 0 {
			t.Fatal("the fence was not beaten at the end")
		}
	})
}

// The rule: a replica whose database was restored to an older state loses no denial it knew, and gives it back.
func TestRestoredDatabaseLosesNoDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		old := h.add(store.Change{Client: &store.Client{ID: "app"}})
		start(t, f)
		d := denial()
		h.add(store.Change{Denials: []store.Denial{d}})
		cut := h.add(store.Change{Cutoffs: []store.Cutoff{{Kind: store.CutSubject, Name: "alice"}}})
		time.Sleep(time.Second)
		synctest.Wait()

		h.set(func(h *history) { h.changes, h.tag = h.changes[:old], 2 }) // the restore
		time.Sleep(time.Second)
		synctest.Wait()
		if !f.state.denials.Load().has(d) {
			t.Fatal("the replica forgot a denial")
		}
		last := h.changes[len(h.changes)-1]
		if last.Seq <= cut {
			t.Fatalf("the feed's numbers stand at %d, known were %d", last.Seq, cut)
		}
		if len(last.Denials) != 1 || last.Denials[0].ID != d.ID {
			t.Fatalf("the denial was not written back: %+v", last.Denials)
		}
		if len(last.Cutoffs) != 1 || last.Cutoffs[0].Number != cut {
			t.Fatalf("the cut-off was not written back with its number: %+v", last.Cutoffs)
		}
		if got := store.Position(f.state.position.Load()); got != last.Seq {
			t.Fatalf("position %d, want %d", got, last.Seq)
		}
	})
}

// A denial that is made here while everything is loaded anew holds, although the load began before it.
func TestDenialDuringALoadHolds(t *testing.T) {
	s := newState(func([]store.Key, bool) {}, nil)
	loaded, d := newWhole(), denial()
	s.deny(d)
	s.cutoffs.add(store.Cutoff{Kind: store.CutAll, Number: 7})
	s.exchange(loaded, 9, time.Now().Unix())
	if !s.denials.Load().has(d) || !s.cutoffs.kill(&store.Record{Position: 6}) {
		t.Fatal("what was dead here is alive after the exchange")
	}
}

// A cut-off that was made after a restore under a number that the old history had used hits the old history's tokens.
func TestCutoffOfTheRestoredHistoryHitsWhatWasIssuedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		old := h.add(store.Change{})
		start(t, f)
		for range 10 {
			h.add(store.Change{})
		}
		time.Sleep(time.Second)
		issued := store.Record{Position: store.Position(f.state.position.Load()), Client: []byte("app")}
		h.set(func(h *history) {
			h.changes, h.tag = h.changes[:old], 2
			h.append(store.Change{Cutoffs: []store.Cutoff{{Kind: store.CutAll}}})
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if !f.state.cutoffs.kill(&issued) {
			t.Fatal("a token issued before the restore survived a cut-off of all made after it")
		}
		fresh := store.Record{Position: store.Position(f.state.position.Load()), Client: []byte("app")}
		if f.state.cutoffs.kill(&fresh) {
			t.Fatal("a token issued now is dead on arrival")
		}
	})
}

func TestPrunedFeedIsLoadedAnewAndNothingIsRewritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		h.add(store.Change{Denials: []store.Denial{denial()}})
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.tag = 2 }) // the cursor's row is another one, the state is the same
		time.Sleep(time.Second)
		synctest.Wait()
		if h.loads != 2 || len(h.changes) != 1 {
			t.Fatalf("%d loads and %d changes, want 2 and 1", h.loads, len(h.changes))
		}
	})
}

func TestFenceAnswers(t *testing.T) {
	for _, test := range []struct {
		name     string
		staleMax time.Duration
		down     time.Duration // how long the store has been gone
		stale    bool
		err      error
	}{
		{"within a second it is exact", 30 * time.Second, 900 * time.Millisecond, false, nil},
		{"then it answers from what it holds", 30 * time.Second, 5 * time.Second, true, nil},
		{"for so long and no longer", 30 * time.Second, 31 * time.Second, true, store.ErrUnavailable},
		{"not at all when that is 0", 0, 5 * time.Second, true, store.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &history{tag: 1}
				f := follower(h, test.staleMax)
				start(t, f)
				time.Sleep(time.Second)
				h.set(func(h *history) { h.fault = errGone })
				time.Sleep(test.down)
				stale, err := f.fence.check()
				if stale != test.stale || !errors.Is(err, test.err) {
					t.Fatalf("got %v, %v; want %v, %v", stale, err, test.stale, test.err)
				}
			})
		})
	}
}

// A hung store: requests wait for the poll under way, which ends at its deadline; after that nobody waits.
func TestRequestsWaitForThePollUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 30*time.Second)
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.hang = true })
		time.Sleep(fresh + 10*time.Millisecond)
		stale, err := f.fence.check()
		if !stale || err != nil {
			t.Fatalf("got %v, %v; want a stale answer", stale, err)
		}
		asked := time.Now()
		if _, err := f.fence.check(); err != nil || time.Now() != asked {
			t.Fatalf("the next request waited %v, err %v", time.Since(asked), err)
		}
		h.set(func(h *history) { h.hang = false })
		time.Sleep(2 * pollPatience)
		if stale, err := f.fence.check(); stale || err != nil {
			t.Fatalf("after recovery: %v, %v", stale, err)
		}
	})
}

// The beat is the start of a poll, not its end: what is committed after the start may be missing.
func TestAgeCountsFromThePollsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1, delay: 400 * time.Millisecond}
		f := follower(h, 0)
		if err := f.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.follow(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := f.fence.age(); got != 400*time.Millisecond {
			t.Fatalf("after a poll of 400 ms the fence is %v old", got)
		}
	})
}

// One poll that is lost, while the store can be reached, makes no answer stale: requests wait for the next.
func TestOneLostPollIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 30*time.Second)
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.hang = true })
		time.Sleep(2 * pollEvery) // a poll hangs
		h.set(func(h *history) { h.hang = false })
		for range 200 {
			if stale, err := f.fence.check(); stale || err != nil {
				t.Fatalf("got %v, %v; want exact answers only", stale, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// While everything is loaded anew for longer than requests wait, nothing is answered from what may be old.
func TestLongLoadAnswersNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 30*time.Second)
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.tag, h.delay = 2, 10*time.Second })
		time.Sleep(3 * time.Second)
		if stale, err := f.fence.check(); stale || !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("got %v, %v; want ErrUnavailable", stale, err)
		}
	})
}

// A backlog that takes longer than a poll may is loaded, not begun again and again.
func TestBacklogThatNoPollCanFinishIsLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		start(t, f)
		time.Sleep(time.Second)
		d := denial()
		h.set(func(h *history) {
			h.append(store.Change{Denials: []store.Denial{d}})
			h.short = true
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if h.loads != 2 || !f.state.denials.Load().has(d) {
			t.Fatalf("%d loads; the denial is there: %v", h.loads, f.state.denials.Load().has(d))
		}
	})
}

// A slow store that still answers within the deadline is exact: requests wait, and none is answered from old state.
func TestSlowStoreIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFence(30 * time.Second)
		f.pass(time.Now())
		time.Sleep(1100 * time.Millisecond)
		go func() {
			begin := time.Now()
			time.Sleep(100 * time.Millisecond)
			f.pass(begin)
		}()
		if stale, err := f.check(); stale || err != nil {
			t.Fatalf("got %v, %v; want an exact answer", stale, err)
		}
	})
}

func TestNothingIsAnsweredBeforeTheFirstLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1, fault: errGone}
		f := follower(h, 30*time.Second)
		start(t, f)
		time.Sleep(time.Second)
		if _, err := f.fence.check(); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	})
}
