package scenario

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// seed writes n tokens of the opaque client straight into the stack's database, as if they had been issued, and is their
// texts. They expire in the given time, which may be negative.
func (s *stage) seed(ctx context.Context, n int, expires time.Duration) ([]string, error) {
	s.Log("writing %d tokens into the database", n)
	out, err := s.Stack.Command(ctx, "seed-tokens", "--client", s.Opaque.ID, "--count", strconv.Itoa(n), "--expires-in", expires.String())
	if err != nil {
		return nil, err
	}
	texts := strings.Fields(string(out))
	if len(texts) != n {
		return nil, fmt.Errorf("seed tokens: got %d, want %d", len(texts), n)
	}
	return texts, nil
}

// past is how long ago tokens expired whose partition is to be dropped at the next opportunity.
const past = 72 * time.Hour

// seedPast writes n tokens that expired days ago, in the partition of that day.
func (s *stage) seedPast(ctx context.Context, n int) error {
	s.Log("writing %d expired tokens into the database", n)
	_, err := s.Stack.Command(ctx, "seed-tokens", "--client", s.Opaque.ID, "--count", strconv.Itoa(n), "--expires-in", (-past).String(), "--silent")
	return err
}

// partitions is the names of the database's partitions of tokens.
func (s *stage) partitions(ctx context.Context) ([]string, error) {
	out, err := s.Stack.Command(ctx, "seed-tokens", "--partitions")
	return strings.Fields(string(out)), err
}
