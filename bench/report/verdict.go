package report

import (
	"fmt"
	"slices"
	"strings"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// A verdict is a word, and why.
type verdict struct {
	State string // passed, missed or void: a run that proves nothing
	Word  string
	Runs  string // of how many, if there are repeats
	Why   []string
}

// Verdict of the side is the worst of its repeats that count.
func (s *side) Verdict() verdict {
	v := verdict{State: "passed", Word: "passed"}
	counting, missed := 0, 0
	for _, r := range s.Repeats {
		if !r.Counts {
			continue
		}
		counting++
		if len(r.Missed) > 0 {
			missed++
		}
		for _, why := range r.Missed {
			if !slices.Contains(v.Why, why) {
				v.Why = append(v.Why, why)
			}
		}
	}
	switch {
	case counting == 0:
		return verdict{State: "void", Word: "uncounted", Why: []string{why(s.Run)}}
	case missed > 0:
		v.State, v.Word = "missed", "missed"
	}
	if n := len(s.Repeats); n > 1 {
		told := counting
		if missed > 0 {
			told = missed
		}
		v.Runs = fmt.Sprintf("in %d of %d runs", told, n)
	}
	return v
}

// why a run does not count.
func why(r *result.Run) string {
	if r.Why != "" {
		return r.Why
	}
	return "the generator could not keep its rate"
}

// SLO is the text of the side's rules, which may be broken into lines between them.
func (s *side) SLO() string { return strings.ReplaceAll(s.Run.SLO, ",", ", ") }

// Floor says what HTTP alone gives on the same machine, and what part of it the run reached if it went as fast as it
// could and has measured no such ratio by itself.
func (s *side) Floor() string {
	f := s.Run.Floor
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("/health %s, p99 %s; an empty handler %s, p99 %s",
		quantity.Rate(f.Health), quantity.Duration(f.HealthP99), quantity.Rate(f.Empty), quantity.Duration(f.EmptyP99))
	_, told := s.Run.Facts["ratio_to_health"]
	if main := s.Run.Main(); !told && main != nil && main.Outcome != nil && main.Outcome.Intended == 0 && f.Health > 0 {
		text += fmt.Sprintf(". This run: %s of /health", quantity.Ratio(main.Outcome.Throughput/f.Health))
	}
	return text
}
