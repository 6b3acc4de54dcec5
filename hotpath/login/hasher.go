package login

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"oauth2-server/store"
)

// ErrBusy means that more passwords are being checked than the server has room for. It is a
// [store.ErrUnavailable]: 503, and nothing is known of the password.
var ErrBusy = fmt.Errorf("too many passwords are being checked, try again in a moment: %w", store.ErrUnavailable)

// waitFor is how long a password waits for its turn, and waiters how many do for each that works: as many as can be served
// within that time.
const (
	waitFor = time.Second
	waiters = 16
)

// A Hasher hashes passwords, at most so many at once that half of the cores are left for everything else: a flood of
// passwords slows nobody who brings a token. It is safe for concurrent use.
type Hasher struct {
	derive  derivation
	decoy   string
	inside  chan struct{} // who works or waits
	working chan struct{}
	busy    atomic.Int64
}

// HasherStats is how a [Hasher] is.
type HasherStats struct {
	Places  int   // that work at once
	Working int   // now
	Waiting int   // now
	Busy    int64 // how often [ErrBusy] was the answer
}

// Stats looks at the hasher without any wait.
func (h *Hasher) Stats() HasherStats {
	working := len(h.working)
	return HasherStats{Places: cap(h.working), Working: working, Waiting: max(len(h.inside)-working, 0), Busy: h.busy.Load()}
}

// NewHasher works on half of the cores, at least one.
func NewHasher() *Hasher { return newHasher(max(runtime.GOMAXPROCS(0)/2, 1), argon2.IDKey) }

func newHasher(atOnce int, derive derivation) *Hasher {
	nobody := newHash() // no password has a sum of zeros
	return &Hasher{derive: derive, decoy: nobody.String(), inside: make(chan struct{}, (1+waiters)*atOnce), working: make(chan struct{}, atOnce)}
}

// Hash is what is kept of a password: its argon2id with a salt of its own, in the PHC string format. [ErrBusy].
func (h *Hasher) Hash(ctx context.Context, text string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	made := newHash()
	made.sum = made.sumOf(text, h.derive)
	return made.String(), nil
}

// Verify reports whether kept is of the password text. [ErrBusy]; another error: kept is damaged.
func (h *Hasher) Verify(ctx context.Context, kept, text string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	return h.verify(kept, text)
}

// verify is Verify for who has entered.
func (h *Hasher) verify(kept, text string) (bool, error) {
	is, err := parseHash(kept)
	return err == nil && is.matches(text, h.derive), err
}

// enter returns nil when it is the caller's turn to work, until leave. [ErrBusy]: too many wait already, or it took too long.
func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.inside <- struct{}{}:
	default:
		h.busy.Add(1)
		return ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	select {
	case h.working <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-h.inside
		h.busy.Add(1)
		return ErrBusy
	}
}

func (h *Hasher) leave() {
	<-h.working
	<-h.inside
}
