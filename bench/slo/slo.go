// Package slo is what a run must keep: "p99<5ms,errors<0.1%".
package slo

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// Rules are what a run must keep, all of them.
type Rules []Rule

// A Rule compares one measured value with a bound.
type Rule struct {
	Metric string  // p50, p90, p99, p99.9, max, errors, rate, or the name of a fact
	Op     string  // <, <=, > or >=
	Bound  float64 // seconds for latencies, a share of one for errors, good answers a second for rate; a fact's own unit
	Text   string  // the rule as it was written
}

// quantiles are the latencies of good answers, in seconds, counted from the intended start.
var quantiles = map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1}

// known is every metric that is no fact, for people.
const known = "p50, p90, p99, p99.9, max, errors, rate, or a fact of the scenario"

var (
	form     = regexp.MustCompile(`^([a-z][a-z0-9_.]*)(<=|>=|<|>)(.+)$`)
	isFact   = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)+$`)
	relative = regexp.MustCompile(`(^ratio_|_ratio$|_share$)`)
	digits   = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

// Parse reads rules separated by commas: a metric, one of < <= > >=, and a value. Latencies take a time (5ms), errors a
// percentage (0.1%), rate a number (1000 or 1000/s), and facts a number, a percentage, or a time. An empty text is no rule.
func Parse(text string) (Rules, error) {
	var rules Rules
	for part := range strings.SplitSeq(text, ",") {
		part = strings.Join(strings.Fields(part), "")
		if part == "" && strings.TrimSpace(text) == "" {
			return nil, nil
		}
		rule, err := parseRule(part)
		if err != nil {
			return nil, fmt.Errorf("SLO %.80q: %w", text, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	found := form.FindStringSubmatch(text)
	if found == nil {
		return Rule{}, fmt.Errorf("%.80q is no rule: a metric (%s), one of < <= > >=, and a value, like p99<5ms", text, known)
	}
	r := Rule{Metric: found[1], Op: found[2], Text: text}
	value, err := r.value(found[3])
	r.Bound = value
	return r, err
}

// value reads the bound in the metric's unit.
func (r Rule) value(text string) (float64, error) {
	_, latency := quantiles[r.Metric]
	plain := func(suffix string) (float64, bool) {
		number, ok := strings.CutSuffix(text, suffix)
		value, err := strconv.ParseFloat(number, 64)
		return value, ok && err == nil && digits.MatchString(number)
	}
	duration, errTime := time.ParseDuration(text)
	percent, isPercent := plain("%")
	number, isNumber := plain("")
	switch {
	case latency:
		if errTime != nil || duration < 0 {
			return 0, fmt.Errorf("%.40q is no time for %s: give one with its unit, like 5ms or 800us", text, r.Metric)
		}
		return duration.Seconds(), nil
	case r.Metric == "errors":
		if !isPercent || percent < 0 || percent > 100 {
			return 0, fmt.Errorf("%.40q is no share for errors: give a percentage, like 0.1%%", text)
		}
		return percent / 100, nil
	case r.Metric == "rate":
		perSecond, ok := plain("/s")
		if isNumber {
			perSecond = number
		} else if !ok {
			return 0, fmt.Errorf("%.40q is no rate: give good answers a second, like 1000 or 1000/s", text)
		}
		return perSecond, nil
	case !isFact.MatchString(r.Metric):
		return 0, fmt.Errorf("there is no metric %.40q: there are %s", r.Metric, known)
	case isNumber:
		return number, nil
	case isPercent:
		return percent / 100, nil
	case errTime == nil:
		return duration.Seconds(), nil
	}
	return 0, fmt.Errorf("%.40q is no value for %s: give a number, a percentage or a time, like 3, 0.5%% or 800ms", text, r.Metric)
}

// Check is the rules that a run does not keep, in words, with what was measured; nil when it keeps all. What was not measured is not kept.
func (rules Rules) Check(run *result.Run) []string {
	var missed []string
	for _, r := range rules {
		value, err := r.measured(run)
		if err != nil {
			missed = append(missed, fmt.Sprintf("%s: %v", r.Text, err))
		} else if !r.holds(value) {
			missed = append(missed, fmt.Sprintf("%s: measured %s", r.Text, r.write(value)))
		}
	}
	return missed
}

// Noise reports whether all that a run misses are shares and ratios: what a busy machine can spoil, unlike a count of what must never be.
func (rules Rules) Noise(run *result.Run) bool {
	return !slices.ContainsFunc(rules, func(r Rule) bool {
		value, err := r.measured(run)
		return !relative.MatchString(r.Metric) && (err != nil || !r.holds(value))
	})
}

// String is the rules as Parse reads them.
func (rules Rules) String() string {
	var parts []string
	for _, r := range rules {
		parts = append(parts, r.Text)
	}
	return strings.Join(parts, ",")
}

func (r Rule) holds(value float64) bool {
	switch r.Op {
	case "<":
		return value < r.Bound
	case "<=":
		return value <= r.Bound
	case ">":
		return value > r.Bound
	}
	return value >= r.Bound
}

// measured is the metric's value in the run's main phase, or the fact's.
func (r Rule) measured(run *result.Run) (float64, error) {
	if isFact.MatchString(r.Metric) {
		value, ok := run.Facts[r.Metric]
		if !ok {
			return 0, fmt.Errorf("the run has no such fact; it has %s", facts(run))
		}
		return value, nil
	}
	main := run.Main()
	if main == nil || main.Outcome == nil || main.Outcome.Total.Requests == 0 {
		return 0, fmt.Errorf("no request was answered; the run has the facts %s", facts(run))
	}
	total := &main.Outcome.Total
	switch r.Metric {
	case "errors":
		return float64(total.Failed()) / float64(total.Requests), nil
	case "rate":
		return main.Outcome.Throughput, nil
	}
	if total.Latency.Count() == 0 {
		return 0, fmt.Errorf("there was no good answer")
	}
	return total.Latency.Quantile(quantiles[r.Metric]).Seconds(), nil
}

// write is a value as people read it.
func (r Rule) write(value float64) string {
	if _, latency := quantiles[r.Metric]; latency {
		return quantity.Seconds(value)
	}
	switch r.Metric {
	case "errors":
		return quantity.Percent(value)
	case "rate":
		return quantity.Rate(value)
	}
	_, text := quantity.Fact(r.Metric, value)
	return text
}

func facts(run *result.Run) string {
	names := slices.Sorted(maps.Keys(run.Facts))
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
