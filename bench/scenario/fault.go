package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
)

// A fault is done to a dependency under load, and healed.
type fault struct {
	begin func(ctx context.Context, s *stage) error
	heal  func(s *stage) error // also of what was not broken
	// spared are the kinds of requests that must go on while it lasts.
	spared []string
}

// faults is the scenarios that take a dependency away under load.
func faults() []*Scenario {
	all := []string{kindIntrospect, kindFresh, kindIssue, kindRevoke}
	two := stack.Options{Replicas: 2}
	const slo = "wrong_answers<=0,lost_tokens<=0,lost_revocations<=0,spared_available_share>=0.99,recovered_share>=0.99"
	return []*Scenario{
		{
			Name: "db-down", Title: "Postgres is killed under load and comes back",
			Question: "Readiness failing, the database is gone: which requests still work, is an answer ever wrong, how soon is all well again?",
			SLO:      slo, StackOnly: true, StackOptions: two,
			play: fault{
				begin:  func(_ context.Context, s *stage) error { s.Stack.Postgres().Kill(); return nil },
				heal:   func(s *stage) error { return s.Stack.Postgres().Restart() },
				spared: []string{kindIntrospect},
			}.play,
		},
		{
			Name: "redis-down", Title: "Redis is killed under load and comes back empty",
			Question: "The cache is gone: does anybody notice?",
			SLO:      slo, StackOnly: true, StackOptions: two,
			play: fault{
				begin:  func(_ context.Context, s *stage) error { s.Stack.Redis().Kill(); return nil },
				heal:   func(s *stage) error { return s.Stack.Redis().Restart() },
				spared: all,
			}.play,
		},
		{
			Name: "redis-hung", Title: "Redis stops answering under load, its connections open, and continues",
			Question: "High latency without an error in sight: a cache that hangs instead of failing",
			SLO:      slo, StackOnly: true, StackOptions: two,
			play: fault{
				begin:  func(_ context.Context, s *stage) error { s.Stack.Redis().Stop(); return nil },
				heal:   func(s *stage) error { s.Stack.Redis().Continue(); return nil },
				spared: all,
			}.play,
		},
		{
			Name: "redis-empty", Title: "Redis is emptied under load, again and again",
			Question: "The cache was flushed or failed over to an empty one: what does that cost, and does a revoked token come back?",
			SLO:      slo, StackOnly: true, StackOptions: two,
			play: fault{
				begin:  func(ctx context.Context, s *stage) error { return s.flushRepeatedly(ctx) },
				heal:   func(*stage) error { return nil },
				spared: all,
			}.play,
		},
	}
}

// faultRate is the load during a fault: a part of what a small machine can do, for it is the fault that is measured.
const faultRate = 1000

// play is before, during and after. Whatever happens, what was broken is healed.
func (f fault) play(ctx context.Context, s *stage) (err error) {
	t, err := s.newTraffic(ctx, traffic{introspect: 50, fresh: 20, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	load := func(d time.Duration) load.Plan { return s.open(s.rate(faultRate), d, s.sources(t)) }
	if _, err := s.probe(ctx, "before", load(s.span)); err != nil {
		return err
	}
	heal := sync.OnceValue(func() error { return f.heal(s) })
	defer func() {
		if fault := heal(); err == nil {
			err = fault
		}
	}()
	during, err := s.meanwhile(ctx, result.Main, load(2*s.span), func(ctx context.Context) error { return f.begin(ctx, s) })
	if err != nil {
		return err
	}
	s.fact("spared_available_share", available(during, f.spared...))
	for kind := range during.Kinds {
		s.fact(strings.ReplaceAll(kind, "-", "_")+"_available_share", available(during, kind))
	}
	if err := s.recovery(ctx, "", load(3*s.span), heal); err != nil {
		return err
	}
	return s.verify(ctx, t.ledger)
}

// recovery plays a load while what was broken is healed, and tells how long requests failed from then on, and whether all is
// well at the end. The name is put before those of its facts.
func (s *stage) recovery(ctx context.Context, name string, plan load.Plan, heal func() error) error {
	var failed trouble
	plan.Sources = failed.watch(plan.Sources)
	var healed time.Time
	o, err := s.meanwhile(ctx, name+"after", plan, func(context.Context) error {
		err := heal()
		healed = time.Now()
		return err
	})
	if err != nil {
		return err
	}
	s.fact(name+"recover_seconds", max(0, failed.last().Sub(healed).Seconds()))
	s.fact(name+"recovered_share", settled(o))
	return nil
}

// settled is the share of good answers at the end of a load: in the better one of its last two seconds, for in the very
// last a load gives up what it could not send any more.
func settled(o *load.Outcome) float64 {
	best := 0.0
	for _, t := range o.Ticks[max(0, len(o.Ticks)-2):] {
		best = max(best, ratio(float64(t.Requests-t.Errors), float64(t.Requests)))
	}
	return best
}

// A trouble remembers when an answer was bad for the last time.
type trouble struct{ at atomic.Int64 } // Unix nanoseconds

func (t *trouble) last() time.Time { return time.Unix(0, t.at.Load()) }

// watch looks at all answers to the requests of sources.
func (t *trouble) watch(sources func(worker int) load.Source) func(worker int) load.Source {
	return func(worker int) load.Source {
		source := sources(worker)
		return func() *load.Shot {
			shot := source()
			if shot == nil {
				return nil
			}
			watched := *shot
			watched.Judge = func(status int, body []byte) error {
				err := shot.Judge(status, body)
				if err != nil {
					t.at.Store(time.Now().UnixNano())
				}
				return err
			}
			return &watched
		}
	}
}

// flush empties Redis, if there is one.
func (s *stage) flush() error {
	if s.Stack == nil || s.Stack.Redis() == nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", s.Stack.Redis().Addr(), time.Second)
	if err != nil {
		return fmt.Errorf("flush Redis: %w", err)
	}
	defer conn.Close()
	answer := make([]byte, len("+OK"))
	err = conn.SetDeadline(time.Now().Add(flushPatience))
	if err == nil {
		_, err = conn.Write([]byte("FLUSHALL\r\n"))
	}
	if err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err != nil || string(answer) != "+OK" {
		return fmt.Errorf("flush Redis: answer %q: %w", answer, err)
	}
	return nil
}

const (
	flushPatience = 10 * time.Second
	flushEvery    = 100 * time.Millisecond
)

// flushRepeatedly empties Redis ten times a second for a while.
func (s *stage) flushRepeatedly(ctx context.Context) error {
	for end := time.Now().Add(s.span); time.Now().Before(end); {
		if err := errors.Join(s.flush(), sleep(ctx, flushEvery)); err != nil {
			return err
		}
	}
	return nil
}
