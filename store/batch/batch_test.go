package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

// gate is a Commit that waits until it is opened, and keeps what it committed.
type gate struct {
	started chan []int
	open    chan error
}

func newGate() *gate { return &gate{started: make(chan []int, 64), open: make(chan error, 64)} }

func (g *gate) commit(ctx context.Context, items []int) error {
	g.started <- append([]int(nil), items...)
	select {
	case err := <-g.open:
		return err
	case <-ctx.Done():
		return fmt.Errorf("commit: %w", store.ErrUnavailable)
	}
}

func TestLoneCallerIsNotDelayed(t *testing.T) {
	g := New(Options[int]{Commit: func(context.Context, []int) error { return nil }})
	if err := g.Do(1); err != nil {
		t.Fatal(err)
	}
}

func TestCallersDuringACommitShareTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		g := New(Options[int]{Commit: gate.commit})
		var callers sync.WaitGroup
		call := func(i int) {
			callers.Go(func() {
				if err := g.Do(i); err != nil {
					t.Errorf("item %d: %v", i, err)
				}
			})
		}
		call(0)
		if got := <-gate.started; len(got) != 1 {
			t.Fatalf("first batch has %d items, want 1", len(got))
		}
		for i := 1; i <= 50; i++ {
			call(i)
		}
		synctest.Wait() // all 50 are queued behind the first
		gate.open <- nil
		if got := <-gate.started; len(got) != 50 {
			t.Fatalf("second batch has %d items, want 50", len(got))
		}
		gate.open <- nil
		callers.Wait()
	})
}

func TestQueueBeyondItsBoundRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		g := New(Options[int]{Commit: gate.commit, Limit: 2, Waiting: 2})
		var callers sync.WaitGroup
		for i := range 5 { // one in flight, two batches of two waiting
			callers.Go(func() { _ = g.Do(i) })
			synctest.Wait()
		}
		asked := time.Now()
		if err := g.Do(5); !errors.Is(err, store.ErrUnavailable) || time.Now() != asked {
			t.Fatalf("got %v after %v, want ErrUnavailable at once", err, time.Since(asked))
		}
		for range 3 {
			gate.open <- nil
		}
		callers.Wait()
		gate.open <- nil
		if err := g.Do(6); err != nil {
			t.Fatalf("after the queue drained: %v", err)
		}
	})
}

func TestBatchOwnsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate() // never opened
		g := New(Options[int]{Commit: gate.commit, Patience: time.Second})
		start := time.Now() // synctest's clock
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() {
				if err := g.Do(i); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			})
		}
		callers.Wait()
		// The second batch opened with the first: its patience ended in the queue.
		if waited := time.Since(start); waited > 2*time.Second {
			t.Fatalf("callers waited %v, want at most the patience of their batch", waited)
		}
		if n := len(gate.started); n != 1 {
			t.Errorf("%d batches were begun: one whose patience is over is not", n)
		}
	})
}

func TestOneBadRowSpoilsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("row refused")
		hold := make(chan struct{})
		g := New(Options[int]{Commit: func(_ context.Context, items []int) error {
			<-hold
			for _, item := range items {
				if item == 3 {
					return bad
				}
			}
			return nil
		}})
		var callers sync.WaitGroup
		for i := range 8 {
			callers.Go(func() {
				err := g.Do(i)
				if want := i == 3; (err != nil) != want {
					t.Errorf("item %d: got %v", i, err)
				}
			})
			synctest.Wait()
		}
		close(hold)
		callers.Wait()
	})
}

func TestAFaultIsNotRetriedRowByRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		g := New(Options[int]{Commit: gate.commit})
		var callers sync.WaitGroup
		for i := range 3 {
			callers.Go(func() {
				if err := g.Do(i); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			})
			synctest.Wait()
		}
		fault := fmt.Errorf("gone: %w", store.ErrUnavailable)
		gate.open <- fault
		gate.open <- fault
		callers.Wait()
		if got := len(gate.started); got != 2 {
			t.Fatalf("committed %d times, want 2: the first item and the two behind it", got)
		}
	})
}

func TestCloseFlushesAndThenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		g := New(Options[int]{Commit: gate.commit})
		var callers sync.WaitGroup
		for i := range 4 {
			callers.Go(func() {
				if err := g.Do(i); err != nil {
					t.Errorf("item %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		closed := make(chan struct{})
		go func() { g.Close(); close(closed) }()
		synctest.Wait()
		gate.open <- nil
		gate.open <- nil
		<-closed
		callers.Wait()
		if err := g.Do(9); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("after Close: got %v, want ErrUnavailable", err)
		}
	})
}

func TestEveryItemIsCommittedOnce(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	g := New(Options[int]{Limit: 16, InFlight: 2, Waiting: 1000, Commit: func(_ context.Context, items []int) error {
		mu.Lock()
		defer mu.Unlock()
		for _, item := range items {
			seen[item]++
		}
		return nil
	}})
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for i := range 100 {
				if err := g.Do(c*100 + i); err != nil {
					t.Errorf("item: %v", err)
				}
			}
		})
	}
	callers.Wait()
	if len(seen) != 6400 {
		t.Fatalf("committed %d different items, want 6,400", len(seen))
	}
	for item, n := range seen {
		if n != 1 {
			t.Fatalf("item %d was committed %d times", item, n)
		}
	}
}
