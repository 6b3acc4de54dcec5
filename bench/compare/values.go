package compare

import (
	"maps"
	"slices"
	"strings"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
	"oauth2-server/bench/slo"
)

// A direction is which way a value gets better.
type direction int

const (
	neither direction = iota // it is told, not judged
	lower
	higher
)

// A value is one thing that a run measured.
type value struct {
	name   string
	number float64
	better direction
	write  func(float64) string
	least  float64 // a change smaller than this, in the value's own unit, is none
}

// The least changes that anybody cares for, whatever they are in percent.
const (
	leastLatency = 20e-6  // seconds: what a wake-up costs
	leastErrors  = 0.0005 // a share of one
)

// values is what of a run is compared: the latencies, the throughput and the errors of its main phase, and all facts,
// which say what matters of the others.
func values(r *result.Run) []value {
	var all []value
	if main := r.Main(); main != nil {
		all = ofPhase(main)
	}
	rules, _ := slo.Parse(r.SLO) // one that cannot be read says nothing of directions
	for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
		write := func(x float64) string { _, text := quantity.Fact(name, x); return text }
		all = append(all, value{name, r.Facts[name], factDirection(name, rules), write, 0})
	}
	return all
}

func ofPhase(p *result.Phase) []value {
	o := p.Outcome
	if o == nil || o.Total.Requests == 0 {
		return nil
	}
	var all []value
	if o.Total.Latency.Count() > 0 {
		for _, q := range []struct {
			name string
			q    float64
		}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
			all = append(all, value{q.name, o.Total.Latency.Quantile(q.q).Seconds(), lower, quantity.Seconds, leastLatency})
		}
	}
	errors := float64(o.Total.Failed()) / float64(o.Total.Requests)
	return append(all,
		value{"throughput", o.Throughput, higher, quantity.Rate, 0},
		value{"errors", errors, lower, quantity.Percent, leastErrors})
}

// What the names of facts say of their direction: higherWords come first, for "recovered_share" holds "recover" too.
var (
	higherWords = []string{"_share", "ratio_to", "goodput", "_per_second"}
	lowerWords  = []string{"wrong", "failed", "lost", "late", "refus", "grow", "slope", "lag", "recover", "_bytes", "_seconds"}
)

// factDirection is what the run's SLO says, which bounds a fact on the side that is worse; else what its name does.
func factDirection(name string, rules slo.Rules) direction {
	for _, r := range rules {
		if r.Metric == name && r.Op[0] == '>' {
			return higher
		} else if r.Metric == name {
			return lower
		}
	}
	holds := func(word string) bool { return strings.Contains(name, word) }
	switch {
	case slices.ContainsFunc(higherWords, holds):
		return higher
	case slices.ContainsFunc(lowerWords, holds):
		return lower
	}
	return neither
}
