package load

import "time"

// A Rate is how many requests a second are due at a time of the run, counted from the end of its warm-up.
type Rate interface{ At(t time.Duration) float64 }

// Constant is the same rate at all times.
type Constant float64

// At is the rate.
func (c Constant) At(time.Duration) float64 { return float64(c) }

// Ramp goes evenly from one rate to another, and stays there.
type Ramp struct {
	From, To float64
	Over     time.Duration
}

// At is the rate at t.
func (r Ramp) At(t time.Duration) float64 {
	switch {
	case t >= r.Over:
		return r.To
	case t <= 0:
		return r.From
	}
	return r.From + (r.To-r.From)*float64(t)/float64(r.Over)
}

// Steps are rates held one after another; the last is held to the end.
type Steps []Step

// A Step is one of them.
type Step struct {
	Rate float64
	For  time.Duration
}

// At is the rate at t.
func (s Steps) At(t time.Duration) float64 {
	rate := 0.0
	for _, step := range s {
		rate = step.Rate
		if t -= step.For; t < 0 {
			break
		}
	}
	return rate
}
