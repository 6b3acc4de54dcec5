package report

import (
	"math"
	"strconv"

	"oauth2-server/bench/quantity"
)

// An axis maps values to pixels and says where its ticks stand.
type axis struct {
	Title    string                 // empty where the ticks say it
	lo, hi   float64                // values at its ends
	from, to float64                // pixels of its ends
	warp     func(float64) float64  // what grows evenly along it; nil: the value
	marks    []float64              // values with a tick
	label    func(v float64) string // of a tick
}

// at is the pixel of a value; values beyond an end stand at the end.
func (a *axis) at(v float64) float64 {
	warp := a.warp
	if warp == nil {
		warp = func(v float64) float64 { return v }
	}
	share := (warp(v) - warp(a.lo)) / (warp(a.hi) - warp(a.lo))
	if math.IsNaN(share) {
		share = 0
	}
	return a.from + min(1, max(0, share))*(a.to-a.from)
}

// ticks are the marks in pixels.
func (a *axis) ticks() []tick {
	var ticks []tick
	for _, v := range a.marks {
		ticks = append(ticks, tick{At: pixel(a.at(v)), Label: a.label(v)})
	}
	return ticks
}

// A tick is a grid line and its label.
type tick struct {
	At    pixel
	Label string
}

// A pixel is written with a digit behind the point: more would make a page heavier, not sharper.
type pixel float64

func (p pixel) String() string { return strconv.FormatFloat(float64(p), 'f', 1, 64) }

// steps are the distances between ticks that people count in.
var (
	decimalSteps = []float64{1, 2, 2.5, 5}
	timeSteps    = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600}
)

// most is how many steps an axis is parted into at most.
const most = 5

// linearAxis runs from zero to a round number at or above high.
func linearAxis(title string, high float64, label func(float64) string) *axis {
	step := decimalStep(high)
	a := &axis{Title: title, hi: step * math.Max(1, math.Ceil(high/step-1e-9)), label: label}
	a.marks = multiples(step, a.hi)
	return a
}

// decimalStep is the smallest round step that needs no more than most of them to reach high.
func decimalStep(high float64) float64 {
	if high <= 0 {
		return 1
	}
	for power := math.Pow(10, math.Floor(math.Log10(high/most))); ; power *= 10 {
		for _, s := range decimalSteps {
			if s*power*most >= high {
				return s * power
			}
		}
	}
}

// timeAxis runs from zero to high seconds, which need not be round.
func timeAxis(high float64) *axis {
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if s*(most+1) >= high {
			step = s
			break
		}
	}
	a := &axis{hi: math.Max(high, step), label: clock(step)}
	a.marks = multiples(step, a.hi)
	return a
}

// clock writes seconds in the unit that suits the step.
func clock(step float64) func(float64) string {
	name, size := " s", 1.0
	switch {
	case step >= 3600:
		name, size = " h", 3600
	case step >= 60:
		name, size = " min", 60
	}
	return func(v float64) string {
		if v == 0 {
			return "0"
		}
		return strconv.FormatFloat(v/size, 'f', -1, 64) + name
	}
}

func multiples(step, high float64) []float64 {
	var marks []float64
	for i := 0.0; i*step <= high*(1+1e-9); i++ {
		marks = append(marks, i*step)
	}
	return marks
}

// latencyAxis is logarithmic and spans all of the seconds given that are above zero.
func latencyAxis(seconds []float64) *axis {
	lo, hi := math.Inf(1), 0.0
	for _, v := range seconds {
		if v > 0 {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if hi == 0 {
		lo, hi = 1e-3, 1e-2 // nothing to draw; any axis will do
	}
	a := &axis{Title: "latency, log scale", warp: math.Log, label: quantity.Seconds}
	a.lo, a.hi = roundDown(lo), roundUp(hi)
	if a.lo == a.hi {
		a.lo = roundDown(a.lo * 0.9)
	}
	a.marks = logMarks(a.lo, a.hi)
	return a
}

// ladder is how a decade is parted on a logarithmic axis.
var ladder = []float64{1, 2, 5, 10}

// roundDown is the largest of 1, 2, 5 times a power of ten that is not above v.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	best := power
	for _, s := range ladder {
		if s*power <= v*(1+1e-9) {
			best = s * power
		}
	}
	return best
}

// roundUp is the smallest of them that is not below v.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, s := range ladder {
		if s*power >= v*(1-1e-9) {
			return s * power
		}
	}
	return 10 * power
}

// logMarks are the powers of ten between lo and hi, and where they are few the steps between them as well.
func logMarks(lo, hi float64) []float64 {
	parts := ladder[:3]
	if math.Log10(hi/lo) > 3.1 {
		parts = ladder[:1]
	}
	var marks []float64
	for power := math.Pow(10, math.Floor(math.Log10(lo)+1e-9)); power <= hi*(1+1e-9); power *= 10 {
		for _, s := range parts {
			if v := s * power; v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				marks = append(marks, v)
			}
		}
	}
	return marks
}

// percentileAxis gives each nine the same room: its values are quantiles, from 0 up to last, below 1.
func percentileAxis(last float64) *axis {
	a := &axis{hi: last, warp: nines, label: func(q float64) string {
		return strconv.FormatFloat(math.Round(q*1e9)/1e7, 'f', -1, 64) + " %"
	}}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
		if q <= last {
			a.marks = append(a.marks, q)
		}
	}
	return a
}

// nines counts them: 0.99 has two.
func nines(q float64) float64 { return -math.Log10(1 - q) }

// perSecond labels a rate's tick.
func perSecond(v float64) string {
	if v == 0 {
		return "0"
	}
	return quantity.Rate(v)
}

// binaryAxis is a linear one of bytes.
func binaryAxis(title string, high float64) *axis {
	step := 1.0
	for step*most < high {
		step *= 2
	}
	a := &axis{Title: title, hi: step * math.Max(1, math.Ceil(high/step-1e-9)), label: quantity.Bytes}
	a.marks = multiples(step, a.hi)
	return a
}
