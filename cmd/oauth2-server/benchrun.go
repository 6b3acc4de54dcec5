//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
	"oauth2-server/bench/scenario"
	"oauth2-server/bench/slo"
)

// Where a result is written unless --out says otherwise.
const (
	standardOut      = "bench-result.json"
	standardLimitOut = "bench-limit.json"
)

func newBenchRunCommand() *cobra.Command {
	plan, repeats, retries := new(benchPlan), 0, 0
	command := &cobra.Command{
		Use:   "run SCENARIO...|all",
		Short: "Play scenarios and say whether they keep their SLO",
		Long: `Play scenarios and say whether they keep their SLO. The result, with all that is needed to judge it, is written to --out after
each scenario; "bench compare" and "bench report" read it.`,
		Args: someScenarios,
		RunE: func(command *cobra.Command, args []string) error {
			if err := plan.prepare(command); err != nil {
				return err
			}
			if err := checkRepeats(repeats); err != nil {
				return err
			}
			scenarios, err := findScenarios(args, plan.onStack())
			if err != nil {
				return err
			}
			s := newSession(command, plan)
			s.retries = max(0, retries)
			return s.run(command.Context(), scenarios, repeats, s.place.play)
		},
	}
	plan.register(command, standardOut)
	repeatsFlag(command, &repeats, 1)
	command.Flags().IntVar(&retries, "retries", 0, `play a scenario again, at most so many times, of which only shares and ratios were missed or which does not count, as on
a busy machine; the last time is kept. A wrong answer or a lost token is never tried again`)
	return command
}

func newBenchLimitCommand() *cobra.Command {
	plan := new(benchPlan)
	command := &cobra.Command{
		Use:   "find-limit SCENARIO...",
		Short: "Raise the rate until the SLO is missed, and say the highest that held",
		Long: `Raise the rate, from --rate (default 500) a second, until the scenario misses its SLO, and narrow down the highest that held. Each rate
is a phase of the result; a rate that the generator itself could not keep ends the search, and that is said.`,
		Args: someScenarios,
		RunE: func(command *cobra.Command, args []string) error {
			if err := plan.prepare(command); err != nil {
				return err
			}
			scenarios, err := findLimited(args, plan.onStack())
			if err != nil {
				return err
			}
			s := newSession(command, plan)
			return s.run(command.Context(), scenarios, 1, s.place.findLimit)
		},
	}
	plan.register(command, standardLimitOut)
	return command
}

// findLimited is findScenarios, all of which must be of one rate.
func findLimited(names []string, onStack bool) ([]*scenario.Scenario, error) {
	scenarios, err := findScenarios(names, onStack)
	for _, s := range scenarios {
		if s.BareSLO == "" && err == nil {
			err = fmt.Errorf("scenario %s has no limit to find: its load is not one rate", s.Name)
		}
	}
	return scenarios, err
}

func someScenarios(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name a scenario, or all; \"oauth2-server bench list\" lists them")
	}
	return nil
}

// A session plays scenarios one after another and keeps what came of them.
type session struct {
	place   *place
	out     output
	show    *progress
	file    result.File
	retries int

	missed []string // scenarios that did not keep their SLO, or do not count
	failed []error  // of scenarios that could not be played
}

func newSession(command *cobra.Command, plan *benchPlan) *session {
	show := newProgress(command.ErrOrStderr())
	return &session{place: &place{plan: plan, log: show.log}, out: newOutput(command), show: show}
}

// A player plays a scenario once.
type player func(ctx context.Context, s *scenario.Scenario, show *progress) (*result.Run, error)

// run plays each scenario so many times. One that cannot be played does not keep the others from being played.
func (s *session) run(ctx context.Context, scenarios []*scenario.Scenario, repeats int, play player) error {
	defer s.place.close()
	s.head()
	for range repeats {
		for _, one := range scenarios {
			if err := s.play(ctx, one, play); err != nil {
				return err
			}
		}
	}
	if s.out.json {
		if err := s.out.show(&s.file, nil); err != nil {
			return err
		}
	}
	return s.verdict()
}

