package scenario

import (
	"context"
	"fmt"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/target"
)

// issuing is the scenarios of client_credentials (RFC 6749 §4.4).
func issuing() []*Scenario {
	return []*Scenario{
		{
			Name: "issue", Title: "client_credentials, opaque tokens, durable when answered",
			Question: "The token endpoint is slow: what can it do at best, and how does that compare with /health on this machine?",
			SLO:      "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.12", BareSLO: bareSLO,
			play: func(ctx context.Context, s *stage) error { return s.issuing(ctx, s.Opaque) },
		},
		{
			Name: "issue-jwt", Title: "client_credentials, signed JWTs",
			Question: "The token endpoint is slow: is it the signing?",
			SLO:      "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.08", BareSLO: bareSLO,
			play: func(ctx context.Context, s *stage) error { return s.issuing(ctx, s.JWT) },
		},
	}
}

// bareSLO is what every server keeps at a rate that it can serve.
const bareSLO = "wrong_answers<=0,available_share>=0.999"

func (s *stage) issuing(ctx context.Context, c target.Client) error {
	shots := make([]*load.Shot, len(s.Target.URLs))
	for replica := range shots {
		shots[replica] = s.issue(replica, c)
	}
	return s.throughput(ctx, func(worker int) load.Source {
		return func() *load.Shot { return shots[s.replica(worker)] }
	})
}

// throughput is the shape of all scenarios that ask how fast: as fast as answers come, beside /health of the same moment; then
// at half of that rate, which shows the latencies of a server that is not full. A given rate is played alone.
func (s *stage) throughput(ctx context.Context, sources func(worker int) load.Source) error {
	if s.Rate > 0 {
		main, err := s.phase(ctx, result.Main, s.open(s.Rate, s.span, sources))
		if err == nil {
			s.fact("available_share", goodShare(main))
		}
		return err
	}
	health, err := s.health(ctx)
	if err != nil {
		return err
	}
	main, err := s.phase(ctx, result.Main, s.closed(s.span, sources))
	if err != nil {
		return err
	}
	s.fact("available_share", goodShare(main))
	if health > 0 {
		s.fact("ratio_to_health", ratio(main.Throughput, health))
	}
	if main.Throughput == 0 {
		return fmt.Errorf("not one good answer: %v", main.Total.Errors)
	}
	half, err := s.probe(ctx, "half of it", s.open(main.Throughput/2, s.span, sources))
	if err == nil && half.Generator.Kept {
		s.fact("half_load_p99_seconds", half.Total.Latency.Quantile(0.99).Seconds())
	}
	return err
}

// health is the throughput of /health, by the same connections; 0: the target has none.
func (s *stage) health(ctx context.Context) (float64, error) {
	if s.Target.Paths.Health == "" {
		return 0, nil
	}
	shots := make([]*load.Shot, len(s.Target.URLs))
	for replica := range shots {
		shots[replica] = s.Target.Get(replica, s.Target.Paths.Health)
		shots[replica].Kind = "health"
	}
	outcome, err := s.phase(ctx, "health", s.closed(s.span/2, func(worker int) load.Source {
		return func() *load.Shot { return shots[s.replica(worker)] }
	}))
	if err != nil {
		return 0, err
	}
	return outcome.Throughput, nil
}

// goodShare is the share of good answers among all.
func goodShare(o *load.Outcome) float64 {
	if o.Total.Requests == 0 {
		return 0
	}
	return 1 - float64(o.Total.Failed())/float64(o.Total.Requests)
}
