package scenario

import (
	"context"
	"errors"
)

func mixed() *Scenario {
	return &Scenario{
		Name: "mixed", Title: "70 introspections to 20 tokens issued to 3 revoked, and on a stack of our own to 7 refreshed",
		Question: "High 5xx or latency: what do the endpoints do to each other, and is everything that was acknowledged true afterwards?",
		SLO: "wrong_answers<=0,available_share>=0.999,lost_tokens<=0,lost_revocations<=0,lost_families<=0,forked_families<=0," +
			"ratio_to_health>=0.1", // 7 of 100 requests are refreshes, each of which waits for two commits
		BareSLO: "wrong_answers<=0,available_share>=0.999,lost_tokens<=0,lost_revocations<=0",
		play:    playMixed,
	}
}

func playMixed(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 65, fresh: 5, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	if s.Stack != nil { // elsewhere nobody can sign in: every server has pages of its own
		t.refresh = 7
		if t.rings, err = s.newRings(ctx, s.scaled(20, 5)); err != nil {
			return err
		}
	}
	if err := s.throughput(ctx, s.sources(t)); err != nil {
		return err
	}
	return errors.Join(s.verify(ctx, t.ledger), s.verifyFamilies(ctx, t.rings))
}