// play plays one scenario, again while a busy machine may have spoiled it. Its error ends the session: an end from outside, a
// target that is not there, or a result that cannot be written.
func (s *session) play(ctx context.Context, one *scenario.Scenario, play player) error {
	for try := 0; ; try++ {
		run, err := s.playOnce(ctx, one, play)
		if err != nil || run == nil {
			return err
		}
		if try < s.retries && !run.Passed() && spoiled(run) {
			s.print("  again (%d of %d)\n", try+1, s.retries)
			continue
		}
		if !run.Passed() {
			s.missed = append(s.missed, run.Scenario)
		}
		s.file.Runs = append(s.file.Runs, run)
		return s.file.Write(s.place.plan.out)
	}
}

// spoiled reports whether it may be the machine's fault that a run did not pass.
func spoiled(run *result.Run) bool {
	rules, err := slo.Parse(run.SLO)
	return err == nil && rules.Noise(run)
}

// playOnce is a run, or nil where the scenario could not be played.
func (s *session) playOnce(ctx context.Context, one *scenario.Scenario, play player) (*result.Run, error) {
	s.show.begin(one.Name)
	run, err := play(ctx, one, s.show)
	s.show.end()
	switch {
	case ctx.Err() != nil:
		if len(s.file.Runs) > 0 {
			return nil, fmt.Errorf("interrupted; what was played before is in %s", s.place.plan.out)
		}
		return nil, errors.New("interrupted")
	case err != nil && s.place.to == nil:
		return nil, err
	case err != nil:
		s.failed = append(s.failed, err)
		s.print("%-18s %-8s %v\n", one.Name, "failed", err)
		return nil, nil
	}
	s.tell(run)
	return run, nil
}

func (s *session) print(format string, args ...any) {
	if !s.out.json {
		fmt.Fprintf(s.out.w, format, args...)
	}
}

const runLine = "%-18s %-8s %9s %9s %11s %8s  %s\n"

func (s *session) head() {
	s.print(runLine, "SCENARIO", "VERDICT", "P50", "P99", "THROUGHPUT", "ERRORS", "BOTTLENECK")
}

// tell prints the line of a run, and below it what was missed.
func (s *session) tell(run *result.Run) {
	p50, p99, throughput, errors := quantity.None, quantity.None, quantity.None, quantity.None
	if main := run.Main(); main != nil && main.Outcome != nil && main.Outcome.Total.Requests > 0 {
		total := &main.Outcome.Total
		if total.Latency.Count() > 0 {
			p50, p99 = quantity.Duration(total.Latency.Quantile(0.5)), quantity.Duration(total.Latency.Quantile(0.99))
		}
		throughput = quantity.Rate(main.Outcome.Throughput)
		errors = quantity.Percent(float64(total.Failed()) / float64(total.Requests))
	}
	s.print(runLine, run.Scenario, verdictOf(run), p50, p99, throughput, errors, run.Bottleneck)
	if limit, ok := run.Facts["limit_per_second"]; ok {
		s.print("  limit   %s%s\n", quantity.Rate(limit), limitedBy(run))
	}
	for _, rule := range run.Missed {
		s.print("  missed  %s\n", rule)
	}
	if !run.Counts {
		s.print("  does not count: the generator could not keep its rate (%s)\n", run.Why)
	}
}

// limitedBy says when it was not the server that set the limit.
func limitedBy(run *result.Run) string {
	if run.Facts["generator_limited"] != 0 {
		return " is the generator's limit: the server kept its SLO as far as this machine could send"
	}
	return ""
}

// verdictOf is one word: "ok", "missed", or "void" for a run that does not count.
func verdictOf(run *result.Run) string {
	switch {
	case !run.Counts:
		return "void"
	case len(run.Missed) > 0:
		return "missed"
	}
	return "ok"
}

// verdict is the end of the session in one line.
func (s *session) verdict() error {
	if len(s.failed) > 0 {
		return fmt.Errorf("%d scenarios could not be played, the first because: %w", len(s.failed), s.failed[0])
	}
	if len(s.missed) > 0 {
		return missed("the SLO was missed, or the run does not count: %s", strings.Join(s.missed, ", "))
	}
	s.print("All kept their SLO. The result is in %s.\n", s.place.plan.out)
	return nil
}
