package load

import (
	"sort"
	"time"
)

// A schedule says when the n-th request is due: when the integral of the rate reaches n.
type schedule struct {
	slice float64   // ns
	upTo  []float64 // requests due before the end of each slice
}

const (
	perSecond  = 100 // slices
	mostSlices = 100_000
	rounding   = 1e-6 // of a request: what the sum of all slices may be too large
)

// newSchedule integrates rate over a warm-up, at the rate of its end, and the
// run after it. The rate counts as even within a slice, which sums up exactly
// for all that is linear.
func newSchedule(rate Rate, warmup, duration time.Duration) *schedule {
	whole := warmup + duration
	n := min(1+int((whole-1)*perSecond/time.Second), mostSlices)
	s := &schedule{slice: float64(whole) / float64(n), upTo: make([]float64, n)}
	sum := 0.0
	for i := range s.upTo {
		middle := time.Duration((float64(i) + 0.5) * s.slice)
		sum += max(0, rate.At(max(0, middle-warmup))) * s.slice / float64(time.Second)
		s.upTo[i] = sum
	}
	return s
}

// count is how many requests are due in the whole run.
func (s *schedule) count() float64 { return s.upTo[len(s.upTo)-1] }

// due is when request n leaves, counted from the beginning of the warm-up; false when the run is over before it.
func (s *schedule) due(n int64) (time.Duration, bool) {
	i := sort.Search(len(s.upTo), func(i int) bool { return s.upTo[i] > float64(n)+rounding })
	if i == len(s.upTo) {
		return 0, false
	}
	before := 0.0
	if i > 0 {
		before = s.upTo[i-1]
	}
	within := (float64(n) - before) / (s.upTo[i] - before)
	return time.Duration((float64(i) + within) * s.slice), true
}
