package scenario

import (
	"context"
	"fmt"
	"time"

	"oauth2-server/bench/stack"
)

// delays of Postgres: how much later each of its answers comes.
var delays = []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}

func highLatency() *Scenario {
	return &Scenario{
		Name: "high-latency", Title: "Postgres slowed by 20, 100 and 500 ms",
		Question:     "High latency: what does each endpoint do when the database is slow, and how much of it do clients see?",
		SLO:          "wrong_answers<=0,introspect_available_share>=0.999,lost_tokens<=0,lost_revocations<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 2, Proxy: true},
		play:         playHighLatency,
	}
}

// A request to a slow database takes long, and keeps its connection as long.
const (
	slowRate        = 400
	slowConnections = 1024
)

func playHighLatency(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 60, fresh: 10, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	proxy := s.Stack.Proxy()
	defer proxy.SetDelay(0)
	for _, d := range delays {
		proxy.SetDelay(d / 2) // there and back
		at := fmt.Sprintf("%d_ms", d.Milliseconds())
		plan := through(slowConnections, s.open(s.rate(slowRate), s.span, s.sources(t)))
		o, err := s.phase(ctx, fmt.Sprintf("Postgres %v slower", d), plan)
		if err != nil {
			return err
		}
		for _, kind := range []string{kindIssue, kindIntrospect, kindRevoke} {
			if k := o.Kinds[kind]; k != nil {
				s.fact(fmt.Sprintf("%s_p99_at_%s_seconds", kind, at), k.Latency.Quantile(0.99).Seconds())
				s.fact(fmt.Sprintf("%s_at_%s_available_share", kind, at), available(o, kind))
			}
		}
		s.least("introspect_available_share", available(o, kindIntrospect))
	}
	proxy.SetDelay(0)
	if err := sleep(ctx, delays[len(delays)-1]); err != nil { // what is under way arrives
		return err
	}
	return s.verify(ctx, t.ledger)
}
