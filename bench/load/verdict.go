package load

import (
	"fmt"
	"time"
)

// Beyond these the generator, not the target, shaped what was measured.
const (
	mostLag     = 5 * time.Millisecond // p99 of requests whose connection was free
	mostStalled = 0.02                 // of the run
	mostCPU     = 0.95                 // of the cores
)

// finish completes the outcome of workers that were done after a time.
func (c *collector) finish(finished, cpu time.Duration) *Outcome {
	o, plan := c.outcome, c.run.plan
	for _, kind := range o.Kinds {
		o.Total.merge(kind)
	}
	o.Elapsed = max(0, min(finished, c.run.end)-plan.Warmup)
	if o.Elapsed > 0 {
		o.Throughput = float64(o.Total.Requests-o.Total.Failed()) / o.Elapsed.Seconds()
	}
	if plan.Rate != nil {
		o.Intended = newSchedule(plan.Rate, 0, plan.Duration).count() / plan.Duration.Seconds()
	}
	o.Generator = Generator{LagP99: c.lag.Quantile(0.99), CPU: cpu.Seconds() / max(finished.Seconds(), 1e-9)}
	o.Generator.Why = c.whyNot(o.Generator, finished)
	o.Generator.Kept = o.Generator.Why == ""
	return o
}

// whyNot says why the run does not count, or nothing.
func (c *collector) whyNot(g Generator, finished time.Duration) string {
	switch stalled := c.stalled.Seconds() / max(finished.Seconds(), 1e-9); {
	case g.LagP99 > mostLag:
		return fmt.Sprintf("1 %% of the requests left %v or more late although a connection was free", g.LagP99)
	case stalled > mostStalled:
		return fmt.Sprintf("the generator stood still for %.1f %% of the run", 100*stalled)
	case g.CPU > mostCPU*cores():
		return fmt.Sprintf("the generator used %.2f of its %.0f cores", g.CPU, cores())
	}
	return ""
}

func (k *Kind) merge(from *Kind) {
	k.Requests += from.Requests
	k.Latency.Merge(from.Latency)
	k.FailLatency.Merge(from.FailLatency)
	for reason, n := range from.Errors {
		if k.Errors == nil {
			k.Errors = map[string]int64{}
		}
		k.Errors[reason] += n
	}
}
