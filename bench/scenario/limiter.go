package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func limiter() *Scenario {
	return &Scenario{
		Name: "limiter", Title: "the cost of rate limits: off, leased, exact, and refused",
		Question: "Too many rate-limit rejections: what do limits cost, how exactly do they hold over three replicas, and what does a noisy client cost?",
		SLO: "wrong_answers<=0,leased_ratio>=0.9,admitted_ratio<=1.1,admitted_ratio>=0.8," +
			"noisy_ratio>=0.8,unlimited_refusals<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 3},
		play:         playLimiter,
	}
}

// limitRule is the rule that the scenario changes. Its client is the only one that asks.
const limitRule = "/admin/api/limits/introspect.client"

// A value is what the rule is set to, as the operators' listener takes it.
type value struct {
	Rate   int64  `json:"rate"`
	Period string `json:"period"`
	Burst  int64  `json:"burst"`
	Mode   string `json:"mode"`
}

var (
	free   = value{roomy, "1s", roomy, "off"}
	shadow = value{10_000, "1s", 20_000, "shadow"} // as it is from the first start
)

const (
	roomy = 1_000_000 // permits a second that no machine of ours uses up
	tight = 3000      // permits a second, far below what one client asks for
	few   = 90        // permits a second: few enough to be counted one by one
)

func playLimiter(ctx context.Context, s *stage) (err error) {
	if err := s.limit(ctx, free); err != nil {
		return err
	}
	// Whoever plays next on this stack finds the rule as it is from the first start.
	defer func() { err = errors.Join(err, s.limit(context.WithoutCancel(ctx), shadow)) }()
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, 1000)
	if err != nil {
		return err
	}
	if err := s.warm(ctx, tokens); err != nil {
		return err
	}
	sources := rotate(s.questions(tokens, 1))
	unlimited, err := s.leases(ctx, sources)
	if err != nil {
		return err
	}
	return errors.Join(s.exactly(ctx, sources), s.refuses(ctx, sources, unlimited))
}

// rounds is how often two loads are played in turn, so that what else the machine does is shared by both.
const rounds = 3

// leases compares a limit that nobody reaches with none, and returns the throughput without.
func (s *stage) leases(ctx context.Context, sources func(worker int) load.Source) (float64, error) {
	off, leased, refusals := 0.0, 0.0, int64(0)
	for range rounds {
		for _, part := range []struct {
			name  string
			value value
			sum   *float64
		}{{"limits off", free, &off}, {result.Main, value{roomy, "1s", roomy, "enforce"}, &leased}} {
			o, err := s.under(ctx, part.name, part.value, s.closed(s.span/2, sources))
			if err != nil {
				return 0, err
			}
			*part.sum += o.Throughput / rounds
			refusals += o.Total.Failed()
		}
	}
	s.fact("leased_ratio", ratio(leased, off))
	s.fact("unlimited_refusals", float64(refusals))
	return off, nil
}

// exactly asks at two thirds of a rate at which every permit is a trip to Redis.
func (s *stage) exactly(ctx context.Context, sources func(worker int) load.Source) error {
	const rate = few * 2 / 3
	unlimited, err := s.under(ctx, "slow, limits off", free, s.open(rate, s.span, sources))
	if err != nil {
		return err
	}
	exact, err := s.under(ctx, "slow, exact", value{few, "1s", few, "enforce"}, s.open(rate, s.span, sources))
	if err != nil {
		return err
	}
	s.fact("exact_added_p50_seconds", (exact.Total.Latency.Quantile(0.5) - unlimited.Total.Latency.Quantile(0.5)).Seconds())
	return nil
}

// refuses lets one client ask for far more than it may: what is admitted is the limit, and refusals cost no more than answers.
func (s *stage) refuses(ctx context.Context, sources func(worker int) load.Source, unlimited float64) error {
	noisy, err := s.under(ctx, "noisy", value{tight, "1s", tight / 10, "enforce"}, s.closed(2*s.span, sources))
	if err != nil {
		return err
	}
	s.fact("admitted_ratio", ratio(noisy.Throughput, tight))
	s.fact("noisy_ratio", ratio(float64(noisy.Total.Requests)/noisy.Elapsed.Seconds(), unlimited))
	return nil
}

// under sets the rule, waits until every replica follows, and plays the load.
func (s *stage) under(ctx context.Context, name string, v value, plan load.Plan) (*load.Outcome, error) {
	if err := s.limit(ctx, v); err != nil {
		return nil, err
	}
	return s.probe(ctx, name, plan)
}

// limit sets the rule and waits until every replica follows.
func (s *stage) limit(ctx context.Context, v value) error {
	if err := s.Stack.Operate(ctx, 0, http.MethodPatch, limitRule, v, nil); err != nil {
		return fmt.Errorf("set the limit: %w", err)
	}
	return sleep(ctx, inForce)
}
