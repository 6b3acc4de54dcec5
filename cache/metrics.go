package cache

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// meters are the tier's own measures, in one replica's set. Every label is from a closed set.
type meters struct {
	found         [numTiers]*metrics.Counter
	stale         *metrics.Counter
	redisFaults   *metrics.Counter
	redisForged   *metrics.Counter
	redisDropped  *metrics.Counter
	inserts       *queueMeter
	denials       *queueMeter
	rotations     *queueMeter
	warm          *queueMeter
	cold          *queueMeter
	registerFault *metrics.Counter
	retention     *retentionMeter
}

func newMeters(set *metrics.Set, c *Cache) *meters {
	m := &meters{
		stale:         set.NewCounter("oauth2_server_stale_answers_total"),
		redisFaults:   set.NewCounter("oauth2_server_redis_faults_total"),
		redisForged:   set.NewCounter("oauth2_server_redis_forged_total"),
		redisDropped:  set.NewCounter("oauth2_server_redis_fills_dropped_total"),
		registerFault: set.NewCounter("oauth2_server_upkeep_faults_total"),
		inserts:       newQueueMeter(set, "issue"),
		denials:       newQueueMeter(set, "revoke"),
		rotations:     newQueueMeter(set, "refresh"),
		warm:          newQueueMeter(set, "redis"),
		cold:          newQueueMeter(set, "store"),
		retention:     newRetentionMeter(set),
	}
	for tier, name := range tierNames {
		m.found[tier] = set.NewCounter(fmt.Sprintf(`oauth2_server_lookups_total{tier=%q}`, name))
	}
	gauge := func(name string, f func() float64) { set.NewGauge(name, f) }
	gauge("oauth2_server_fence_age_seconds", func() float64 { return c.fence.age().Seconds() })
	gauge("oauth2_server_clock_skew_seconds", func() float64 { return c.Skew().Seconds() })
	gauge("oauth2_server_feed_position", func() float64 { return float64(c.Position()) })
	gauge("oauth2_server_deny_set_size", func() float64 { return float64(c.state.denials.Load().size.Load()) })
	gauge("oauth2_server_cutoffs", func() float64 { return float64(c.state.cutoffs.size.Load()) })
	gauge("oauth2_server_clients", func() float64 { return float64(len(c.state.clients.Load().byID)) })
	gauge("oauth2_server_l1_entries", func() float64 { n, _ := c.l1.size(); return float64(n) })
	gauge("oauth2_server_l1_bytes", func() float64 { _, n := c.l1.size(); return float64(n) })
	if c.options.Redis != nil {
		gauge("oauth2_server_redis_up", func() float64 {
			if c.l2.fault.Load() == nil {
				return 1
			}
			return 0
		})
	}
	return m
}

// queueMeter is told of the batches of one queue.
type queueMeter struct {
	items *metrics.PrometheusHistogram
	wait  *metrics.PrometheusHistogram
}

var (
	itemBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000}
	waitBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2}
)

func newQueueMeter(set *metrics.Set, queue string) *queueMeter {
	return &queueMeter{
		items: set.NewPrometheusHistogramExt(fmt.Sprintf(`oauth2_server_batch_items{queue=%q}`, queue), itemBounds),
		wait:  set.NewPrometheusHistogramExt(fmt.Sprintf(`oauth2_server_batch_wait_seconds{queue=%q}`, queue), waitBounds),
	}
}

func (m *queueMeter) observe(items int, wait time.Duration) {
	m.items.Update(float64(items))
	m.wait.Update(wait.Seconds())
}
