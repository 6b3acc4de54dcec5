package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
	"oauth2-server/bench/target"
)

// Env is where a scenario is played, and how.
type Env struct {
	Target               *target.Target
	Opaque, JWT, Gateway target.Client // whose tokens are opaque; whose tokens are JWTs; who may introspect the tokens of both
	Stack                *stack.Stack  // nil: the target is somebody else's, and nothing of it may be broken
	Rate                 float64       // requests a second; 0: the scenario's own
	Duration             time.Duration // of the main phase; 0: the scenario's own
	Connections          int           // 0: 64
	Quick                bool          // a few seconds in all
	Log                  func(format string, args ...any)
	Progress             func(load.Tick) // may be nil
}

// A Scenario is one thing to measure.
type Scenario struct {
	Name     string
	Title    string // what is done
	Question string // of the runbook, which it answers
	SLO      string // default: counts, and ratios within the run; no time that a slow machine could miss
	BareSLO  string // default where those ratios are not to be had: of somebody else's server, or at a given rate; "": the same

	StackOnly    bool
	StackOptions stack.Options

	play func(ctx context.Context, s *stage) error
}

// Run plays the scenario. The result has its phases and facts, and what is said of the scenario; whoever plays it adds the rest.
func (s *Scenario) Run(ctx context.Context, e *Env) (*result.Run, error) {
	if s.StackOnly && e.Stack == nil {
		return nil, fmt.Errorf("%s needs a stack of its own: it breaks, slows or looks into what it measures", s.Name)
	}
	stage := newStage(s, e)
	if err := s.play(ctx, stage); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	stage.settle()
	return stage.run, nil
}

// DefaultSLO is what is expected of the scenario where it is played.
func (s *Scenario) DefaultSLO(e *Env) string {
	if s.BareSLO != "" && (e.Stack == nil || e.Rate > 0) {
		return s.BareSLO
	}
	return s.SLO
}

// All is every scenario, in the order in which they are played.
func All() []*Scenario {
	return slices.Concat(
		issuing(), []*Scenario{refresh()}, introspecting(),
		[]*Scenario{introspectMixed(), introspectBatch(), mixed(), revocationLag(), highLatency()},
		faults(),
		[]*Scenario{overload(), login(), limiter(), keyRotation(), cleanup(), restart(), soak()},
	)
}

// Find is the scenario of a name; the error names those there are.
func Find(name string) (*Scenario, error) {
	all := All()
	names := make([]string, len(all))
	for i, s := range all {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(names, ", "))
}
