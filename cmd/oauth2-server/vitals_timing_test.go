package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/VictoriaMetrics/metrics"
)

// What a replica of many routes, queries and limits spends every five seconds to say how it is.
func BenchmarkVitals(b *testing.B) {
	set := metrics.NewSet()
	for i := range 100 {
		route := fmt.Sprintf(`oauth2_server_http_request_duration_seconds{route="/%d",method="GET",status="200"}`, i)
		query := fmt.Sprintf(`oauth2_server_db_query_duration_seconds{query="%d",outcome="ok"}`, i)
		set.NewPrometheusHistogramExt(route, queryBounds).Update(.01)
		set.NewPrometheusHistogramExt(query, queryBounds).Update(.01)
		set.NewCounter(fmt.Sprintf(`oauth2_server_limit_decisions_total{rule="%d",mode="enforce",decision="refused"}`, i)).Inc()
	}
	b.Run("metrics", func(b *testing.B) {
		var w window
		for b.Loop() {
			if got := w.sample(set.WritePrometheus); len(got.routes) != 100 || len(got.queries) != 100 {
				b.Fatalf("got %+v", got)
			}
		}
	})
	b.Run("process", func(b *testing.B) {
		system := os.DirFS("/")
		for b.Loop() {
			readCgroup(system)
			readRuntime()
			if got := readSelf(system); got.resident == 0 {
				b.Fatalf("got %+v", got)
			}
		}
	})
}
