// Package batch is group commit: concurrent calls share one trip to a
// dependency, whether they write rows, revoke, or look things up.
//
// A batch closes when a runner is free to take it, so its size adapts to load
// and no timer delays a lone caller:
//
//	Do ─► open batch ─► runner ─► Commit(items) ─► every caller of the batch
//	        │ full
//	        └► waiting (at most Waiting) ─► else ErrUnavailable at once
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"oauth2-server/store"
)

// Options of a [Group]. Commit is required; zero means the default.
type Options[T any] struct {
	// Commit does the work of one batch, all or nothing. An error that is not
	// store.ErrUnavailable means that a row was refused: the rows are then
	// committed one by one, so that one caller's row spoils no other's.
	Commit func(ctx context.Context, items []T) error
	// Limit is the most items of a batch; default 1,000.
	Limit int
	// InFlight is how many batches are committed at once; default 1.
	InFlight int
	// Waiting is how many batches may wait behind those in flight; default 2.
	// A call beyond them is refused at once.
	Waiting int
	// Patience is from the opening of a batch to its report, at most; default 2 s.
	Patience time.Duration
	// Observe is told of each batch: its items, and how long the first of them waited for a runner.
	Observe func(items int, wait time.Duration)
}

// A Group commits the items of concurrent callers together.
type Group[T any] struct {
	options Options[T]

	mu      sync.Mutex
	open    *pending[T]   // takes items; nil when there is none
	full    []*pending[T] // closed by reaching Limit, oldest first
	running int
	closed  bool
	idle    sync.Cond // on mu: running became 0
	spare   sync.Pool
}

// pending is a batch from its opening until its last caller has read the report.
type pending[T any] struct {
	items   []T
	opened  time.Time
	report  sync.WaitGroup // done when err and errs may be read
	err     error
	errs    []error      // one for each item, when they were committed one by one
	readers atomic.Int32 // callers that have not read the report yet
}

// New makes a group. It runs no goroutine while it has nothing to do.
func New[T any](options Options[T]) *Group[T] {
	if options.Limit == 0 {
		options.Limit = 1000
	}
	if options.InFlight == 0 {
		options.InFlight = 1
	}
	if options.Waiting == 0 {
		options.Waiting = 2
	}
	if options.Patience == 0 {
		options.Patience = 2 * time.Second
	}
	g := &Group[T]{options: options}
	g.idle.L = &g.mu
	g.spare.New = func() any { return new(pending[T]) }
	return g
}

var (
	errFull   = fmt.Errorf("queue is full: %w", store.ErrUnavailable)
	errLate   = fmt.Errorf("deadline passed in the queue: %w", store.ErrUnavailable)
	errClosed = fmt.Errorf("shutting down: %w", store.ErrUnavailable)
)

// Do commits item together with those of concurrent callers and returns its
// outcome. It returns only when the batch has reported, so what item refers to
// may be reused afterwards. [store.ErrUnavailable]: the queue was full, or the
// outcome is unknown.
func (g *Group[T]) Do(item T) error {
	g.mu.Lock()
	b, err := g.room()
	if err != nil {
		g.mu.Unlock()
		return err
	}
	i := len(b.items)
	b.items = append(b.items, item)
	b.readers.Add(1)
	if g.running < g.options.InFlight {
		g.running++
		go g.run()
	}
	g.mu.Unlock()

	b.report.Wait()
	err = b.err
	if b.errs != nil {
		err = b.errs[i]
	}
	if b.readers.Add(-1) == 0 {
		g.recycle(b)
	}
	return err
}

// room is the open batch with room for one more item. mu is held.
func (g *Group[T]) room() (*pending[T], error) {
	if g.closed {
		return nil, errClosed
	}
	if g.open != nil && len(g.open.items) == g.options.Limit {
		if len(g.full)+1 >= g.options.Waiting {
			return nil, errFull
		}
		g.full = append(g.full, g.open)
		g.open = nil
	}
	if g.open == nil {
		g.open = g.spare.Get().(*pending[T])
		g.open.opened = time.Now()
		g.open.report.Add(1)
	}
	return g.open, nil
}

// run commits batches until there are none.
func (g *Group[T]) run() {
	for {
		g.mu.Lock()
		b := g.next()
		if b == nil {
			g.running--
			if g.running == 0 {
				g.idle.Broadcast()
			}
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		g.commit(b)
	}
}

// next takes the oldest batch, or nil. mu is held.
func (g *Group[T]) next() *pending[T] {
	if len(g.full) > 0 {
		b := g.full[0]
		g.full = append(g.full[:0], g.full[1:]...)
		return b
	}
	b := g.open
	g.open = nil
	return b
}

func (g *Group[T]) commit(b *pending[T]) {
	defer b.report.Done()
	wait := time.Since(b.opened)
	if g.options.Observe != nil {
		g.options.Observe(len(b.items), wait)
	}
	if wait >= g.options.Patience {
		b.err = errLate
		return
	}
	ctx, cancel := context.WithDeadline(context.Background(), b.opened.Add(g.options.Patience))
	defer cancel()
	b.err = g.options.Commit(ctx, b.items)
	if refused(b.err) && len(b.items) > 1 {
		b.errs = make([]error, len(b.items))
		for i := range b.items {
			b.errs[i] = g.options.Commit(ctx, b.items[i:i+1])
		}
	}
}

// refused: the database looked at the rows and would not have them.
func refused(err error) bool { return err != nil && !errors.Is(err, store.ErrUnavailable) }

// recycle clears what the batch refers to and keeps its memory.
func (g *Group[T]) recycle(b *pending[T]) {
	clear(b.items)
	b.items, b.err, b.errs = b.items[:0], nil, nil
	g.spare.Put(b)
}

// Close refuses new items and waits until every batch has reported.
func (g *Group[T]) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for g.running > 0 {
		g.idle.Wait()
	}
}
