package load

import (
	"math"
	"testing"
	"time"
)

// near allows a microsecond of rounding.
func near(a, b time.Duration) bool { return (a - b).Abs() <= time.Microsecond }

func TestScheduleFollowsItsRate(t *testing.T) {
	f := func(name string, rate Rate, warmup, duration time.Duration, n int64, want time.Duration) {
		t.Helper()
		got, ok := newSchedule(rate, warmup, duration).due(n)
		if !ok || !near(got, want) {
			t.Errorf("%s: request %d is due at %v (%v), want %v", name, n, got, ok, want)
		}
	}
	const s = time.Second
	f("constant", Constant(1000), 0, 10*s, 0, 0)
	f("constant", Constant(1000), 0, 10*s, 1, time.Millisecond)
	f("constant", Constant(1000), 0, 10*s, 4321, 4321*time.Millisecond)
	f("less than one a second", Constant(0.5), 0, 10*s, 3, 6*s)
	f("shorter than a slice", Constant(10_000), 0, 3*time.Millisecond, 15, 1500*time.Microsecond)
	f("warm-up", Constant(100), 2*s, 3*s, 250, 2500*time.Millisecond)

	// From 0 to 1000/s in 10 s, 50 t² are due by t.
	f("ramp", Ramp{0, 1000, 10 * s}, 0, 20*s, 200, 2*s)
	f("ramp", Ramp{0, 1000, 10 * s}, 0, 20*s, 3200, 8*s)
	f("after the ramp", Ramp{0, 1000, 10 * s}, 0, 20*s, 5500, 10500*time.Millisecond)
	f("falling ramp", Ramp{1000, 0, 10 * s}, 0, 20*s, 5000-200, 8*s)
	f("ramp warms up at its beginning", Ramp{100, 200, s}, s, 2*s, 100, s)

	steps := Steps{{100, s}, {0, 2 * s}, {1000, s}}
	f("first step", steps, 0, 10*s, 50, 500*time.Millisecond)
	f("after a pause", steps, 0, 10*s, 101, 3*s+time.Millisecond)
	f("last step goes on", steps, 0, 10*s, 6100, 9*s)
}

func TestScheduleEndsWithTheRun(t *testing.T) {
	f := func(rate Rate, duration time.Duration, want int64) {
		t.Helper()
		s := newSchedule(rate, 0, duration)
		if at, ok := s.due(want - 1); !ok || at >= duration {
			t.Errorf("%v for %v: request %d is due at %v (%v), want before the end", rate, duration, want-1, at, ok)
		}
		if at, ok := s.due(want); ok {
			t.Errorf("%v for %v: request %d is due at %v, want none", rate, duration, want, at)
		}
	}
	f(Constant(1000), 10*time.Second, 10_000)
	f(Constant(100), 15*time.Millisecond, 2) // at 0 and at 10 ms
	f(Ramp{0, 1000, 10 * time.Second}, 10*time.Second, 5000)
	f(Constant(1), 60*time.Hour, 60*3600) // slices longer than the finest
}

func TestScheduleWithoutRateIsEmpty(t *testing.T) {
	for _, rate := range []Rate{Constant(0), Constant(-5), Steps{}} {
		if at, ok := newSchedule(rate, time.Second, time.Second).due(0); ok {
			t.Errorf("%v: request 0 is due at %v, want none", rate, at)
		}
	}
}

func TestScheduleNeverStepsBack(t *testing.T) {
	s := newSchedule(Steps{{3, time.Second}, {20_000, time.Second}, {0, time.Second}, {7, time.Second}}, time.Second, 5*time.Second)
	before := time.Duration(0)
	for n := int64(0); ; n++ {
		at, ok := s.due(n)
		if !ok {
			if float64(n) < math.Floor(s.count()) {
				t.Fatalf("ended at request %d of %v", n, s.count())
			}
			return
		}
		if at < before {
			t.Fatalf("request %d is due at %v, before the one before it at %v", n, at, before)
		}
		before = at
	}
}
