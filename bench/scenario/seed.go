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

// seedPast writes n tokens of which the first expired so long ago, and the last that much later, in the partitions of those days.
func (s *stage) seedPast(ctx context.Context, n int, ago, spread time.Duration) error {
	s.Log("writing %d expired tokens into the database", n)
	_, err := s.Stack.Command(ctx, "seed-tokens", "--client", s.Opaque.ID, "--count", strconv.Itoa(n),
		"--expires-in", (-ago).String(), "--spread", spread.String(), "--silent")
	return err
}

// partitions is the names of the database's partitions of tokens.
func (s *stage) partitions(ctx context.Context) ([]string, error) {
	out, err := s.Stack.Command(ctx, "seed-tokens", "--partitions")
	return strings.Fields(string(out)), err
}
