package scenario

import (
	"context"
	"fmt"
	"strings"

	"oauth2-server/bench/result"
	"oauth2-server/bench/slo"
)

const (
	firstRate  = 500 // requests a second
	maxRate    = 1e6
	narrowings = 5    // halvings between the last rate that held and the first that did not
	limitClose = 1.05 // closer than this they count as one
)

// FindLimit plays the scenario at ever higher rates until it does not keep the rules, and narrows down the highest rate at
// which it does: fact limit_per_second, 0 when none held. Each rate is a phase; the main one is the limit's. A rate that the
// generator could not keep is no limit of the server: then generator_limited is 1.
func FindLimit(ctx context.Context, e *Env, s *Scenario, rules slo.Rules) (*result.Run, error) {
	if s.BareSLO == "" {
		return nil, fmt.Errorf("%s has no limit to find: its load is not one rate", s.Name)
	}
	stage := newStage(s, e)
	l := &limit{scenario: s, env: *stage.Env, rules: rules, run: stage.run}
	l.run.SLO = rules.String()
	if err := l.find(ctx); err != nil {
		return nil, err
	}
	return l.run, nil
}

// A limit is a search between a rate that held and one that did not.
type limit struct {
	scenario *Scenario
	env      Env
	rules    slo.Rules
	run      *result.Run
	held     float64 // the highest that did; 0: none yet
	best     int     // its phase
	missed   float64 // the lowest that did not; 0: none yet
}

func (l *limit) find(ctx context.Context) error {
	rate := l.env.Rate
	if rate == 0 {
		rate = firstRate
	}
	l.run.Facts["generator_limited"] = 0
	for l.missed == 0 && rate <= maxRate {
		if err := l.try(ctx, rate); err != nil {
			return err
		}
		rate *= 2
	}
	for range narrowings {
		if l.missed <= l.held*limitClose || l.missed <= 1 {
			break
		}
		if err := l.try(ctx, (l.held+l.missed)/2); err != nil {
			return err
		}
	}
	l.run.Facts["limit_per_second"] = l.held
	if l.held > 0 {
		l.run.Phases[l.best].Name = result.Main
	}
	return nil
}

// try plays one rate.
func (l *limit) try(ctx context.Context, rate float64) error {
	e := l.env
	e.Rate = rate
	run, err := l.scenario.Run(ctx, &e)
	if err != nil {
		return err
	}
	run.Settle()
	missed := l.rules.Check(run)
	phase := *run.Main()
	phase.Name = fmt.Sprintf("%.0f a second", rate)
	phase.Probe = true // beyond the limit everything may happen
	l.run.Phases = append(l.run.Phases, phase)
	l.run.Facts[wrongAnswers] += run.Facts[wrongAnswers]
	switch {
	case !run.Counts:
		l.env.Log("%s: the generator could not keep it (%s)", phase.Name, run.Why)
		l.missed, l.run.Facts["generator_limited"] = rate, 1
	case len(missed) > 0:
		l.env.Log("%s: missed: %s", phase.Name, strings.Join(missed, "; "))
		l.missed, l.run.Facts["generator_limited"] = rate, 0
	default:
		l.env.Log("%s: held", phase.Name)
		l.held, l.best = rate, len(l.run.Phases)-1
	}
	return nil
}
