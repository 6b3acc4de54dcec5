package stack

import (
	"context"
	"strconv"

	"oauth2-server/bench/usage"
)

// Watch samples, once a second, what each part takes, until ctx ends or the function it returns is called, which gives the samples.
func (s *Stack) Watch(ctx context.Context) func() []usage.Sample { return usage.Watch(ctx, s.pids) }

// pids is the first process of each part.
func (s *Stack) pids() map[string]int {
	pids := map[string]int{usage.Postgres: s.postgres.Pid()}
	if s.redis != nil {
		pids[usage.Redis] = s.redis.Pid()
	}
	for i, r := range s.replicas {
		pids[usage.Server+" "+strconv.Itoa(i)] = r.Pid()
	}
	return pids
}
