package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// run is one run of a plan. Its times count from the beginning of the warm-up.
type run struct {
	plan      Plan
	schedule  *schedule // nil: closed loop
	next      atomic.Int64
	begin     time.Time
	end       time.Duration
	recorders []*recorder
}

// Run plays a plan. A cancelled ctx ends it promptly and is no error: the
// outcome holds what was measured until then. An error means that the plan
// cannot be run.
func Run(ctx context.Context, p Plan) (*Outcome, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r := newRun(p)
	workers, err := r.workers(ctx)
	if err != nil {
		return nil, err
	}
	cpu := cpuTime()
	r.begin = time.Now()
	c := newCollector(r)
	finished := r.play(ctx, workers, c)
	return c.finish(finished, cpuTime()-cpu), nil
}

func newRun(p Plan) *run {
	if p.Timeout == 0 {
		p.Timeout = defaultTimeout
	}
	r := &run{plan: p, end: p.Warmup + p.Duration}
	if p.Rate != nil {
		r.schedule = newSchedule(p.Rate, p.Warmup, p.Duration)
	}
	return r
}

func (r *run) workers(ctx context.Context) ([]*worker, error) {
	spin := longestSpin
	if r.schedule != nil {
		spin = spinFor(r.schedule.count() / r.end.Seconds())
	}
	var workers []*worker
	for i := range r.plan.Connections {
		pacer, err := newPacer(ctx, spin)
		if err != nil {
			for _, w := range workers {
				w.pacer.close()
			}
			return nil, fmt.Errorf("worker %d: %w", i, err)
		}
		out := new(recorder)
		r.recorders = append(r.recorders, out)
		workers = append(workers, &worker{
			run: r, source: r.plan.Sources(i), pacer: pacer, out: out, conns: map[address]*conn{},
		})
	}
	return workers, nil
}

// play returns when all workers and the collector are done, and when the workers were.
func (r *run) play(ctx context.Context, workers []*worker, c *collector) (finished time.Duration) {
	done := make(chan struct{})
	var working, collecting sync.WaitGroup
	collecting.Go(func() { c.collect(done) })
	for _, w := range workers {
		working.Go(func() { w.play(ctx) })
	}
	working.Wait()
	finished = r.now()
	close(done)
	collecting.Wait()
	return finished
}

// now is the time of the run.
func (r *run) now() time.Duration { return time.Since(r.begin) }

// givenUp reports whether a request that found no free connection at its time is not worth sending any more: whoever
// asked has gone, or the run is over.
func (r *run) givenUp(due time.Duration) bool {
	now := r.now()
	return now >= r.end || now-due > r.plan.Timeout
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// cores is how many this process may use.
func cores() float64 { return float64(runtime.GOMAXPROCS(0)) }
