package result

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Middle is the run that stands for the repeats of a scenario: by its p99 the middle one of those that count, or of
// all when none does. There must be at least one.
func Middle(repeats []*Run) *Run {
	counting := slices.DeleteFunc(slices.Clone(repeats), func(r *Run) bool { return !r.Counts })
	if len(counting) == 0 {
		counting = slices.Clone(repeats)
	}
	slices.SortStableFunc(counting, func(a, b *Run) int { return cmp.Compare(a.p99(), b.p99()) })
	return counting[(len(counting)-1)/2]
}

func (r *Run) p99() time.Duration {
	if main := r.Main(); main != nil && main.Outcome != nil {
		return main.Outcome.Total.Latency.Quantile(0.99)
	}
	return 0
}

// Options is the flags as one gives them to a shell: "--duration=20s --quick". Where the result went is none of them.
func (r *Run) Options() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(r.Flags)) {
		if name == "out" {
			continue
		}
		word := "--" + name
		if value := r.Flags[name]; value != "true" {
			word += "=" + value
		}
		words = append(words, Quote(word))
	}
	return strings.Join(words, " ")
}

// plain needs no quotes in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9._/:,=@%+-]+$`)

// Quote makes one word of a text for a shell, whatever is in it.
func Quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var commit = regexp.MustCompile(`^[0-9a-f]{7,64}`)

// Commit is git's name of what was measured; empty when the server does not know it, in whatever words it says so.
func (s Server) Commit() string { return commit.FindString(s.Revision) }
