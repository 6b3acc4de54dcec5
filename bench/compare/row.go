package compare

import "math"

// A Verdict is what became of one measured thing.
type Verdict string

// The verdicts. Changed is for facts of which it is not known which way is better.
const (
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	Changed Verdict = "changed"
	Noise   Verdict = "noise"
)

// A Row is one measured thing of one scenario, before and after.
type Row struct {
	Scenario string    `json:"scenario"`
	Metric   string    `json:"metric"`
	A        []float64 `json:"a"` // of each repeat
	B        []float64 `json:"b"`
	Change   *float64  `json:"change"` // of the median, as a part of A's; null when A's is 0 and B's is not
	P        float64   `json:"p"`      // probability of such a difference by chance alone
	Verdict  Verdict   `json:"verdict"`
	Unsure   bool      `json:"unsure"` // there are too few repeats to tell such a difference from noise

	write func(float64) string
}

// Texts are the medians for people.
func (r Row) Texts() (a, b string) { return r.write(median(r.A)), r.write(median(r.B)) }

// unsure is how many thresholds a change must exceed where there are too few repeats to tell it from noise.
const unsure = 3

// newRow judges: a difference must be larger than the threshold, and larger than what the repeats differ among
// themselves. With too few repeats to tell, it must be much larger, and the two sides must not overlap.
func newRow(scenario string, of value, a, b []float64, o Options) Row {
	r := Row{Scenario: scenario, Metric: of.name, A: a, B: b, P: rankTest(a, b), Verdict: Noise, write: of.write}
	before, after := median(a), median(b)
	least := leastP(len(a), len(b))
	r.Unsure = least > o.Level
	threshold, level := o.Threshold, o.Level
	if r.Unsure {
		threshold, level = unsure*threshold, least
	}
	difference := after - before
	large := math.Abs(difference) > of.least
	switch {
	case before != 0:
		change := difference / math.Abs(before)
		r.Change = &change
		large = large && math.Abs(change) > threshold
	case after == 0:
		r.Change = new(float64)
	}
	if large && r.P <= level {
		r.Verdict = of.better.verdict(difference)
	}
	return r
}

func (d direction) verdict(difference float64) Verdict {
	switch {
	case d == neither:
		return Changed
	case (d == lower) == (difference < 0):
		return Better
	}
	return Worse
}
