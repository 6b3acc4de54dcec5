package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"oauth2-server/bench/quantity"
)

// A reading is one line of a chart over time: how it looks, and what it shows of a moment; NaN is nothing.
type reading struct {
	style
	value func(moment) float64
	write func(float64) string
}

var (
	latencies = []reading{
		{style{"thin", "p50"}, func(m moment) float64 { return positive(m.p50) }, quantity.Seconds},
		{style{"thick", "p99"}, func(m moment) float64 { return positive(m.p99) }, quantity.Seconds},
		{style{"dots", "max"}, func(m moment) float64 { return positive(m.max) }, quantity.Seconds},
	}
	throughputs = []reading{
		{style{"dash", "offered"}, func(m moment) float64 { return positive(m.offered) }, quantity.Rate},
		{style{"thick", "good answers"}, func(m moment) float64 { return m.good }, quantity.Rate},
		{style{"dots", "errors"}, func(m moment) float64 { return m.bad }, quantity.Rate},
	}
	memories = []reading{
		{style{"thick", "memory"}, func(m moment) float64 { return positive(m.memory) }, quantity.Bytes},
	}
)

// fewest is how many seconds a phase must have to show how anything went over time.
const fewest = 3

// positive is v, or nothing: a latency, an offer or a size of zero is none.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}

// latencyChart is p50, p99 and max, second by second.
func latencyChart(sides []*side) *chart {
	return timeChart("Latency over time", sides, latencies, limitedAxis)
}

// throughputChart is good answers, errors and what was offered, second by second.
func throughputChart(sides []*side) *chart {
	return timeChart("Throughput over time", sides, throughputs, func(values []float64, _ []*side) (*axis, []limit) {
		return linearAxis("answers a second", slices.Max(values), perSecond), nil
	})
}

// steady is how long a run must last, in seconds, for its memory to say anything.
const steady = 60

// memoryChart is what the server's processes hold, for runs that are long enough.
func memoryChart(sides []*side) *chart {
	if newTimeline(sides).total < steady {
		return nil
	}
	return timeChart("Memory of the server", sides, memories, func(values []float64, _ []*side) (*axis, []limit) {
		return binaryAxis("resident, all replicas", slices.Max(values)), nil
	})
}

// vertical makes the axis that values (there is at least one) are drawn along, and the limits on it.
type vertical func(values []float64, sides []*side) (*axis, []limit)

// timeChart draws those readings that any side has; nil when there is none.
func timeChart(title string, sides []*side, all []reading, y vertical) *chart {
	t := newTimeline(sides)
	if t.longest() < fewest {
		return nil
	}
	moments := make([][]moment, len(sides))
	for i, s := range sides {
		moments[i] = t.moments(s)
	}
	shown, values := present(all, moments)
	if len(shown) == 0 {
		return nil
	}
	c := &chart{Title: title, X: timeAxis(t.total), Bands: t.bands()}
	c.Y, c.Limits = y(values, sides)
	if t.every > 1 {
		c.Note = fmt.Sprintf("Each point stands for %s: the worst p99 and max in it, and the mean of the rest.", quantity.Seconds(t.every))
	}
	for _, r := range shown {
		c.Styles = append(c.Styles, r.style)
		for i, s := range sides {
			c.Lines = append(c.Lines, t.line(s, r, moments[i]))
		}
	}
	t.read(c, sides, shown, moments)
	return c.place()
}

// present are the readings that are above zero at any time, and all their values.
func present(all []reading, sides [][]moment) (shown []reading, values []float64) {
	for _, r := range all {
		before := len(values)
		for _, moments := range sides {
			for _, m := range moments {
				if v := r.value(m); v > 0 {
					values = append(values, v)
				}
			}
		}
		if len(values) > before {
			shown = append(shown, r)
		}
	}
	return shown, values
}

// line joins a side's moments; phases are not joined to each other, and nothing is drawn where nothing is known.
func (t *timeline) line(s *side, r reading, moments []moment) *line {
	l := &line{Side: s.Index, Style: r.Style}
	if r.Style == "thick" {
		l.Mark = s.Letter
	}
	for i, slot := range t.slots {
		if moments[i].ticks > 0 {
			l.Points = append(l.Points, point{slot.middle, r.value(moments[i])})
		}
		if slot.last {
			l.Points = append(l.Points, point{slot.end, math.NaN()})
		}
	}
	return l
}

// read fills the stops and the table.
func (t *timeline) read(c *chart, sides []*side, shown []reading, moments [][]moment) {
	c.Table.Head = []string{"until"}
	for _, s := range sides {
		for _, r := range shown {
			c.Table.Head = append(c.Table.Head, strings.TrimSpace(s.Letter+" "+r.Name))
		}
	}
	for i, slot := range t.slots {
		stop := stop{value: slot.middle, Head: quantity.Seconds(math.Round(slot.end*10) / 10)}
		row := []string{stop.Head}
		for k, s := range sides {
			texts := write(shown, moments[k][i])
			row = append(row, texts...)
			stop.Reads = append(stop.Reads, s.read(shown, texts))
		}
		c.Stops, c.Table.Rows = append(c.Stops, stop), append(c.Table.Rows, row)
	}
}

// write is the text of each reading.
func write(readings []reading, m moment) []string {
	var texts []string
	for _, r := range readings {
		if m.ticks == 0 || math.IsNaN(r.value(m)) {
			texts = append(texts, quantity.None)
		} else {
			texts = append(texts, r.write(r.value(m)))
		}
	}
	return texts
}

// read is what the pointer reads of a side. Beside others there is no room for the names of its values.
func (s *side) read(shown []reading, texts []string) read {
	if s.Letter != "" {
		return read{Side: s.Index, Mark: s.Letter, Text: strings.Join(texts, " / ")}
	}
	var named []string
	for i, text := range texts {
		named = append(named, shown[i].Name+" "+text)
	}
	return read{Side: s.Index, Text: strings.Join(named, "   ")}
}
