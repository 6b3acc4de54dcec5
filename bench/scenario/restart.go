package scenario

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func restart() *Scenario {
	return &Scenario{
		Name: "restart", Title: "rolling restart of three replicas behind a balancer",
		Question:     "A deployment goes out, or is rolled back: does one request fail?",
		SLO:          "wrong_answers<=0,failed_requests<=0,restarted_replicas>=3,lost_tokens<=0,lost_revocations<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 3, Env: []string{"OAUTH2_SHUTDOWN_DELAY=300ms"}},
		play:         playRestart,
	}
}

// restartPatience is for a replica to finish what is under way.
const restartPatience = 30 * time.Second

func playRestart(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 65, fresh: 5, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	direct := s.Target
	b, err := newBalancer(direct.URLs, "/ready?for=traffic", s.Connections)
	if err != nil {
		return err
	}
	defer b.Close()
	s.Target = s.at([]*url.URL{b.URL})

	restarted := 0
	plan := s.open(s.rate(500), restartPatience*time.Duration(len(direct.URLs)), s.sources(t))
	o, err := s.until(ctx, result.Main, plan, func(ctx context.Context) (err error) {
		restarted, err = s.rollingRestart(ctx)
		return err
	})
	if err != nil {
		return err
	}
	s.fact("restarted_replicas", float64(restarted))
	s.fact("failed_requests", float64(o.Total.Failed()))
	s.Target = direct
	return s.verify(ctx, t.ledger)
}

// rollingRestart ends each replica as a rollout does, and starts it again, one after the other.
func (s *stage) rollingRestart(ctx context.Context) (restarted int, err error) {
	for _, r := range s.Stack.Replicas() {
		patient, cancel := context.WithTimeout(ctx, restartPatience)
		err := r.Terminate(patient)
		cancel()
		if err == nil {
			err = r.Restart()
		}
		if err == nil {
			err = sleep(ctx, moment)
		}
		if err != nil {
			return restarted, fmt.Errorf("restart replica %d: %w", restarted, err)
		}
		restarted++
	}
	return restarted, nil
}
