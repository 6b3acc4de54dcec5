package cache

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"oauth2-server/store"
)

const (
	pollEvery    = 50 * time.Millisecond
	pollPatience = time.Second
	pageSize     = 1000 // changes of one poll, by the contract of the store
	// loadPatience bounds a whole load: five million denials take some seconds.
	loadPatience = 20 * time.Second
)

// A FeedStore is what the follower needs of the store.
type FeedStore interface {
	Load(ctx context.Context, apply func(*store.Change) error) (store.Beat, error)
	Poll(ctx context.Context, from store.Cursor, apply func(*store.Change) error) (store.Beat, error)
	Rewrite(ctx context.Context, actor store.Actor, last store.Position, denials []store.Denial, cutoffs []store.Cutoff) error
}

// feed follows the store's changes: it keeps the state, the fence and the clock.
type feed struct {
	store FeedStore
	actor store.Actor // this replica, for what it writes back
	log   *slog.Logger
	state *state
	fence *fence
	clock *clock

	cursor store.Cursor
	loaded bool
	logged string // the fault that was logged last, so that an outage is one line
}

// run polls until ctx is done. Nothing in it may end it: a replica that stops following is a wrong one.
func (f *feed) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		begin := time.Now()
		more, err := f.follow(ctx, begin)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		f.note(err)
		timer.Reset(pause(begin, more, err))
	}
}

// pause is the time to the next poll. After a fault it is longer and random, so that the
// replicas do not reconnect in step.
func pause(begin time.Time, more bool, err error) time.Duration {
	switch {
	case more:
		return 0
	case err != nil:
		return 2*pollEvery + rand.N(3*pollEvery)
	default:
		return max(pollEvery-time.Since(begin), 0)
	}
}

// follow is one poll, or a whole load when there is no history to follow. It
// reports whether there is more to fetch at once.
func (f *feed) follow(ctx context.Context, begin time.Time) (more bool, err error) {
	if !f.loaded {
		if err = f.load(ctx); err != nil {
			f.fence.end(begin, err)
		}
		return err == nil, err // the beat comes from a poll: it is short
	}
	ctx, cancel := context.WithTimeout(ctx, pollPatience)
	defer cancel()
	p := page{s: f.state}
	beat, err := f.store.Poll(ctx, f.cursor, p.apply)
	switch {
	case errors.Is(err, store.ErrNotFound):
		f.log.Warn("the feed's history is another one or was pruned; loading everything anew", "position", f.cursor.Seq)
		f.loaded = false
		return true, nil
	case err != nil:
		// A page too long for one poll would be begun again and again: a load has more time.
		f.loaded = p.changes == 0
		f.fence.end(begin, err)
		return f.fence.age() > fresh && !f.fence.cut.Load(), err // requests wait for the next one
	}
	p.publish(beat.Cursor.Seq)
	f.cursor = beat.Cursor
	f.clock.set(beat.Now, begin, time.Now())
	if p.changes >= pageSize {
		return true, nil // not there yet: no beat
	}
	f.fence.pass(begin)
	return false, nil
}

// load reads everything and joins it with what this replica knew. Where the store has lost history (a
// failover, a restore) that is written back first, and the numbers move past those known here.
func (f *feed) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	for {
		begin := time.Now()
		w := newWhole()
		beat, err := f.store.Load(ctx, w.apply)
		if err != nil {
			return err
		}
		now := beat.Now.Unix()
		denials, cuts := f.state.lost(w, f.cursor.Seq, now)
		if beat.Cursor.Seq >= f.cursor.Seq && len(denials)+len(cuts) == 0 {
			f.state.exchange(w, beat.Cursor.Seq, now)
			f.clock.set(beat.Now, begin, time.Now())
			f.cursor, f.loaded = beat.Cursor, true
			return nil
		}
		f.log.Warn("the store has lost history; writing it back",
			"known", f.cursor.Seq, "found", beat.Cursor.Seq, "denials", len(denials), "cutoffs", len(cuts))
		if err := f.store.Rewrite(ctx, f.actor, f.cursor.Seq+1, denials, cuts); err != nil {
			return err
		}
	}
}

// note logs a fault when it begins, changes and ends.
func (f *feed) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch text {
	case f.logged:
		return
	case "":
		f.log.Info("following the store again", "position", f.cursor.Seq)
	default:
		f.log.Error("cannot follow the store", "err", text)
	}
	f.logged = text
}
