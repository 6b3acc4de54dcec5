package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func revocationLag() *Scenario {
	return &Scenario{
		Name: "revocation-lag", Title: "revoke on one replica, poll the others until they refuse",
		Question:     "Revoke everything fast: how long after its acknowledgement is a revoked token still accepted anywhere?",
		SLO:          "wrong_answers<=0,late_revocations<=0",
		StackOptions: stack.Options{Replicas: 3},
		play:         playRevocationLag,
	}
}

const (
	probes    = 4 // revocations at once
	pollEvery = time.Millisecond
	pollLong  = 10 * time.Second // a token that lives on is given up
)

// A lag is how long revocations took to be in force.
type lag struct {
	mu      sync.Mutex
	times   load.Histogram
	late    int // not in force a second after the acknowledgement
	revoked []string
}

func playRevocationLag(ctx context.Context, s *stage) error {
	l, began, samples := new(lag), time.Now(), s.watch(ctx)
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range probes {
		group.Go(func() error {
			for i := int(next.Add(1)); i <= s.scaled(1000, 100); i = int(next.Add(1)) {
				if err := s.revokeAndPoll(ctx, l, s.replica(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	usage := samples()
	if err != nil {
		return err
	}
	s.run.Phases = append(s.run.Phases, result.Phase{Name: result.Main, Usage: usage, Outcome: l.outcome(time.Since(began))})
	s.fact("late_revocations", float64(l.late))
	s.fact("lag_p50_seconds", l.times.Quantile(0.5).Seconds())
	s.fact("lag_p99_seconds", l.times.Quantile(0.99).Seconds())
	s.fact("lag_max_seconds", l.times.Max().Seconds())
	return s.stayRefused(context.WithoutCancel(ctx), l.revoked)
}

// revokeAndPoll revokes a token that every replica holds and measures until each of them refuses it.
func (s *stage) revokeAndPoll(ctx context.Context, l *lag, at int) error {
	tokens, err := s.Target.NewTokens(ctx, at, s.Opaque, 1)
	if err != nil {
		return err
	}
	token := tokens[0]
	for replica := range s.Target.URLs {
		if active, err := s.Target.IsActive(ctx, replica, s.Opaque, token); err != nil || !active {
			return fmt.Errorf("a new token is not active on replica %d: %w", replica, err)
		}
	}
	if err := s.Target.RevokeNow(ctx, at, s.Opaque, token); err != nil {
		return err
	}
	acknowledged := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for replica := range s.Target.URLs {
		group.Go(func() error {
			took, err := s.untilRefused(ctx, replica, token, acknowledged)
			l.add(took)
			return err
		})
	}
	l.keep(token)
	return group.Wait()
}

// untilRefused is the time from the acknowledgement to the last moment at which the replica is known to have accepted the token.
func (s *stage) untilRefused(ctx context.Context, replica int, token string, acknowledged time.Time) (time.Duration, error) {
	accepted := time.Duration(0)
	for time.Since(acknowledged) < pollLong {
		active, err := s.Target.IsActive(ctx, replica, s.Opaque, token)
		if err != nil {
			return 0, err
		}
		if !active {
			return accepted, nil
		}
		accepted = time.Since(acknowledged)
		if err := sleep(ctx, pollEvery); err != nil {
			return 0, err
		}
	}
	return accepted, nil
}

func (l *lag) add(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times.Record(took)
	if took > inForce {
		l.late++
	}
}

func (l *lag) keep(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked = append(l.revoked, token)
}

// outcome is the lags in the form of a load's.
func (l *lag) outcome(elapsed time.Duration) *load.Outcome {
	kind := load.Kind{Requests: l.times.Count(), Latency: l.times}
	return &load.Outcome{
		Kinds: map[string]*load.Kind{"revocation": &kind}, Total: kind, Elapsed: elapsed,
		Throughput: float64(kind.Requests) / elapsed.Seconds(), Generator: load.Generator{Kept: true},
	}
}

// stayRefused asks every replica about every revoked token once more: once inactive, never active again.
func (s *stage) stayRefused(ctx context.Context, tokens []string) error {
	var wrong atomic.Int64
	var shots []*load.Shot
	for replica := range s.Target.URLs {
		for _, token := range tokens {
			shots = append(shots, s.question(replica, []string{token}, false, &wrong))
		}
	}
	err := s.ask(ctx, shots)
	s.fact(wrongAnswers, float64(wrong.Load()))
	return err
}
