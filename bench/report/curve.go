package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"oauth2-server/bench/load"
	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// A curve is a histogram and the name of what it counted.
type curve struct {
	name    string
	latency load.Histogram
}

// curves of a run are its phases or, where it has only one, the kinds of its requests.
func curves(s *side) []curve {
	phases := s.phases()
	if len(phases) == 1 && len(phases[0].Outcome.Kinds) > 1 {
		return measured(kinds(phases[0].Outcome))
	}
	var curves []curve
	for _, p := range phases {
		curves = append(curves, curve{p.Name, p.Outcome.Total.Latency})
	}
	return measured(curves)
}

// kinds are the curves of an outcome's kinds, by name.
func kinds(o *load.Outcome) []curve {
	var curves []curve
	for _, name := range slices.Sorted(maps.Keys(o.Kinds)) {
		curves = append(curves, curve{name, o.Kinds[name].Latency})
	}
	return curves
}

func measured(curves []curve) []curve {
	return slices.DeleteFunc(curves, func(c curve) bool { return c.latency.Count() == 0 })
}

// How many curves one chart can show apart, and how many charts a scenario needs at most. The table has them all.
const (
	mostCurves = 6
	mostPanels = 4
)

// percentileCharts are one chart with all curves of a single side, or a chart a curve with a line a side.
func percentileCharts(sides []*side) []*chart {
	if len(sides) == 1 {
		return []*chart{percentileChart("Percentiles", ofOneSide(sides[0]))}
	}
	var names []string
	for _, s := range sides {
		for _, c := range curves(s) {
			if !slices.Contains(names, c.name) {
				names = append(names, c.name)
			}
		}
	}
	var charts []*chart
	for _, name := range evenly(names, mostPanels) {
		title := "Percentiles"
		if len(names) > 1 {
			title += ": " + name
		}
		charts = append(charts, percentileChart(title, ofAllSides(sides, name)))
	}
	return charts
}

// evenly keeps at most n of the list, the first and the last among them.
func evenly[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	kept := make([]T, 0, n)
	for i := range n {
		kept = append(kept, list[i*(len(list)-1)/(n-1)])
	}
	return kept
}

// A trace is a curve with its colour and its mark.
type trace struct {
	curve
	side int
	mark string
}

// ofOneSide numbers the curves, unless there is only one.
func ofOneSide(s *side) []trace {
	var traces []trace
	for i, c := range evenly(curves(s), mostCurves) {
		traces = append(traces, trace{c, i, strconv.Itoa(i + 1)})
	}
	if len(traces) == 1 {
		traces[0].mark = ""
	}
	return traces
}

// ofAllSides are the curves of that name.
func ofAllSides(sides []*side, name string) []trace {
	var traces []trace
	for _, s := range sides {
		for _, c := range curves(s) {
			if c.name == name {
				traces = append(traces, trace{c, s.Index, s.Letter})
			}
		}
	}
	return traces
}

// finestCurve is the distance between two points of a curve, in nines.
const finestCurve = 0.05

// stations are the quantiles that the pointer stops at and the table lists.
var stations = []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 0.999999}

// percentileChart draws latency by quantile, every nine as wide as the one before it.
func percentileChart(title string, traces []trace) *chart {
	if len(traces) == 0 {
		return nil
	}
	c := &chart{Title: title}
	last, values := 0.9, []float64(nil)
	for _, t := range traces {
		l := &line{Side: t.side, Style: "thick", Mark: t.mark, Points: quantiles(t.latency)}
		for _, p := range l.Points {
			last, values = math.Max(last, p.X), append(values, p.Y)
		}
		c.Lines = append(c.Lines, l)
		if t.name != traces[0].name || len(traces) > 1 && t.name != traces[1].name {
			c.Keys = append(c.Keys, key{t.side, t.mark, t.name})
		}
	}
	c.X, c.Y = percentileAxis(last), latencyAxis(values)
	readCurves(c, traces, last)
	return c.place()
}

// quantiles are a curve's points, from a tenth up to the last that its count can tell from the maximum.
func quantiles(h load.Histogram) []point {
	end := math.Min(6, math.Max(1, math.Log10(float64(h.Count()))))
	var points []point
	for x := finestCurve; x < end+finestCurve/2; x += finestCurve {
		q := 1 - math.Pow(10, -math.Min(x, end))
		points = append(points, point{q, math.Max(h.Quantile(q).Seconds(), 1e-6)})
	}
	return points
}

// readCurves fills the stops and the table; the table's last row is the maximum.
func readCurves(c *chart, traces []trace, last float64) {
	c.Table.Head = []string{"percentile"}
	worst := []string{"max"}
	for _, t := range traces {
		c.Table.Head = append(c.Table.Head, strings.TrimSpace(t.mark+" "+t.name))
		worst = append(worst, quantity.Duration(t.latency.Max()))
	}
	for _, q := range stations {
		if q > last {
			break
		}
		head := c.X.label(q)
		stop, row := stop{value: q, Head: head}, []string{head}
		for _, t := range traces {
			text := quantity.Duration(t.latency.Quantile(q))
			stop.Reads, row = append(stop.Reads, read{t.side, t.mark, text}), append(row, text)
		}
		c.Stops, c.Table.Rows = append(c.Stops, stop), append(c.Table.Rows, row)
	}
	c.Table.Rows = append(c.Table.Rows, worst)
}

// fewestSteps is how many rates make a curve.
const fewestSteps = 3

// rateChart is latency against throughput, where the phases step the rate.
func rateChart(sides []*side) *chart {
	c := &chart{Title: "Latency against throughput", Styles: []style{{"thick", "p99"}, {"thin", "p50"}}}
	c.Table.Head = []string{"", "step", "offered", "good answers", "p50", "p99"}
	var rates, values []float64
	for _, s := range sides {
		steps := steps(s)
		p50, p99 := &line{Side: s.Index, Style: "thin"}, &line{Side: s.Index, Style: "thick", Mark: s.Letter, Dots: true}
		for _, p := range steps {
			h, rate := p.Outcome.Total.Latency, p.Outcome.Throughput
			p50.Points = append(p50.Points, point{rate, h.Quantile(0.5).Seconds()})
			p99.Points = append(p99.Points, point{rate, h.Quantile(0.99).Seconds()})
			rates, values = append(rates, rate), append(values, h.Quantile(0.5).Seconds(), h.Quantile(0.99).Seconds())
			c.Table.Rows = append(c.Table.Rows, []string{
				s.Letter, p.Name, quantity.Rate(p.Outcome.Intended), quantity.Rate(rate),
				quantity.Duration(h.Quantile(0.5)), quantity.Duration(h.Quantile(0.99)),
			})
		}
		c.Lines = append(c.Lines, p50, p99)
	}
	if len(rates) == 0 {
		return nil
	}
	c.X = linearAxis("good answers a second", slices.Max(rates), perSecond)
	c.Y, c.Limits = limitedAxis(values, sides)
	return c.place()
}

// steps are the phases of a side by their rate, if there are enough rates.
func steps(s *side) []result.Phase {
	steps := slices.DeleteFunc(s.phases(), func(p result.Phase) bool {
		return p.Outcome.Intended == 0 || p.Outcome.Total.Latency.Count() == 0
	})
	slices.SortStableFunc(steps, func(a, b result.Phase) int { return cmp.Compare(a.Outcome.Intended, b.Outcome.Intended) })
	rates := map[float64]bool{}
	for _, p := range steps {
		rates[math.Round(p.Outcome.Intended)] = true
	}
	if len(rates) < fewestSteps {
		return nil
	}
	return steps
}
