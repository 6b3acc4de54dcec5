package report

import (
	"slices"
	"strings"

	"oauth2-server/bench/slo"
)

// limits are the latencies that the sides' SLO sets a bound to, of those that charts show.
func limits(sides []*side) []limit {
	var limits []limit
	for _, s := range sides {
		rules, err := slo.Parse(s.Run.SLO)
		if err != nil {
			continue // written by another version of the rules; the page shows its text
		}
		for _, r := range rules {
			shown := slices.Contains([]string{"p50", "p99", "max"}, r.Metric) && strings.HasPrefix(r.Op, "<")
			l := limit{value: r.Bound, Name: "SLO " + r.Text}
			if shown && !slices.Contains(limits, l) {
				limits = append(limits, l)
			}
		}
	}
	return limits
}

// near is how far above the highest value a limit may be to be drawn; beyond it, it would flatten the chart.
const near = 4

// limitedAxis is a latency axis that shows the limits as well, if they are near.
func limitedAxis(values []float64, sides []*side) (*axis, []limit) {
	high := slices.Max(values)
	near := slices.DeleteFunc(limits(sides), func(l limit) bool { return l.value > near*high })
	for _, l := range near {
		values = append(values, l.value)
	}
	return latencyAxis(values), near
}
