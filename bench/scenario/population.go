package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"oauth2-server/bench/load"
)

// A population is tokens, kept apart by what must be answered about them.
type population struct {
	live, revoked, expired []string
}

// The shares of a population among the requests, in percent. The rest is live tokens.
const (
	garbagePercent = 10
	revokedPercent = 5
	expiredPercent = 5
)

// zipfExponent is how uneven use is: the most used token of a million gets about one request in eight.
const zipfExponent = 1.1

// A draw picks tokens of a population for one worker: the live ones by Zipf's law, for a few of them make most of the
// requests. It may be used by one goroutine.
type draw struct {
	from   *population
	random *rand.Rand
	zipf   *rand.Zipf
}

func (p *population) draw(worker int) *draw {
	r := seeded(worker)
	return &draw{from: p, random: r, zipf: rand.NewZipf(r, zipfExponent, 1, uint64(len(p.live)-1))}
}

// seeded is a worker's own chance, the same in every run.
func seeded(worker int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(worker))) }

// next is a token, and whether it must be active.
func (d *draw) next() (token string, active bool) {
	live := d.from.live[d.zipf.Uint64()]
	switch n := d.random.IntN(100); {
	case n < garbagePercent:
		return garble(live, d.random), false
	case n < garbagePercent+revokedPercent && len(d.from.revoked) > 0:
		return pick(d.random, d.from.revoked), false
	case n >= 100-expiredPercent && len(d.from.expired) > 0:
		return pick(d.random, d.from.expired), false
	}
	return live, true
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// garble makes a token that no one issued out of one that somebody did: of the same length and alphabet, another
// character near its end.
func garble(token string, r *rand.Rand) string {
	i := len(token) - 2 - r.IntN(min(8, len(token)-2))
	other := strings.IndexByte(alphabet, token[i]) + 1 + r.IntN(len(alphabet)-1)
	return token[:i] + string(alphabet[other%len(alphabet)]) + token[i+1:]
}

// issuePopulation issues tokens over HTTP and revokes some of them.
func (s *stage) issuePopulation(ctx context.Context, live, revoked int) (*population, error) {
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, live+revoked)
	if err != nil {
		return nil, err
	}
	p := &population{live: tokens[:live], revoked: tokens[live:]}
	return p, s.revokeAll(ctx, p.revoked)
}

// seedPopulation writes tokens straight into the database: many, and expired ones too.
func (s *stage) seedPopulation(ctx context.Context, live, revoked, expired int) (*population, error) {
	tokens, err := s.seed(ctx, live+revoked, seededLife)
	if err != nil {
		return nil, err
	}
	p := &population{live: tokens[:live], revoked: tokens[live:]}
	if p.expired, err = s.seed(ctx, expired, -time.Minute); err != nil {
		return nil, err
	}
	return p, s.revokeAll(ctx, p.revoked)
}

// seededLife is longer than any run.
const seededLife = 12 * time.Hour

// revokeAll revokes tokens, and waits as long as a revocation may take to be in force everywhere.
func (s *stage) revokeAll(ctx context.Context, tokens []string) error {
	shots := make([]*load.Shot, len(tokens))
	for i, token := range tokens {
		shots[i] = s.Target.Revoke(s.replica(i), s.Opaque, token)
	}
	if err := s.ask(ctx, shots); err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	return sleep(ctx, inForce)
}

// inForce is how long after its acknowledgement a revocation is in force on every replica at the latest.
const inForce = time.Second

// warm asks every replica about every token once, which leaves them in all caches there are.
func (s *stage) warm(ctx context.Context, tokens []string) error {
	shots := make([]*load.Shot, 0, len(tokens)*len(s.Target.URLs))
	for replica := range s.Target.URLs {
		for _, token := range tokens {
			shots = append(shots, s.introspect(replica, token, true))
		}
	}
	if err := s.ask(ctx, shots); err != nil {
		return fmt.Errorf("introspect tokens once: %w", err)
	}
	return nil
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
