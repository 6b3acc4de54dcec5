package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
)

// queryBounds are the upper bounds of query times, in seconds.
var queryBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// queryMeters time the store's queries by name; the stores' names are a closed set.
type queryMeters struct {
	set    *metrics.Set
	series sync.Map // name and outcome → histogram: read without a lock, and few
}

type querySeries struct {
	name string
	ok   bool
}

func newQueryMeters(set *metrics.Set) *queryMeters {
	build := readBuild()
	set.NewGauge(fmt.Sprintf("oauth2_server_build_info{version=%q,revision=%q,go=%q}", build.Version, build.Revision, build.Go), func() float64 { return 1 })
	return &queryMeters{set: set}
}

func (m *queryMeters) observe(query string, took time.Duration, err error) {
	key := querySeries{query, err == nil}
	series, ok := m.series.Load(key)
	if !ok {
		outcome := "ok"
		if err != nil {
			outcome = "error"
		}
		name := fmt.Sprintf("oauth2_server_db_query_duration_seconds{query=%q,outcome=%q}", query, outcome)
		series, _ = m.series.LoadOrStore(key, m.set.GetOrCreatePrometheusHistogramExt(name, queryBounds))
	}
	series.(*metrics.PrometheusHistogram).Update(took.Seconds())
}

// measurePools adds the gauges of the connection pools, if the store has any.
func measurePools(set *metrics.Set, db database) {
	pg, ok := db.(*postgres.DB)
	if !ok {
		return
	}
	for i, pool := range pg.Stats() {
		gauge := func(what string, value func(postgres.PoolStats) float64) {
			set.NewGauge(fmt.Sprintf("oauth2_server_db_pool_%s{pool=%q}", what, pool.Name), func() float64 { return value(pg.Stats()[i]) })
		}
		gauge("connections", func(s postgres.PoolStats) float64 { return float64(s.Total) })
		gauge("idle_connections", func(s postgres.PoolStats) float64 { return float64(s.Idle) })
		gauge("acquired_connections", func(s postgres.PoolStats) float64 { return float64(s.Acquired) })
		gauge("limit", func(s postgres.PoolStats) float64 { return float64(s.Limit) })
		gauge("waits_total", func(s postgres.PoolStats) float64 { return float64(s.Waits) })
		gauge("wait_seconds_total", func(s postgres.PoolStats) float64 { return s.Waited.Seconds() })
	}
}

// measureHasher adds how busy the hashing of passwords is, of both listeners.
func measureHasher(set *metrics.Set, hasher *login.Hasher) {
	for name, value := range map[string]func(login.HasherStats) int64{
		"places":     func(s login.HasherStats) int64 { return int64(s.Places) },
		"working":    func(s login.HasherStats) int64 { return int64(s.Working) },
		"waiting":    func(s login.HasherStats) int64 { return int64(s.Waiting) },
		"busy_total": func(s login.HasherStats) int64 { return s.Busy },
	} {
		set.NewGauge("oauth2_server_password_hasher_"+name, func() float64 { return float64(value(hasher.Stats())) })
	}
}

// measureRing adds the age of the keys in use.
func measureRing(set *metrics.Set, ring *keys.Ring) {
	for _, use := range []string{store.UseSign, store.UseMAC} {
		set.NewGauge(fmt.Sprintf("oauth2_server_key_age_seconds{use=%q}", use), func() float64 {
			return ring.Age(use, time.Now()).Seconds()
		})
	}
}
