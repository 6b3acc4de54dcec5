package cache

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockFollowsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		begin := time.Now()
		c.set(begin.Add(time.Hour), begin, begin)
		if got, want := c.now(), begin.Add(time.Hour).UnixNano(); got != want {
			t.Fatalf("off by %v", time.Duration(got-want))
		}
		time.Sleep(time.Minute)
		if got, want := c.now(), time.Now().Add(time.Hour).UnixNano(); got != want {
			t.Fatalf("after a minute off by %v", time.Duration(got-want))
		}
	})
}

func TestClockNeverStepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		before := c.now()
		begin := time.Now()
		c.set(begin.Add(-time.Hour), begin, begin) // the store's clock was set back
		if got := c.now(); got < before {
			t.Fatalf("stepped back by %v", time.Duration(before-got))
		}
		time.Sleep(2 * time.Hour)
		if got, want := c.now(), time.Now().Add(-time.Hour).UnixNano(); got != want {
			t.Fatalf("did not follow the store again: off by %v", time.Duration(got-want))
		}
	})
}

func TestSlowPollAddsNoJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		begin := time.Now()
		before := c.offset.Load()
		// The store read its clock at the very end of a poll of 800 ms: the middle is 400 ms off.
		c.set(begin.Add(800*time.Millisecond), begin, begin.Add(800*time.Millisecond))
		if c.offset.Load() != before {
			t.Fatal("took over a reading that is no better than what was known")
		}
	})
}
