package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"oauth2-server/store"
)

const (
	// fresh is how old the start of the last good poll may be for an answer
	// to be exact to promise P1.
	fresh = time.Second
	// fenceWait bounds the wait of a request. The poll that decides began within moments of the fence's end, and has pollPatience.
	fenceWait = 2 * pollPatience
)

// fence is the time since the start of the last poll that succeeded. While it
// is low, what this replica holds is what the store says.
type fence struct {
	staleMax time.Duration
	origin   time.Time    // monotonic
	beat     atomic.Int64 // start of the last good poll, nanoseconds since origin; 0: none yet
	cut      atomic.Bool  // a poll that began past the fence failed: the store cannot be reached

	mu    sync.Mutex
	ended chan struct{} // closed when the poll under way has ended
	fault error         // of the last attempt; nil when it succeeded
}

func newFence(staleMax time.Duration) *fence {
	return &fence{staleMax: staleMax, origin: time.Now(), ended: make(chan struct{})}
}

// age is the time since the last good poll's start; for ever when there was none.
func (f *fence) age() time.Duration {
	beat := f.beat.Load()
	if beat == 0 {
		return time.Duration(1<<63 - 1)
	}
	return time.Since(f.origin) - time.Duration(beat)
}

// begun waits for the first good poll: before it there is no age to tell. False: ctx ended first.
func (f *fence) begun(ctx context.Context) bool {
	for {
		ended := f.next()
		if f.beat.Load() != 0 {
			return true
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return false
		}
	}
}

// pass records a poll that began then and succeeded.
func (f *fence) pass(begin time.Time) {
	f.beat.Store(max(int64(begin.Sub(f.origin)), 1))
	f.end(begin, nil)
}

// end wakes those who wait for the poll under way. A poll that began while the fence was fresh and failed
// proves nothing yet: the next one decides, and is waited for.
func (f *fence) end(begin time.Time, fault error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	f.cut.Store(fault != nil && f.age()-time.Since(begin) > fresh)
	close(f.ended)
	f.ended = make(chan struct{})
}

// next is closed when the poll under way has ended.
func (f *fence) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// last is the outcome of the last poll.
func (f *fence) last() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

var (
	errStale = fmt.Errorf("the store cannot be reached: %w", store.ErrUnavailable)
	errSlow  = fmt.Errorf("the store is not followed in time: %w", store.ErrUnavailable)
)

// check reports whether verdicts may be given now: nil and false when they are exact, nil and true when
// the store cannot be reached and the fence still allows answers from what is held, an error else.
func (f *fence) check() (stale bool, err error) {
	if f.age() <= fresh {
		return false, nil // Fast path: one load and one look at the clock.
	}
	return f.wait()
}

// wait is the slow path of check: the poll under way decides, one for all who wait.
func (f *fence) wait() (stale bool, err error) {
	deadline := time.NewTimer(fenceWait)
	defer deadline.Stop()
	for !f.cut.Load() {
		ended := f.next()
		if f.age() <= fresh {
			return false, nil
		}
		select {
		case <-ended:
			continue
		case <-deadline.C:
			return false, errSlow // it may be reached: what is held may be old
		}
	}
	if age := f.age(); age <= fresh {
		return false, nil
	} else if age <= f.staleMax {
		return true, nil
	}
	return true, errStale
}
