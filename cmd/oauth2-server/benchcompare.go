//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oauth2-server/bench/compare"
	"oauth2-server/bench/result"
	"oauth2-server/bench/scenario"
)

// A comparison is what the flags of "bench compare" say.
type comparison struct {
	plan      benchPlan
	a, b      string // binaries
	scenarios []string
	repeats   int
	threshold float64 // percent
}

func newBenchCompareCommand() *cobra.Command {
	c := new(comparison)
	command := &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Compare two results, or two binaries, and tell change from noise",
		Long: `Compare two results, A before and B after, and tell change from noise: by how runs of a scenario in one file differ among themselves.
A change counts when it is larger than --threshold, and by the rank test of Mann and Whitney chance alone makes as large a one in
less than 5 % of cases. With fewer than four runs of a scenario on each side nothing can be told from noise: then only what exceeds three
thresholds counts, and is marked by "?".
With --a and --b, two binaries are played against each other on stacks of their own, in turn: A B A B.`,
		Args: c.checkArgs,
		RunE: func(command *cobra.Command, args []string) error {
			a, b, err := c.files(command, args)
			if err != nil {
				return err
			}
			return c.judge(newOutput(command), a, b)
		},
	}
	f := command.Flags()
	f.Float64Var(&c.threshold, "threshold", 10, "percent; a change of less is none")
	f.StringVar(&c.a, "a", "", "binary before")
	f.StringVar(&c.b, "b", "", "binary after")
	f.StringSliceVar(&c.scenarios, "scenario", nil, "scenario to play with --a and --b; may be repeated, or all")
	f.IntVar(&c.plan.replicas, "replicas", 3, "replicas of each binary")
	c.plan.registerLoad(f)
	repeatsFlag(command, &c.repeats, 5)
	return command
}

func (c *comparison) checkArgs(_ *cobra.Command, args []string) error {
	binaries := c.a != "" || c.b != ""
	switch {
	case binaries && len(args) > 0:
		return errors.New("give two results, or two binaries with --a and --b, not both")
	case binaries && (c.a == "" || c.b == "" || len(c.scenarios) == 0):
		return errors.New("two binaries need --a, --b and --scenario")
	case !binaries && len(args) != 2:
		return fmt.Errorf("give two results, A.json before and B.json after, not %d", len(args))
	case !(c.threshold > 0 && c.threshold < 1000):
		return errors.New("--threshold must be more than 0 and less than 1000 percent")
	}
	return checkRepeats(c.repeats)
}

// files is the two results: read, or made by playing both binaries.
func (c *comparison) files(command *cobra.Command, args []string) (a, b *result.File, err error) {
	if len(args) == 2 {
		if a, err = result.Read(args[0]); err != nil {
			return nil, nil, err
		}
		b, err = result.Read(args[1])
		return a, b, err
	}
	if err := c.plan.prepare(command); err != nil {
		return nil, nil, err
	}
	if c.a, err = program(c.a); err != nil {
		return nil, nil, fmt.Errorf("--a: %w", err)
	}
	if c.b, err = program(c.b); err != nil {
		return nil, nil, fmt.Errorf("--b: %w", err)
	}
	scenarios, err := findScenarios(c.scenarios, true)
	if err != nil {
		return nil, nil, err
	}
	show := newProgress(command.ErrOrStderr())
	return c.play(command.Context(), scenarios, show)
}

// play plays each scenario with both binaries in turn, so that a slow minute of the machine hits both.
func (c *comparison) play(ctx context.Context, scenarios []*scenario.Scenario, show *progress) (a, b *result.File, err error) {
	sides := []struct {
		name  string
		place *place
		file  *result.File
	}{{"A", c.place(c.a, show), new(result.File)}, {"B", c.place(c.b, show), new(result.File)}}
	defer sides[0].place.close()
	defer sides[1].place.close()
	for _, s := range scenarios {
		for repeat := range c.repeats {
			for _, side := range sides {
				show.begin(fmt.Sprintf("%s %s %d/%d", s.Name, side.name, repeat+1, c.repeats))
				run, err := side.place.play(ctx, s, show)
				show.end()
				if err != nil {
					return nil, nil, fmt.Errorf("play %s with binary %s: %w", s.Name, side.name, err)
				}
				side.file.Runs = append(side.file.Runs, run)
			}
		}
	}
	return sides[0].file, sides[1].file, nil
}

func (c *comparison) place(binary string, show *progress) *place {
	plan := c.plan
	plan.binary = binary
	return &place{plan: &plan, log: show.log}
}

// judge prints what differs. That something got worse is its error.
func (c *comparison) judge(out output, a, b *result.File) error {
	report, err := compare.Compare(a, b, compare.Options{Threshold: c.threshold / 100})
	if err != nil {
		return err
	}
	if err := out.show(report, func() string { return comparisonText(report) }); err != nil {
		return err
	}
	var worse []string
	for _, row := range report.Worse() {
		worse = append(worse, row.Scenario+" "+row.Metric)
	}
	if len(worse) > 0 {
		return missed("worse by more than %g %%: %s", c.threshold, strings.Join(worse, ", "))
	}
	return nil
}

// comparisonText is the table for people, and what to know before believing it.
func comparisonText(r *compare.Report) string {
	var rows [][]string
	for _, row := range r.Rows {
		a, b := row.Texts()
		change := "from 0"
		if row.Change != nil {
			change = fmt.Sprintf("%+.1f %%", 100**row.Change)
		}
		verdict := string(row.Verdict)
		if row.Unsure && row.Verdict != compare.Noise {
			verdict += "?"
		}
		rows = append(rows, []string{row.Scenario, row.Metric, a, b, change, fmt.Sprintf("%.3f", row.P), verdict})
	}
	text := list("", []string{"SCENARIO", "METRIC", "A", "B", "CHANGE", "P", "VERDICT"}, rows)
	for _, note := range r.Notes {
		text += "note: " + note + "\n"
	}
	return text
}
