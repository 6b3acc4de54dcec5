package scenario

import (
	"context"
	"errors"
	"time"

	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func cleanup() *Scenario {
	return &Scenario{
		Name: "cleanup", Title: "10 million expired tokens are dropped under load",
		Question:     "The database is running out of space: does cleaning up old tokens disturb those who use new ones?",
		SLO:          "wrong_answers<=0,available_share>=0.999,dropped_partitions>=1,lost_tokens<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 2},
		play:         playCleanup,
	}
}

// playCleanup compares a server with itself. Replicas drop past partitions when they start: so the second is restarted
// under load on the first, once with nothing to drop and once with everything.
func playCleanup(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 60, fresh: 10, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	s.Target = s.at(s.Target.URLs[:1])
	plan := s.open(s.rate(faultRate), cleanupPatience, s.sources(t))
	without, err := s.until(ctx, "nothing to drop", plan, func(ctx context.Context) error {
		return errors.Join(s.Stack.Replica(1).Restart(), sleep(ctx, s.span))
	})
	if err != nil {
		return err
	}
	if err := s.seedPast(ctx, s.scaled(10_000_000, 100_000)); err != nil {
		return err
	}
	dropped := 0
	with, err := s.until(ctx, result.Main, plan, func(ctx context.Context) (err error) {
		dropped, err = s.dropPast(ctx)
		return errors.Join(err, sleep(ctx, s.span))
	})
	if err != nil {
		return err
	}
	s.fact("dropped_partitions", float64(dropped))
	s.fact("available_share", min(goodShare(without), goodShare(with)))
	s.fact("p99_ratio", ratio(with.Total.Latency.Quantile(0.99), without.Total.Latency.Quantile(0.99)))
	return s.verify(ctx, t.ledger)
}

// cleanupPatience bounds the time that a replica takes to start, and to drop what is due.
const cleanupPatience = time.Minute

// dropPast restarts the replica that clears up, and is the number of partitions that are gone.
func (s *stage) dropPast(ctx context.Context) (int, error) {
	before, err := s.partitions(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.Stack.Replica(1).Restart(); err != nil {
		return 0, err
	}
	for end := time.Now().Add(s.span); ; {
		after, err := s.partitions(ctx)
		if err != nil || len(after) < len(before) || time.Now().After(end) {
			return len(before) - len(after), err
		}
		if err := sleep(ctx, moment); err != nil {
			return 0, err
		}
	}
}
