//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"oauth2-server/bench/floor"
	"oauth2-server/bench/scenario"
)

// newBenchCommand is the benchmark suite. Its exit status is 0 when all is as it should be, 1 when an SLO was missed,
// something got worse or a run does not count, and 2 when there is no verdict.
func newBenchCommand() *cobra.Command {
	group := newGroup("bench", "Play latency scenarios against this server, or any OAuth server, and judge them",
		newBenchListCommand(), newBenchRunCommand(), newBenchLimitCommand(), newBenchCompareCommand(), newBenchReportCommand())
	group.Long = `Play latency scenarios against this server, or any OAuth server, and judge them.

Without --url, a private Postgres, a Redis and replicas of this binary are started, measured and ended.
The exit status is 0 when all is as it should be, 1 when an SLO was missed, something got worse or a run does not count
because the generator could not keep its rate, and 2 when there is no verdict: bad input, or a fault.`
	for _, command := range append(group.Commands(), group) {
		command.RunE = noVerdict(command.RunE)
		command.Args = noVerdict(command.Args)
	}
	group.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &verdictError{err, errNoVerdict} })
	return group
}

// The two kinds of errors that the suite's commands have; their exit statuses differ.
var (
	errMissed    = errors.New("something was measured, and is not as it should be")
	errNoVerdict = errors.New("there is no verdict")
)

// A verdictError is of one of the two kinds.
type verdictError struct {
	error
	kind error
}

func (v *verdictError) Is(target error) bool { return target == v.kind }
func (v *verdictError) Unwrap() error        { return v.error }

// missed is the error of what was measured.
func missed(format string, args ...any) error {
	return &verdictError{fmt.Errorf(format, args...), errMissed}
}

// noVerdict makes all other errors of a command the second kind.
func noVerdict(work func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		err := work(command, args)
		if err == nil || errors.Is(err, errMissed) {
			return err
		}
		return &verdictError{err, errNoVerdict}
	}
}

// newBenchFloorCommand is hidden: the suite runs it as a process of its own.
func newBenchFloorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bench-floor", Hidden: true, Args: cobra.NoArgs,
		Short: "Answer every request with a few bytes, on a free port that is printed",
		RunE: func(command *cobra.Command, _ []string) error {
			return floor.Serve(command.Context(), command.OutOrStdout())
		},
	}
}

func newBenchListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: cobra.NoArgs,
		Short: "List the scenarios, the questions they answer and what is expected of them",
		RunE: func(command *cobra.Command, _ []string) error {
			return newOutput(command).show(listed(), func() string {
				var rows [][]string
				for _, s := range listed() {
					rows = append(rows, []string{s.Name, s.Title}, []string{"", s.Question}, []string{"", "SLO " + s.SLO + s.where()}, []string{"", ""})
				}
				return table(rows)
			})
		},
	}
}

// A listedScenario is a scenario as "bench list" shows it.
type listedScenario struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Question  string `json:"question"`
	SLO       string `json:"slo"`
	StackOnly bool   `json:"stack_only"`
}

func (s listedScenario) where() string {
	if s.StackOnly {
		return "; not with --url"
	}
	return ""
}

func listed() []listedScenario {
	var all []listedScenario
	for _, s := range scenario.All() {
		all = append(all, listedScenario{s.Name, s.Title, s.Question, s.SLO, s.StackOnly})
	}
	return all
}

// findScenarios is the scenarios of the names, each once, or those of "all" that can be played.
func findScenarios(names []string, onStack bool) ([]*scenario.Scenario, error) {
	var found []*scenario.Scenario
	for _, name := range names {
		if name == "all" {
			if len(names) > 1 {
				return nil, errors.New("\"all\" stands alone")
			}
			return playable(onStack), nil
		}
		s, err := scenario.Find(name)
		if err != nil {
			return nil, suggest(name, err)
		}
		if s.StackOnly && !onStack {
			return nil, fmt.Errorf("scenario %s needs a stack of its own, which it breaks, slows or looks into: leave out --url", name)
		}
		found = append(found, s)
	}
	return found, nil
}

func playable(onStack bool) []*scenario.Scenario {
	var all []*scenario.Scenario
	for _, s := range scenario.All() {
		if onStack || !s.StackOnly {
			all = append(all, s)
		}
	}
	return all
}

// suggest adds the nearest name to an error that lists all.
func suggest(name string, err error) error {
	best, least := "", len(name)/2+1
	for _, s := range scenario.All() {
		if d := distance(name, s.Name); d < least {
			best, least = s.Name, d
		}
	}
	if best == "" {
		return err
	}
	return fmt.Errorf("did you mean %s? %w", best, err)
}
