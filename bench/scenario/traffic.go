package scenario

import (
	"context"
	"math/rand/v2"

	"oauth2-server/bench/load"
)

// Traffic is what many clients do at once: of so many requests each kind, by weight. What is acknowledged goes into the ledger.
type traffic struct {
	introspect int // tokens that every replica knows: live, revoked, and garbage
	fresh      int // tokens that another replica has just issued
	issue      int
	revoke     int
	refresh    int // of grants in rings

	known  *population
	ledger *ledger
	rings  []*ring // one a worker; none where nothing is refreshed
}

const (
	knownLive    = 500
	knownRevoked = 50
)

// newTraffic prepares the tokens that every replica knows.
func (s *stage) newTraffic(ctx context.Context, weights traffic) (*traffic, error) {
	t := &weights
	t.ledger = new(ledger)
	var err error
	if t.known, err = s.issuePopulation(ctx, knownLive, knownRevoked); err != nil {
		return nil, err
	}
	return t, s.warm(ctx, t.known.live)
}

// sources gives each worker its own mix. A worker speaks to one replica.
func (s *stage) sources(t *traffic) func(worker int) load.Source {
	return func(worker int) load.Source {
		r, tokens, replica := seeded(worker), t.known.draw(worker), s.replica(worker)
		return func() *load.Shot {
			if shot := s.other(t, r, worker); shot != nil {
				return shot
			}
			token, active := tokens.next()
			return s.introspect(replica, token, active)
		}
	}
}

// other is a request that is no introspection of a known token; nil: such a one is due, or nothing is there to ask about yet.
func (s *stage) other(t *traffic, r *rand.Rand, worker int) *load.Shot {
	n, replica := r.IntN(t.introspect+t.fresh+t.issue+t.revoke+t.refresh), s.replica(worker)
	switch {
	case n < t.issue:
		return s.issueInto(t.ledger, replica)
	case n < t.issue+t.revoke:
		return s.revokeFrom(t.ledger, replica)
	case n < t.issue+t.revoke+t.fresh:
		if token, ok := t.ledger.fresh(r); ok {
			shot := s.introspect(s.replica(token.replica+1), token.text, true)
			shot.Kind = kindFresh
			return shot
		}
	case n < t.issue+t.revoke+t.fresh+t.refresh:
		return s.refresh(t.rings[worker], replica)
	}
	return nil
}
