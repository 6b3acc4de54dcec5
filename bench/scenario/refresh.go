package scenario

import (
	"context"

	"oauth2-server/bench/load"
	"oauth2-server/bench/stack"
)

func refresh() *Scenario {
	return &Scenario{
		Name: "refresh", Title: "refresh tokens of grants made by authorization codes, each good once, their rotation durable when answered",
		Question: "The token endpoint is slow: is it the refreshing, and does anybody have to sign in again because of it?",
		SLO: "wrong_answers<=0,available_share>=0.999,lost_families<=0,forked_families<=0,lost_tokens<=0," +
			"ratio_to_health>=0.10",
		BareSLO:      "wrong_answers<=0,available_share>=0.999,lost_families<=0,forked_families<=0,lost_tokens<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 2},
		play:         playRefresh,
	}
}

// playRefresh loads one replica: clients of a second would only wait for the same Postgres. What it acknowledged is verified at another.
func playRefresh(ctx context.Context, s *stage) error {
	all := s.Target
	s.Target = s.at(all.URLs[:1])
	rings, err := s.newRings(ctx, s.scaled(100, 10))
	if err != nil {
		return err
	}
	err = s.throughput(ctx, func(worker int) load.Source {
		return func() *load.Shot { return s.refresh(rings[worker], s.replica(worker)) }
	})
	if err != nil {
		return err
	}
	s.Target = all
	return s.verifyFamilies(ctx, rings)
}
