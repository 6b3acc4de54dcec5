package doctor

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// sharedFor is how long facts are good for others who ask.
const sharedFor = 5 * time.Second

// Shared gathers for many who ask: once at a time, and not anew within five seconds. The zero value is ready.
type Shared struct {
	flight singleflight.Group
	mu     sync.Mutex
	facts  *Facts
	at     time.Time
}

// Facts is what gather returns, or has returned to another. It is given a context that ends with nobody's request: others wait for the same.
func (s *Shared) Facts(ctx context.Context, gather func(ctx context.Context) *Facts) (*Facts, error) {
	if facts := s.recent(); facts != nil {
		return facts, nil
	}
	result := s.flight.DoChan("", func() (any, error) {
		facts := gather(context.WithoutCancel(ctx))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.facts, s.at = facts, time.Now()
		return facts, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		return r.Val.(*Facts), r.Err
	}
}

func (s *Shared) recent() *Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) >= sharedFor {
		return nil
	}
	return s.facts
}
