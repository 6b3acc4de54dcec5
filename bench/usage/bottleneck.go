package usage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// saturated is the share of the machine from which on it had nothing left to give: the rest is idle moments
	// between a wake-up and the next.
	saturated = 0.9
	// disturbed is how much of a core others may take before it is told.
	disturbed = 0.25
)

// Bottleneck says which part used most CPU, in percent of one core, whether the machine as a whole was saturated, and whether others than the
// parts, or a hypervisor, had much of it: "Postgres CPU 96 %", "server CPU 120 %; the whole machine was busy (97 % of 2 cores); others took
// 40 % of a core". It is empty without samples.
func Bottleneck(samples []Sample, cores int) string {
	mean, machine, others := map[string]float64{}, 0.0, 0.0
	for _, s := range samples {
		share := 1 / float64(len(samples))
		machine += s.Machine * share
		others += s.Machine * share
		for name, p := range s.Parts {
			mean[family(name)] += p.CPU * share
			others -= p.CPU * share
		}
	}
	if len(mean) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(mean))
	top := slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(mean[a], mean[b]) })
	text := fmt.Sprintf("%s CPU %.0f %%", top, 100*mean[top])
	if share := machine / float64(cores); share >= saturated {
		text += fmt.Sprintf("; the whole machine was busy (%.0f %% of %d cores)", 100*min(share, 1), cores)
	}
	if others >= disturbed {
		text += fmt.Sprintf("; others took %.0f %% of a core", 100*others)
	}
	return text
}

// family is a part's name for people: all replicas are the server.
func family(name string) string {
	switch {
	case strings.HasPrefix(name, Server):
		return "server"
	case name == Postgres:
		return "Postgres"
	case name == Redis:
		return "Redis"
	}
	return name
}
