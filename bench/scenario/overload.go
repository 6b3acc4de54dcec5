package scenario

import (
	"context"
	"fmt"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/stack"
)

func overload() *Scenario {
	return &Scenario{
		Name: "overload", Title: "1.2 times the capacity of the machine, then 5 times that of a slow Postgres",
		Question: "High 5xx and latency under a rush: does the server shed what it cannot serve, or does it suffer?",
		SLO: "wrong_answers<=0,cpu_goodput_ratio>=0.9,cpu_recovered_share>=0.99," +
			"database_goodput_ratio>=0.9,database_recovered_share>=0.99,database_refusal_ratio<=1",
		StackOnly:    true,
		StackOptions: stack.Options{Proxy: true, NoRedis: true, Env: []string{noL1}}, // every introspection asks Postgres
		play:         playOverload,
	}
}

// A rush is more than the capacity of one thing.
type rush struct {
	bottleneck string
	times      float64
	filling    int // connections that fill the bottleneck, when its capacity is measured
	rushing    int // connections of the rush
	sources    func(worker int) load.Source
}

// slowDatabase is how much later Postgres answers. Look-ups go there in batches, of which few are under way: with this delay
// Postgres is the bottleneck long before the machine.
const slowDatabase = 200 * time.Millisecond

func playOverload(ctx context.Context, s *stage) error {
	s.Target = s.at(s.Target.URLs[:1]) // each replica has queues of its own
	issue := s.issue(0, s.Opaque)
	err := s.rush(ctx, rush{"cpu", 1.2, manyConnections, manyConnections, rotate([]*load.Shot{issue})})
	if err != nil {
		return err
	}
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, 1000)
	if err != nil {
		return err
	}
	if err := s.warm(ctx, tokens); err != nil { // the server's connections to Postgres are there before it is slow
		return err
	}
	s.Stack.Proxy().SetDelay(slowDatabase / 2) // there and back
	defer s.Stack.Proxy().SetDelay(0)
	return s.rush(ctx, rush{"database", 5, 768, 2 * manyConnections, rotate(s.questions(tokens, 1))})
}

// overloadWarmup is for all connections to be there, and the queues to fill.
const overloadWarmup = time.Second

// manyConnections keep every core busy. Twice as many overflow the server's queues before the generator's. The CPU's capacity
// is measured with those of the rush: connections cost CPU themselves.
const manyConnections = 1024

// rush finds the capacity, offers a multiple of it, and then half of it, at which the server must be itself again.
func (s *stage) rush(ctx context.Context, r rush) error {
	plan := through(r.filling, s.closed(2*s.span, r.sources))
	plan.Warmup = overloadWarmup
	capacity, err := s.probe(ctx, r.bottleneck+" capacity", plan)
	if err != nil {
		return err
	}
	if capacity.Throughput == 0 {
		return fmt.Errorf("not one good answer: %v", capacity.Total.Errors)
	}
	rate := capacity.Throughput
	over, err := s.probe(ctx, fmt.Sprintf("%s × %g", r.bottleneck, r.times), through(r.rushing, s.open(r.times*rate, 3*s.span, r.sources)))
	if err != nil {
		return err
	}
	unsent := over.Total.Errors[load.NoneFree.Error()]
	for name, value := range map[string]float64{
		"capacity_per_second": rate,
		"offered_per_second":  float64(over.Total.Requests) / over.Elapsed.Seconds(),
		"goodput_ratio":       ratio(over.Throughput, rate),
		"refused_share":       ratio(float64(over.Total.Failed()-unsent), float64(over.Total.Requests)),
		"unsent_share":        ratio(float64(unsent), float64(over.Total.Requests)), // all connections were waiting for answers
	} {
		s.fact(r.bottleneck+"_"+name, value)
	}
	if over.Total.Failed() > unsent {
		good, bad := over.Total.Latency.Quantile(0.99), over.Total.FailLatency.Quantile(0.99)
		s.fact(r.bottleneck+"_refusal_p99_seconds", bad.Seconds())
		s.fact(r.bottleneck+"_refusal_ratio", ratio(bad, good)) // of the slowest refusals to the slowest good answers
	}
	return s.recovery(ctx, r.bottleneck+"_", through(r.filling, s.open(rate/2, 4*s.span, r.sources)), func() error { return nil })
}

// through is the plan with another number of connections.
func through(connections int, plan load.Plan) load.Plan {
	plan.Connections = connections
	return plan
}
