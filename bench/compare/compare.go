package compare

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"oauth2-server/bench/result"
)

// Options of a comparison. Zero means the default.
type Options struct {
	Threshold float64 // a change of less is none; default 0.1, a tenth
	Level     float64 // of significance: what is likelier by chance is noise; default 0.05
}

// A Report is what differs between A, before, and B, after.
type Report struct {
	Rows  []Row    `json:"rows"`
	Notes []string `json:"notes"` // what to know before believing it
}

// ErrNothing means that the two have no scenario in common of which a run counts.
var ErrNothing = errors.New("there is nothing to compare")

// Compare pairs the scenarios of two files. Runs of one scenario are repeats; those that do not count are left out.
func Compare(a, b *result.File, o Options) (*Report, error) {
	o.Threshold = cmp.Or(o.Threshold, 0.1)
	o.Level = cmp.Or(o.Level, 0.05)
	r := new(Report)
	for _, name := range scenarios(a, b) {
		before, after := r.runs(a, name, "A"), r.runs(b, name, "B")
		if len(before) == 0 || len(after) == 0 {
			continue
		}
		r.repeats(name, len(before), len(after), o)
		r.alike(name, before[0], after[0])
		r.Rows = append(r.Rows, rows(name, before, after, o)...)
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNothing, cmp.Or(strings.Join(r.Notes, "; "), "the files are empty"))
	}
	return r, nil
}

// Worse is the rows that got worse.
func (r *Report) Worse() []Row {
	var worse []Row
	for _, row := range r.Rows {
		if row.Verdict == Worse {
			worse = append(worse, row)
		}
	}
	return worse
}

// scenarios is the names in either file, in the order in which they are first met.
func scenarios(files ...*result.File) []string {
	var names []string
	for _, f := range files {
		for _, run := range f.Runs {
			if !slices.Contains(names, run.Scenario) {
				names = append(names, run.Scenario)
			}
		}
	}
	return names
}

// runs is the repeats of a scenario that count.
func (r *Report) runs(f *result.File, scenario, side string) []*result.Run {
	var counting []*result.Run
	all := 0
	for _, run := range f.Runs {
		if run.Scenario != scenario {
			continue
		}
		all++
		if run.Counts {
			counting = append(counting, run)
		}
	}
	switch {
	case all == 0:
		r.note("%s is not in %s", scenario, side)
	case len(counting) < all:
		r.note("%s: %d of %d runs in %s do not count, the generator could not keep its rate", scenario, all-len(counting), all, side)
	}
	return counting
}

// repeats says when there are too few to tell a change from noise.
func (r *Report) repeats(scenario string, a, b int, o Options) {
	least := leastP(a, b)
	if least <= o.Level {
		return
	}
	runs := fmt.Sprintf("%d and %d runs", a, b)
	if a == 1 && b == 1 {
		runs = "one run each"
	}
	r.note("%s: with %s, noise cannot be told from change, only what differs by more than %.0f %% is judged: repeat them (--repeats 5)",
		scenario, runs, 100*unsure*o.Threshold)
}

// alike says what else differs than the server.
func (r *Report) alike(scenario string, a, b *result.Run) {
	if a.Machine != b.Machine {
		r.note("%s: the machines differ: %s and %s", scenario, machine(a.Machine), machine(b.Machine))
	}
	for _, flag := range []string{"rate", "duration", "connections", "replicas", "quick", "url"} {
		if a.Flags[flag] != b.Flags[flag] {
			r.note("%s: --%s differs: %q and %q", scenario, flag, a.Flags[flag], b.Flags[flag])
		}
	}
}

func machine(m result.Machine) string {
	return fmt.Sprintf("%d × %s, Linux %s, %s", m.Cores, m.CPU, m.Kernel, m.Go)
}

func (r *Report) note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Notes, note) {
		r.Notes = append(r.Notes, note)
	}
}

// rows compares all that runs of both sides have measured.
func rows(scenario string, before, after []*result.Run, o Options) []Row {
	var all []Row
	for _, of := range values(before[0]) {
		a, b := gather(before, of.name), gather(after, of.name)
		if len(b) > 0 {
			all = append(all, newRow(scenario, of, a, b, o))
		}
	}
	return all
}

// gather is what each run measured under the name.
func gather(runs []*result.Run, name string) []float64 {
	var numbers []float64
	for _, run := range runs {
		for _, v := range values(run) {
			if v.name == name {
				numbers = append(numbers, v.number)
			}
		}
	}
	return numbers
}
