package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"oauth2-server/bench/load"
	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// A section is one scenario.
type section struct {
	Name, Title, Question string
	Sides                 []*side
	Changes               []change
	Tiles                 []tile
	Figures               []figures
	Facts                 []fact
	Parts                 []part
	Charts                []*chart
}

func newSection(sides []*side) *section {
	first := sides[0].Run
	s := &section{Name: first.Scenario, Title: first.Title, Question: first.Question, Sides: sides}
	for _, side := range sides {
		s.Figures = append(s.Figures, side.figures()...)
		s.Parts = append(s.Parts, side.parts()...)
	}
	s.Tiles, s.Facts = tiles(sides), facts(sides)
	s.Charts = append(s.Charts, latencyChart(sides), throughputChart(sides), rateChart(sides))
	s.Charts = append(s.Charts, percentileCharts(sides)...)
	s.Charts = append(s.Charts, memoryChart(sides))
	s.Charts = slices.DeleteFunc(s.Charts, func(c *chart) bool { return c == nil })
	return s
}

// A tile is one number that people look for first, of every side.
type tile struct {
	Name   string
	Values []read
}

// tiles are about the phase that the run is judged by.
func tiles(sides []*side) []tile {
	all := []tile{{Name: "good answers"}, {Name: "p50"}, {Name: "p99"}, {Name: "max"}, {Name: "errors"}}
	for _, s := range sides {
		f := s.Judged()
		for i, text := range []string{f.Rate, f.P50, f.P99, f.Max, f.Errors} {
			all[i].Values = append(all[i].Values, read{s.Index, s.Letter, text})
		}
	}
	return all
}

// Judged is the figures of the phase that the run is judged by.
func (s *side) Judged() figures {
	main := s.Run.Main()
	if main == nil || main.Outcome == nil {
		return newFigures(&load.Outcome{}, &load.Kind{}, math.NaN())
	}
	return newFigures(main.Outcome, &main.Outcome.Total, main.Outcome.Throughput)
}

// Across reports that the tables beside the charts need a row of their own: charts stand in pairs.
func (s *section) Across() bool { return len(s.Charts)%2 == 0 }

// MainPhase is the phase that the tiles speak of, where there are others.
func (s *section) MainPhase() string {
	for _, side := range s.Sides {
		if len(side.phases()) > 1 {
			return side.Run.Main().Name
		}
	}
	return ""
}

// Figures are a row of the table of a scenario.
type figures struct {
	Side        int
	Letter      string
	Phase, Kind string
	Offered     string
	Rate        string
	P50, P90    string
	P99, P999   string
	Max         string
	Errors      string
	Reasons     string
}

func newFigures(o *load.Outcome, k *load.Kind, rate float64) figures {
	f := figures{Rate: quantity.Rate(rate), Errors: quantity.None, Offered: "closed loop", Reasons: reasons(k.Errors)}
	if o.Intended > 0 {
		f.Offered = quantity.Rate(o.Intended)
	}
	if k.Requests > 0 {
		f.Errors = quantity.Percent(float64(k.Failed()) / float64(k.Requests))
	}
	at := func(q float64) string {
		if k.Latency.Count() == 0 {
			return quantity.None
		}
		return quantity.Duration(k.Latency.Quantile(q))
	}
	f.P50, f.P90, f.P99, f.P999, f.Max = at(0.5), at(0.9), at(0.99), at(0.999), at(1)
	return f
}

// reasons are the errors by their number.
func reasons(errors map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(errors), func(a, b string) int { return int(errors[b] - errors[a]) })
	var texts []string
	for _, name := range names {
		texts = append(texts, fmt.Sprintf("%s %s×", name, quantity.Number(float64(errors[name]))))
	}
	return strings.Join(texts, ", ")
}

// figures are a row for each phase, and below it one for each kind of its requests if there are several.
func (s *side) figures() []figures {
	var rows []figures
	add := func(f figures, phase, kind string) {
		f.Side, f.Letter, f.Phase, f.Kind = s.Index, s.Letter, phase, kind
		rows = append(rows, f)
	}
	for _, p := range s.phases() {
		o := p.Outcome
		add(newFigures(o, &o.Total, o.Throughput), p.Name, "all")
		if len(o.Kinds) < 2 {
			continue
		}
		for _, kind := range slices.Sorted(maps.Keys(o.Kinds)) {
			k := o.Kinds[kind]
			rate := 0.0
			if seconds := o.Elapsed.Seconds(); seconds > 0 {
				rate = float64(k.Requests-k.Failed()) / seconds
			}
			f := newFigures(o, k, rate)
			f.Offered = ""
			add(f, p.Name, kind)
		}
	}
	return rows
}

// A fact is what a scenario found beside latencies, of every side.
type fact struct {
	Name   string
	Values []read
}

func facts(sides []*side) []fact {
	names := map[string]bool{}
	for _, s := range sides {
		for name := range s.Run.Facts {
			names[name] = true
		}
	}
	var facts []fact
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := fact{}
		for _, s := range sides {
			text := quantity.None
			label, _ := quantity.Fact(name, 0)
			if value, ok := s.Run.Facts[name]; ok {
				_, text = quantity.Fact(name, value)
			}
			f.Name, f.Values = label, append(f.Values, read{s.Index, s.Letter, text})
		}
		facts = append(facts, f)
	}
	return facts
}

// A part is what a part of the stack took of the machine in the phase that the run is judged by.
type part struct {
	Side    int
	Letter  string
	Name    string
	CPU     string // mean
	CPUMax  string
	Memory  string // the most it held
	Percent pixel  // of all cores, for the bar
}

func (s *side) parts() []part {
	main := s.Run.Main()
	if main == nil || len(main.Usage) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, sample := range main.Usage {
		for name := range sample.Parts {
			names[name] = true
		}
	}
	var parts []part
	for _, name := range slices.Sorted(maps.Keys(names)) {
		parts = append(parts, s.part(main, name))
	}
	return parts
}

func (s *side) part(main *result.Phase, name string) part {
	var mean, most, memory float64
	for _, sample := range main.Usage {
		p := sample.Parts[name]
		mean += p.CPU / float64(len(main.Usage))
		most, memory = max(most, p.CPU), max(memory, float64(p.RSS))
	}
	cores := float64(max(1, s.Run.Machine.Cores))
	return part{
		Side: s.Index, Letter: s.Letter, Name: name,
		CPU: quantity.Percent(mean), CPUMax: quantity.Percent(most), Memory: quantity.Bytes(memory),
		Percent: pixel(min(100, 100*mean/cores)),
	}
}
