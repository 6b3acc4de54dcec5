package scenario

import "context"

func mixed() *Scenario {
	return &Scenario{
		Name: "mixed", Title: "70 introspections to 20 tokens issued to 3 revoked",
		Question: "High 5xx or latency: what do the endpoints do to each other, and is everything that was acknowledged true afterwards?",
		SLO:      "wrong_answers<=0,available_share>=0.999,lost_tokens<=0,lost_revocations<=0,ratio_to_health>=0.15",
		BareSLO:  "wrong_answers<=0,available_share>=0.999,lost_tokens<=0,lost_revocations<=0",
		play:     playMixed,
	}
}

func playMixed(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 65, fresh: 5, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	if err := s.throughput(ctx, s.sources(t)); err != nil {
		return err
	}
	return s.verify(ctx, t.ledger)
}
