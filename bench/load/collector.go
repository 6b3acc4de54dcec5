package load

import "time"

const (
	collectEvery = 50 * time.Millisecond
	tickEvery    = time.Second
	// stallTime is how late the collector itself may wake before the process counts as having stood still.
	stallTime = 20 * time.Millisecond
)

// A collector turns samples into an outcome. It alone touches the histograms.
type collector struct {
	run      *run
	outcome  *Outcome
	lag      Histogram
	stalled  time.Duration // the sum of what it woke late
	tick     Tick
	second   Histogram // of the tick
	lastTick time.Duration
}

func newCollector(r *run) *collector {
	return &collector{run: r, outcome: &Outcome{Kinds: map[string]*Kind{}}}
}

// collect gathers until the workers are done, and what they left then.
func (c *collector) collect(done <-chan struct{}) {
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	woke := c.run.now()
	for {
		select {
		case <-done:
			c.gather()
			c.closeTick(c.run.now(), tickEvery/2) // a shorter rest says little; the totals hold it
			return
		case <-ticker.C:
		}
		if late := c.run.now() - woke - collectEvery; late > stallTime {
			c.stalled += late
		}
		c.gather()
		c.closeTick(c.run.now(), tickEvery)
		woke = c.run.now()
	}
}

// gather takes what the workers have recorded.
func (c *collector) gather() {
	for _, r := range c.run.recorders {
		r.take(c.add)
	}
}

func (c *collector) add(s sample) {
	kind := c.outcome.Kinds[s.kind]
	if kind == nil {
		kind = &Kind{}
		c.outcome.Kinds[s.kind] = kind
	}
	kind.add(s)
	c.tick.Requests++
	if s.fault != "" {
		c.tick.Errors++
	} else {
		c.second.Record(s.latency)
	}
	if s.lag >= 0 {
		c.lag.Record(s.lag)
	}
}

func (k *Kind) add(s sample) {
	k.Requests++
	if s.fault == "" {
		k.Latency.Record(s.latency)
		return
	}
	if k.Errors == nil {
		k.Errors = map[string]int64{}
	}
	k.Errors[s.fault]++
	k.FailLatency.Record(s.latency)
}

// closeTick ends the tick if it has lasted so long by now.
func (c *collector) closeTick(now, long time.Duration) {
	at := now - c.run.plan.Warmup
	if at-c.lastTick < long {
		return
	}
	t := c.tick
	t.At = at
	t.P50, t.P99, t.Max = c.second.Quantile(0.5), c.second.Quantile(0.99), c.second.Max()
	t.Rate = float64(t.Requests) / (at - c.lastTick).Seconds()
	if c.run.plan.Rate != nil {
		t.Offered = c.run.plan.Rate.At(at)
	}
	c.outcome.Ticks = append(c.outcome.Ticks, t)
	c.tick, c.lastTick = Tick{}, at
	c.second.Reset()
	if c.run.plan.Progress != nil {
		c.run.plan.Progress(t)
	}
}
