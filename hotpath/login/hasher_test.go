package login

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

// A flood of passwords takes so many cores and no more; some wait, not for long, and the rest is told at once.
func TestHasherBoundsAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const atOnce, flood = 2, 64
		var working, most, done, busy atomic.Int64
		release := make(chan struct{})
		h := newHasher(atOnce, func(_, _ []byte, _, _ uint32, _ uint8, keyLen uint32) []byte {
			for now := working.Add(1); now > most.Load(); {
				most.Store(now)
			}
			<-release
			working.Add(-1)
			return make([]byte, keyLen)
		})
		for range flood {
			go func() {
				_, err := h.Hash(t.Context(), goodPassword)
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, ErrBusy) && errors.Is(err, store.ErrUnavailable):
					busy.Add(1)
				default:
					t.Error(err)
				}
			}()
		}
		wantCounts := func(working, gone int64) {
			t.Helper()
			synctest.Wait()
			if got := most.Load(); got != working {
				t.Errorf("got %d at once, want %d", got, working)
			}
			if got := busy.Load(); got != gone {
				t.Errorf("got %d turned away, want %d", got, gone)
			}
			want := HasherStats{Places: atOnce, Working: atOnce, Waiting: int(flood - gone - atOnce), Busy: gone}
			if got := h.Stats(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		wantCounts(atOnce, flood-(1+waiters)*atOnce)
		time.Sleep(2 * waitFor)          // of the bubble's clock
		wantCounts(atOnce, flood-atOnce) // those who waited have given up
		close(release)
		synctest.Wait()
		if got := done.Load(); got != atOnce {
			t.Errorf("got %d done, want %d", got, atOnce)
		}
		if _, err := h.Hash(t.Context(), goodPassword); err != nil {
			t.Errorf("after the flood: %v", err)
		}
	})
}

func TestHasherDoesNotWorkForWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, calls := make(chan struct{}), atomic.Int64{}
		h := newHasher(1, func(_, _ []byte, _, _ uint32, _ uint8, keyLen uint32) []byte {
			calls.Add(1)
			<-release
			return make([]byte, keyLen)
		})
		first := make(chan error, 1)
		go func() {
			_, err := h.Hash(t.Context(), goodPassword)
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := h.Hash(ctx, goodPassword)
			result <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		close(release)
		if err := <-first; err != nil || calls.Load() != 1 {
			t.Errorf("got %v and %d derivations, want the first alone", err, calls.Load())
		}
	})
}
