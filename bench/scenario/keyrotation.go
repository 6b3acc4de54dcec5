package scenario

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

func keyRotation() *Scenario {
	return &Scenario{
		Name: "key-rotation", Title: "keys are rotated again and again under load",
		Question:     "Rotate signing material: does one validation fail, of old tokens or of new ones?",
		SLO:          "wrong_answers<=0,failed_requests<=0,key_rotations>=3,lost_tokens<=0,lost_revocations<=0,lost_jwts<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 3, Env: []string{"OAUTH2_KEY_PUBLISH_AHEAD=0s"}},
		play:         playKeyRotation,
	}
}

// rotationPause lets the new next key be seen by all before it may be needed.
const rotationPause = 2500 * time.Millisecond

func playKeyRotation(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 50, fresh: 20, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	rotations := s.scaled(10, 3)
	var jwts []acknowledged
	plan := s.open(s.rate(faultRate), time.Duration(2*rotations)*rotationPause, s.sources(t))
	o, err := s.until(ctx, result.Main, plan, func(ctx context.Context) (err error) {
		jwts, err = s.rotateKeys(ctx, rotations)
		return err
	})
	if err != nil {
		return err
	}
	s.fact("key_rotations", float64(rotations))
	s.fact("failed_requests", float64(o.Total.Failed()))
	lost, err := s.as(s.Gateway).contradictions(ctx, jwts, true)
	if err != nil {
		return fmt.Errorf("verify the JWTs of every key: %w", err)
	}
	s.fact("lost_jwts", float64(lost))
	return s.verify(ctx, t.ledger)
}

// rotateKeys rotates all keys so many times, on one replica after another. Before and after each time a JWT is issued on every
// replica: it returns those, which are of every key.
func (s *stage) rotateKeys(ctx context.Context, rotations int) ([]acknowledged, error) {
	jwts, err := s.issueJWTs(ctx, nil)
	for i := range rotations {
		if err != nil {
			return nil, err
		}
		err = s.Stack.Operate(ctx, s.replica(i), http.MethodPost, "/admin/api/keys/rotate", struct{}{}, nil)
		if err != nil {
			return nil, fmt.Errorf("rotation %d: %w", i+1, err)
		}
		if err = sleep(ctx, rotationPause); err == nil {
			jwts, err = s.issueJWTs(ctx, jwts)
		}
	}
	return jwts, err
}

func (s *stage) issueJWTs(ctx context.Context, jwts []acknowledged) ([]acknowledged, error) {
	for replica := range s.Target.URLs {
		tokens, err := s.Target.NewTokens(ctx, replica, s.JWT, 1)
		if err != nil {
			return nil, err
		}
		jwts = append(jwts, acknowledged{tokens[0], replica})
	}
	return jwts, nil
}
