package report

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
)

func labels(a *axis) []string {
	a.from, a.to = 0, 100
	var labels []string
	for _, t := range a.ticks() {
		labels = append(labels, t.Label)
	}
	return labels
}

func TestTicksAreRoundAndFew(t *testing.T) {
	f := func(a *axis, want ...string) {
		t.Helper()
		if got := labels(a); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(linearAxis("", 18_000, perSecond), "0", "5 k/s", "10 k/s", "15 k/s", "20 k/s")
	f(linearAxis("", 0, perSecond), "0", "1 /s")
	f(linearAxis("", 3, perSecond), "0", "1 /s", "2 /s", "3 /s")
	f(binaryAxis("", 3<<20), "0 B", "1 MiB", "2 MiB", "3 MiB")
	f(timeAxis(20), "0", "5 s", "10 s", "15 s", "20 s")
	f(timeAxis(900), "0", "5 min", "10 min", "15 min")
	f(timeAxis(0), "0", "1 s")
	f(latencyAxis([]float64{0.0012, 0.018}), "1 ms", "2 ms", "5 ms", "10 ms", "20 ms")
	f(latencyAxis([]float64{100e-6, 1}), "100 µs", "1 ms", "10 ms", "100 ms", "1 s")
	f(latencyAxis([]float64{0.001}), "500 µs", "1 ms")
	f(latencyAxis([]float64{0}), "1 ms", "2 ms", "5 ms", "10 ms")
	f(percentileAxis(0.9995), "50 %", "90 %", "99 %", "99.9 %")
}

func TestEveryNineIsAsWideAsTheOther(t *testing.T) {
	a := percentileAxis(1 - 1e-4)
	a.from, a.to = 0, 400
	for i, q := range []float64{0, 0.9, 0.99, 0.999, 0.9999} {
		if got, want := a.at(q), float64(100*i); math.Abs(got-want) > 1e-6 {
			t.Errorf("%g stands at %g, want %g", q, got, want)
		}
	}
}

func TestLongRunsShareTheirPointsAmongSeconds(t *testing.T) {
	o := &load.Outcome{Elapsed: 180 * time.Second}
	for i := range 180 {
		o.Ticks = append(o.Ticks, load.Tick{
			At: time.Duration(i+1)*time.Second + 3*time.Millisecond, Requests: 10, Rate: 10, Errors: int64(i % 2 * 10),
			P50: time.Millisecond, P99: time.Duration(i+1) * time.Millisecond, Max: time.Second,
		})
	}
	s := newSide(0, "", []*result.Run{{Phases: []result.Phase{{Name: "main", Outcome: o}}}})
	line := newTimeline([]*side{s})
	moments := line.moments(s)
	if line.every != 2 || len(moments) != 90 {
		t.Fatalf("got %d moments of %g s, want 90 of 2 s", len(moments), line.every)
	}
	want := moment{p50: 0.001, p99: 0.004, max: 1, good: 5, bad: 5, ticks: 2}
	if got := moments[1]; math.Abs(got.good-want.good) > 1e-9 || math.Abs(got.bad-want.bad) > 1e-9 || got.p99 != want.p99 || got.ticks != want.ticks {
		t.Errorf("the second moment is %+v, want %+v", got, want)
	}
}

func TestALineIsPartedWhereNothingWasGood(t *testing.T) {
	l := line{Points: []point{{0, 1}, {1, 2}, {2, math.NaN()}, {3, 1}, {4, math.NaN()}, {5, 2}, {6, 2}}}
	l.x = &axis{hi: 10, to: 10}
	l.y = &axis{hi: 10, to: 10}
	if got, want := l.Path(), "M0.0 1.0L1.0 2.0M3.0 1.0M5.0 2.0L6.0 2.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := l.Spots(), []spot{{3, 1}}; !slices.Equal(got, want) {
		t.Errorf("spots %v, want %v: a point without a neighbour would not be seen", got, want)
	}
}

func TestSecondsWithoutAGoodAnswerHaveNoLatency(t *testing.T) {
	s := &synthetic{newChance(1), 1}
	c := latencyChart([]*side{newSide(0, "", []*result.Run{s.fault()})})
	before, within := c.Table.Rows[0], c.Table.Rows[9] // the fifth second of the second phase
	if slices.Contains(before, "–") || !slices.Equal(within[1:], []string{"–", "–", "–"}) {
		t.Errorf("before the fault %q, within it %q", before, within)
	}
	for _, l := range c.Lines {
		if strings.Count(l.Path(), "M") != 4 {
			t.Errorf("%s is one of %d parts, want 4: three phases, of which one has a gap", l.Style, strings.Count(l.Path(), "M"))
		}
	}
}
