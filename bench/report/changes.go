package report

import (
	"fmt"

	"oauth2-server/bench/compare"
	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// Changes are what differs between two files beyond noise.
type changes struct {
	Verdict string
	Notes   []string // what to know before believing it
	all     []change
}

// A change is one measured thing that differs.
type change struct {
	Metric, A, B string
	By           string // in percent of A
	Verdict      compare.Verdict
	scenario     string
}

// newChanges compares the files if there are two with something in common.
func newChanges(files []*result.File) *changes {
	if len(files) != 2 {
		return nil
	}
	found, err := compare.Compare(files[0], files[1], compare.Options{})
	if err != nil {
		return nil // nothing to compare: each file stands for itself
	}
	c := &changes{Notes: found.Notes}
	count := map[compare.Verdict]int{}
	for _, r := range found.Rows {
		count[r.Verdict]++
		if r.Verdict != compare.Noise {
			c.all = append(c.all, newChange(r))
		}
	}
	c.Verdict = fmt.Sprintf("From A to B %d measured values got better, %d got worse, %d changed; %d stayed within the noise.",
		count[compare.Better], count[compare.Worse], count[compare.Changed], count[compare.Noise])
	return c
}

func newChange(r compare.Row) change {
	c := change{Metric: r.Metric, Verdict: r.Verdict, scenario: r.Scenario, By: quantity.None}
	if label, _ := quantity.Fact(r.Metric, 0); label != r.Metric {
		c.Metric = label
	}
	c.A, c.B = r.Texts()
	if r.Change != nil {
		c.By = fmt.Sprintf("%+.0f %%", 100**r.Change)
	}
	return c
}

// of the scenario; none when nothing was compared.
func (c *changes) of(scenario string) []change {
	if c == nil {
		return nil
	}
	var some []change
	for _, change := range c.all {
		if change.scenario == scenario {
			some = append(some, change)
		}
	}
	return some
}
