package cache

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// A retentionMeter is told what this replica removed of what is kept for a time. One replica does it at a time: sums over all are the
// whole, and the newest run is the largest of the last.
type retentionMeter struct {
	removed, faults map[string]*metrics.Counter // by kind
	due             map[string]*metrics.Gauge   // what the last run of this replica had no time for
	seconds         *metrics.PrometheusHistogram
	last            *metrics.Gauge // Unix seconds
}

var runBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newRetentionMeter(set *metrics.Set) *retentionMeter {
	m := &retentionMeter{
		removed: map[string]*metrics.Counter{}, faults: map[string]*metrics.Counter{}, due: map[string]*metrics.Gauge{},
		seconds: set.NewPrometheusHistogramExt("oauth2_server_retention_run_seconds", runBounds),
		last:    set.NewGauge("oauth2_server_retention_last_run_timestamp_seconds", nil),
	}
	for _, kind := range store.KeptKinds {
		m.removed[kind.Name] = set.NewCounter(fmt.Sprintf("oauth2_server_retention_removed_total{kind=%q}", kind.Name))
		m.faults[kind.Name] = set.NewCounter(fmt.Sprintf("oauth2_server_retention_faults_total{kind=%q}", kind.Name))
		m.due[kind.Name] = set.NewGauge(fmt.Sprintf("oauth2_server_retention_due{kind=%q}", kind.Name), nil)
	}
	return m
}

// ran is told of a run: what it did of each kind it came to.
func (m *retentionMeter) ran(done []store.Kept, start time.Time) {
	for i := range done {
		k := &done[i]
		m.removed[k.Kind].AddInt64(k.Removed)
		m.due[k.Kind].Set(float64(k.Due))
		if k.Fault != "" {
			m.faults[k.Kind].Inc()
		}
	}
	if len(done) == len(store.KeptKinds) {
		m.seconds.UpdateDuration(start)
		m.last.Set(float64(time.Now().Unix()))
	}
}

// other is told that another replica runs: what is left is for that one to say.
func (m *retentionMeter) other() {
	for _, due := range m.due {
		due.Set(0)
	}
}
