package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/target"
	"oauth2-server/bench/usage"
)

const (
	defaultConnections = 64
	fullSpan           = 10 * time.Second // of the main phase
	quickSpan          = time.Second
	longestWarmup      = 500 * time.Millisecond
)

// A stage is where a scenario is played, once.
type stage struct {
	*Env
	run  *result.Run
	span time.Duration // of the main phase; others are in proportion
}

func newStage(s *Scenario, e *Env) *stage {
	env := *e
	if env.Connections == 0 {
		env.Connections = defaultConnections
	}
	if env.Log == nil {
		env.Log = func(string, ...any) {}
	}
	span := fullSpan
	if env.Quick {
		span = quickSpan
	}
	if env.Duration > 0 {
		span = env.Duration
	}
	return &stage{Env: &env, span: span, run: &result.Run{
		Version: result.Version, Scenario: s.Name, Title: s.Title, Question: s.Question, SLO: s.DefaultSLO(e),
		Started: time.Now(), Facts: map[string]float64{},
	}}
}

// scaled is the number for a full run, or for a quick one.
func (s *stage) scaled(full, quick int) int {
	if s.Quick {
		return quick
	}
	return full
}

// rate is the caller's, or the scenario's own.
func (s *stage) rate(own float64) float64 {
	if s.Rate > 0 {
		return s.Rate
	}
	return own
}

// closed is a load as fast as answers come.
func (s *stage) closed(d time.Duration, sources func(worker int) load.Source) load.Plan {
	return load.Plan{Sources: sources, Connections: s.Connections, Duration: d, Warmup: min(d/8, longestWarmup), Progress: s.Progress}
}

// open is a load at a rate of its own.
func (s *stage) open(rate float64, d time.Duration, sources func(worker int) load.Source) load.Plan {
	plan := s.closed(d, sources)
	plan.Rate = load.Constant(rate)
	return plan
}

// phase plays a load and keeps what came of it under a name.
func (s *stage) phase(ctx context.Context, name string, plan load.Plan) (*load.Outcome, error) {
	o, err := s.record(ctx, result.Phase{Name: name}, plan)
	return o, errors.Join(err, ctx.Err())
}

// probe is a phase of which counts and shares are told, no times: a generator that could not keep its rate spoils nothing.
func (s *stage) probe(ctx context.Context, name string, plan load.Plan) (*load.Outcome, error) {
	o, err := s.record(ctx, result.Phase{Name: name, Probe: true}, plan)
	return o, errors.Join(err, ctx.Err())
}

// moment is how long a load runs before something is done to the target.
const moment = 100 * time.Millisecond

// meanwhile plays a probe and, a moment after it has begun, does what is given.
func (s *stage) meanwhile(ctx context.Context, name string, plan load.Plan, do func(context.Context) error) (*load.Outcome, error) {
	group, doing := errgroup.WithContext(ctx)
	group.Go(func() error { return errors.Join(sleep(doing, moment), do(doing)) })
	o, err := s.probe(ctx, name, plan)
	return o, errors.Join(group.Wait(), err)
}

// until is meanwhile with a probe that ends when that is done.
func (s *stage) until(ctx context.Context, name string, plan load.Plan, do func(context.Context) error) (*load.Outcome, error) {
	loading, end := context.WithCancel(ctx)
	group, doing := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer end()
		return errors.Join(sleep(doing, moment), do(doing))
	})
	o, err := s.record(loading, result.Phase{Name: name, Probe: true}, plan)
	return o, errors.Join(group.Wait(), err, ctx.Err())
}

func (s *stage) record(ctx context.Context, p result.Phase, plan load.Plan) (*load.Outcome, error) {
	s.Log("%s", p.Name)
	samples := s.watch(ctx)
	outcome, err := load.Run(ctx, plan)
	p.Usage = samples()
	if err != nil {
		return nil, fmt.Errorf("phase %s: %w", p.Name, err)
	}
	p.Outcome = outcome
	s.run.Phases = append(s.run.Phases, p)
	return outcome, nil
}

// watch samples what the parts take, until the function it returns is called.
func (s *stage) watch(ctx context.Context) func() []usage.Sample {
	if s.Stack != nil {
		return s.Stack.Watch(ctx)
	}
	return usage.Watch(ctx, nil)
}

// at is the same target, reached by other addresses.
func (s *stage) at(urls []*url.URL) *target.Target {
	t := s.Target
	return &target.Target{URLs: urls, Paths: t.Paths, Client: t.Client, Scope: t.Scope, AuthPost: t.AuthPost}
}

// as is the same stage, on which another client asks about tokens.
func (s *stage) as(c target.Client) *stage {
	env := *s.Env
	env.Opaque = c
	return &stage{Env: &env, run: s.run, span: s.span}
}

// fact tells a number.
func (s *stage) fact(name string, value float64) { s.run.Facts[name] = value }

// settle tells what all phases together say.
func (s *stage) settle() {
	for _, p := range s.run.Phases {
		s.run.Facts[wrongAnswers] += float64(p.Outcome.Total.Errors[errWrong.Error()])
	}
}

// wrongAnswers is the fact of how many answers must never have been given. Checks beside the load add to it.
const wrongAnswers = "wrong_answers"

// available is the share of good answers of a kind of request; 1 when there were none.
func available(o *load.Outcome, kinds ...string) float64 {
	asked, failed := int64(0), int64(0)
	for _, name := range kinds {
		if k := o.Kinds[name]; k != nil {
			asked += k.Requests
			failed += k.Failed()
		}
	}
	if asked == 0 {
		return 1
	}
	return 1 - float64(failed)/float64(asked)
}

// ratio is how many times b is a; 0 when nothing was measured.
func ratio[T time.Duration | float64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// least tells the smallest of several numbers.
func (s *stage) least(name string, value float64) {
	if before, told := s.run.Facts[name]; told {
		value = min(value, before)
	}
	s.fact(name, value)
}
