package stack

import (
	"context"
	"encoding/json"
	"fmt"

	"oauth2-server/bench/result"
)

// settings of Postgres without which a figure cannot be judged.
var settings = []string{"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"}

// Facts is what was started: versions and settings. Every part must run.
func (s *Stack) Facts(ctx context.Context) (result.Server, error) {
	facts := result.Server{Replicas: len(s.replicas), Settings: map[string]string{}}
	out, err := s.Command(ctx, "version", "--json")
	if err != nil {
		return facts, err
	}
	if err := json.Unmarshal(out, &facts); err != nil { // the names are the same
		return facts, fmt.Errorf("read the server's version: %w", err)
	}
	if facts.Postgres, err = s.postgres.Show(ctx, "server_version"); err != nil {
		return facts, fmt.Errorf("ask Postgres for its version: %w", err)
	}
	for _, name := range settings {
		if facts.Settings[name], err = s.postgres.Show(ctx, name); err != nil {
			return facts, fmt.Errorf("ask Postgres for %s: %w", name, err)
		}
	}
	if s.redis != nil {
		if facts.Redis, err = s.redis.Version(ctx); err != nil {
			return facts, fmt.Errorf("ask Redis for its version: %w", err)
		}
	}
	return facts, nil
}
