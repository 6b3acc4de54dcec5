package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"oauth2-server/bench/load"
)

// A ledger is what the target has acknowledged. It must hold afterwards, whatever happened in between.
type ledger struct {
	mu     sync.Mutex
	count  int
	alive  []acknowledged // never revoked
	mortal []acknowledged // to be revoked
	dead   []acknowledged // their revocation was acknowledged. Where it was asked for and not acknowledged, nothing is known
}

// An acknowledged token, and the replica that issued it.
type acknowledged struct {
	text    string
	replica int
}

// One token in mortality is set apart to be revoked.
const mortality = 4

// issued keeps a token that was answered with 200.
func (l *ledger) issued(t acknowledged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.count%mortality == 0 {
		l.mortal = append(l.mortal, t)
	} else {
		l.alive = append(l.alive, t)
	}
}

// takeMortal gives a token to be revoked, once.
func (l *ledger) takeMortal() (t acknowledged, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mortal) == 0 {
		return t, false
	}
	last := len(l.mortal) - 1
	t, l.mortal = l.mortal[last], l.mortal[:last]
	return t, true
}

// revoked keeps that the revocation of a token was answered with 200.
func (l *ledger) revoked(t acknowledged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = append(l.dead, t)
}

// recent is how many of the newest tokens are asked about while the load runs.
const recent = 1000

// fresh is one of the newest tokens that live.
func (l *ledger) fresh(r *rand.Rand) (t acknowledged, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.alive) == 0 {
		return t, false
	}
	return l.alive[len(l.alive)-1-r.IntN(min(recent, len(l.alive)))], true
}

// verify asks about everything that was acknowledged, at replicas that did not issue it and with Redis emptied: only what is
// durable counts. It tells how many tokens are lost, and how many revocations.
func (s *stage) verify(ctx context.Context, l *ledger) error {
	s.Log("verifying %d tokens and %d revocations", len(l.alive), len(l.dead))
	if err := errors.Join(s.flush(), sleep(ctx, inForce)); err != nil {
		return err
	}
	for _, claim := range []struct {
		fact   string
		tokens []acknowledged
		active bool
	}{{"lost_tokens", l.alive, true}, {"lost_revocations", l.dead, false}} {
		wrong, err := s.contradictions(ctx, claim.tokens, claim.active)
		if err != nil {
			return fmt.Errorf("verify what was acknowledged: %w", err)
		}
		s.fact(claim.fact, float64(wrong))
	}
	s.fact("verified_tokens", float64(len(l.alive)+len(l.dead)))
	return nil
}

// contradictions is how many tokens get another verdict than they must.
func (s *stage) contradictions(ctx context.Context, tokens []acknowledged, active bool) (int64, error) {
	elsewhere := make([][]string, len(s.Target.URLs))
	for _, t := range tokens {
		i := s.replica(t.replica + 1)
		elsewhere[i] = append(elsewhere[i], t.text)
	}
	var wrong atomic.Int64
	var shots []*load.Shot
	for replica, texts := range elsewhere {
		for some := range slices.Chunk(texts, s.perQuestion()) {
			shots = append(shots, s.question(replica, some, active, &wrong))
		}
	}
	err := s.ask(ctx, shots)
	return wrong.Load(), err
}

// perQuestion is how many tokens are verified with one request. Only our own server is known to take many.
func (s *stage) perQuestion() int {
	if s.Stack == nil {
		return 1
	}
	return batchTokens
}
