package scenario

import (
	"context"
	"fmt"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

// noL1 leaves a replica without a cache in its own memory: every look-up goes on to Redis or Postgres.
const noL1 = "OAUTH2_CACHE_MIB=0"

// introspecting is the scenarios of introspection (RFC 7662) by where the answer comes from.
func introspecting() []*Scenario {
	const question = "The token endpoint is slow: do look-ups reach the database that should not, and what does each tier cost?"
	return []*Scenario{
		{
			Name: "introspect-hot", Title: "introspection, every token in the replica's own memory", Question: question,
			SLO: "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.4,l1_share>=0.99", BareSLO: bareSLO,
			play: introspectHot,
		},
		{
			Name: "introspect-l2", Title: "introspection of tokens that another replica issued: every one from Redis", Question: question,
			SLO: "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.15,l2_share>=0.99", BareSLO: "wrong_answers<=0,available_share>=0.999,l2_share>=0.99",
			StackOnly: true, StackOptions: stack.Options{Replicas: 2, Env: []string{noL1}},
			play: func(ctx context.Context, s *stage) error { return s.introspecting(ctx, "l2", 1) },
		},
		{
			Name: "introspect-cold", Title: "introspection with empty caches: every token from Postgres", Question: question,
			SLO: "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.08,store_share>=0.99", BareSLO: "wrong_answers<=0,available_share>=0.999,store_share>=0.99",
			StackOnly: true, StackOptions: stack.Options{NoRedis: true, Env: []string{noL1}},
			play: func(ctx context.Context, s *stage) error { return s.introspecting(ctx, "store", 0) },
		},
	}
}

func introspectHot(ctx context.Context, s *stage) error {
	if s.Stack != nil {
		return s.introspecting(ctx, "l1", 0)
	}
	shots, err := s.hotShots(ctx, 0)
	if err != nil {
		return err
	}
	return s.throughput(ctx, rotate(shots))
}

// introspecting asks about tokens that replica 0 issued at the replicas from first on, and tells how many of the look-ups
// were answered by the tier that is meant.
func (s *stage) introspecting(ctx context.Context, tier string, first int) error {
	shots, err := s.hotShots(ctx, first)
	if err != nil {
		return err
	}
	before, err := s.lookups(ctx)
	if err != nil {
		return err
	}
	if err := s.throughput(ctx, rotate(shots)); err != nil {
		return err
	}
	after, err := s.lookups(ctx)
	if err != nil {
		return err
	}
	all := 0.0
	for name := range after {
		all += after[name] - before[name]
	}
	s.fact(tier+"_share", ratio(after[tier]-before[tier], all))
	return nil
}

// hotShots issues tokens at replica 0, asks the replicas from first on about each of them once, and prepares the requests that repeat that.
func (s *stage) hotShots(ctx context.Context, first int) ([]*load.Shot, error) {
	if first >= len(s.Target.URLs) {
		return nil, fmt.Errorf("it takes %d replicas, there are %d", first+1, len(s.Target.URLs))
	}
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, s.scaled(10_000, 1000))
	if err != nil {
		return nil, err
	}
	var shots []*load.Shot
	for i, token := range tokens {
		shots = append(shots, s.introspect(first+i%(len(s.Target.URLs)-first), token, true))
	}
	if err := s.ask(ctx, shots); err != nil {
		return nil, fmt.Errorf("introspect tokens once: %w", err)
	}
	return shots, nil
}

// tiers is where a replica may find a token's record, as its metrics name them.
var tiers = []string{"l1", "l2", "store"}

// lookups is how many look-ups each tier has answered on all replicas.
func (s *stage) lookups(ctx context.Context) (map[string]float64, error) {
	sum := map[string]float64{}
	for _, r := range s.Stack.Replicas() {
		metrics, err := r.Metrics(ctx)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		for _, tier := range tiers {
			sum[tier] += metrics[fmt.Sprintf("oauth2_server_lookups_total{tier=%q}", tier)]
		}
	}
	return sum, nil
}

func introspectMixed() *Scenario {
	return &Scenario{
		Name: "introspect-mixed", Title: "introspection as it is: a million tokens by Zipf's law, 10 % garbage, 5 % revoked, 5 % expired",
		Question: "Users are getting invalid_token, and introspection is slow: what does real traffic cost, and is every verdict right?",
		SLO:      "wrong_answers<=0,available_share>=0.999,ratio_to_health>=0.2", BareSLO: bareSLO,
		play: playIntrospectMixed,
	}
}

func playIntrospectMixed(ctx context.Context, s *stage) error {
	population, err := s.mixedPopulation(ctx)
	if err != nil {
		return err
	}
	s.fact("tokens_in_all", float64(len(population.live)+len(population.revoked)+len(population.expired)))
	return s.throughput(ctx, func(worker int) load.Source {
		tokens, replica := population.draw(worker), s.replica(worker)
		return func() *load.Shot {
			token, active := tokens.next()
			return s.introspect(replica, token, active)
		}
	})
}

// mixedPopulation is a million tokens on a stack. Somebody else's server issues fewer, and none of them expired.
func (s *stage) mixedPopulation(ctx context.Context) (*population, error) {
	if s.Stack == nil {
		return s.issuePopulation(ctx, s.scaled(20_000, 1000), s.scaled(1000, 50))
	}
	return s.seedPopulation(ctx, s.scaled(1_000_000, 20_000), s.scaled(10_000, 500), s.scaled(10_000, 500))
}

const batchTokens = 100

func introspectBatch() *Scenario {
	return &Scenario{
		Name: "introspect-batch", Title: "introspection of 100 tokens a request, beside one a request",
		Question: "The token endpoint is slow: would gateways that ask in batches take load off it?",
		SLO:      "wrong_answers<=0,available_share>=0.999,batch_ratio>=2", BareSLO: bareSLO,
		play: playIntrospectBatch,
	}
}

func playIntrospectBatch(ctx context.Context, s *stage) error {
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, s.scaled(10_000, 1000))
	if err != nil {
		return err
	}
	if err := s.warm(ctx, tokens); err != nil {
		return err
	}
	batches := s.questions(tokens, batchTokens)
	if s.Rate > 0 {
		return s.throughput(ctx, rotate(batches))
	}
	single, err := s.phase(ctx, "one a request", s.closed(s.span/2, rotate(s.questions(tokens, 1))))
	if err != nil {
		return err
	}
	main, err := s.phase(ctx, result.Main, s.closed(s.span, rotate(batches)))
	if err != nil {
		return err
	}
	s.fact("available_share", goodShare(main))
	s.fact("tokens_per_second", batchTokens*main.Throughput)
	s.fact("batch_ratio", ratio(batchTokens*main.Throughput, single.Throughput))
	return nil
}
