package main

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/deploy/private"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// runHere runs a server on Postgres in this process until the test ends, and is what its hooks see.
func runHere(t *testing.T) *running {
	t.Helper()
	c, err := loadConfig(append(slices.Clone(testEnv), "OAUTH2_DATABASE_URL="+private.TestDatabase(t), "OAUTH2_MIGRATE_ON_START=true",
		"OAUTH2_SERVER_PORT=0", "OAUTH2_SERVER_TRUST_PROXY_HEADERS=true", "OAUTH2_TRUSTED_PROXIES=10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan *running, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, c, hooks{log: slog.New(slog.DiscardHandler), out: io.Discard, started: func(r *running) error { started <- r; return nil }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case r := <-started:
		return r
	case err := <-ended:
		ended <- nil
		t.Fatalf("the server ended: %v", err)
		return nil
	}
}

// vitalsHere are of a server in this process whose metrics are the test's.
func vitalsHere(t *testing.T) (v *vitals, set *metrics.Set) {
	t.Helper()
	r := *runHere(t)
	r.metrics, r.certificate = metrics.NewSet(), new(keyPair)
	certFile, keyFile, _ := certificate(t)
	pair, err := loadPair(&Config{TLSCert: certFile, TLSKey: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	r.certificate.take(pair)
	v = new(vitals)
	v.of(&r, login.NewHasher())
	return v, r.metrics
}

// Each number of the metrics comes to its place, as what it was in the last minute.
func TestVitalsOfTheMetrics(t *testing.T) {
	v, set := vitalsHere(t)
	for name, value := range map[string]int{
		`logins_total{outcome="wrong"}`: 2, "password_hasher_busy_total": 3, "proxy_headers_unbelieved_total": 4, "other_host_requests_total": 5,
		`db_pool_waits_total{pool="read"}`: 6, `db_pool_wait_seconds_total{pool="read"}`: 7, "stale_answers_total": 8,
	} {
		set.NewCounter(metricsPrefix + name).Set(uint64(value))
	}
	set.NewGauge(metricsPrefix+"deny_set_size", func() float64 { return 9 })
	for i, status := range []string{"200", "429", "503"} {
		h := set.NewPrometheusHistogramExt(metricsPrefix+`http_request_duration_seconds{route="/oauth/token",method="POST",status="`+status+`"}`, []float64{1})
		for range 10 >> i {
			h.Update(.5)
		}
	}
	set.NewPrometheusHistogramExt(metricsPrefix+`db_query_duration_seconds{query="deny",outcome="ok"}`, []float64{1}).Update(.5)
	check := func(when string, times int64) {
		t.Helper()
		is := v.read()
		i := slices.IndexFunc(is.Pools, func(p store.PoolVitals) bool { return p.Name == "read" })
		if len(is.Pools) != 4 || is.Pools[i].Waits != 6*times || is.Pools[i].Waited != 7000*float64(times) || is.Pools[i].Limit == 0 {
			t.Errorf("%s: got the pools %+v", when, is.Pools)
		}
		if open := slices.IndexFunc(is.Pools, func(p store.PoolVitals) bool { return p.Open > 0 }); open < 0 {
			t.Errorf("%s: no pool has a connection: %+v", when, is.Pools)
		}
		if is.Logins["wrong"] != 2*times || is.Hasher.Busy != 3*times || is.Proxy.Unbelieved != 4*times || is.Proxy.OtherHost != 5*times || is.DenySet != 9 {
			t.Errorf("%s: got logins %v, hasher %+v, proxy %+v, %d denials", when, is.Logins, is.Hasher, is.Proxy, is.DenySet)
		}
		if is.Counts["stale_answers_total"] != float64(8*times) || int64(len(is.Queries)) != times || int64(len(is.Routes)) != times {
			t.Errorf("%s: got counts %v, queries %v, routes %v", when, is.Counts, is.Queries, is.Routes)
		}
		want := store.WorkVitals{Count: 17, Faults: 2, Refused: 5, P50: 1000, P99: 1000}
		if times > 0 && is.Routes["/oauth/token"] != want {
			t.Errorf("%s: got %+v, want %+v", when, is.Routes["/oauth/token"], want)
		}
	}
	check("at first", 1)
	for range 11 { // the first minute
		v.read()
	}
	check("a minute later", 0)
}

// What files hold, the certificate, and readiness are told as they are.
func TestVitalsOfTheServer(t *testing.T) {
	v, _ := vitalsHere(t)
	v.running.reload.state.Store(&standing{refused: "bad", unfinished: "late", restart: []string{"OAUTH2_SERVER_PORT"}})
	is := v.read()
	if is.Reload != "bad" || is.Unfinished != "late" || !slices.Equal(is.Restart, []string{"OAUTH2_SERVER_PORT"}) {
		t.Errorf("got %q refused, %q unfinished, a restart for %q", is.Reload, is.Unfinished, is.Restart)
	}
	if !is.TLSUntil.Equal(v.running.certificate.until()) || !is.Proxy.Trusted || is.Redis != "off" || !is.Ended.IsZero() {
		t.Errorf("got TLS until %s, proxy %+v, Redis %q, ended %s", is.TLSUntil, is.Proxy, is.Redis, is.Ended)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for is = v.read(); !is.Ready && ctx.Err() == nil; is = v.read() { // until it has loaded what there is
		if len(is.Failing) == 0 {
			t.Fatal("it is not ready, and does not say why")
		}
	}
	if !is.Ready || is.Draining || len(is.Failing) > 0 {
		t.Errorf("while it runs: got ready %t, draining %t, failing %q", is.Ready, is.Draining, is.Failing)
	}
	v.running.public.Drain()
	v.ended.Store(true)
	if is = v.read(); is.Ready || !is.Draining || len(is.Failing) == 0 || is.Ended.IsZero() {
		t.Errorf("when it ends: got ready %t, draining %t, failing %q, ended %s", is.Ready, is.Draining, is.Failing, is.Ended)
	}

	hashing, end := context.WithCancel(ctx)
	var hashers sync.WaitGroup
	for range 2*is.Hasher.Places + 1 {
		hashers.Go(func() {
			for hashing.Err() == nil {
				_, _ = v.hasher.Hash(hashing, "seven herons carry dry maps") // its end is no fault
			}
		})
	}
	for is.Hasher.Working != is.Hasher.Places || is.Hasher.Waiting != is.Hasher.Places+1 {
		if ctx.Err() != nil {
			t.Errorf("got %+v, want all places at work and one more waiting", is.Hasher)
			break
		}
		is = v.read()
	}
	end()
	hashers.Wait()
}

// Memory and heap are those of now and of then, each its own; shares are of what was used since the oldest sample.
func TestVitalsOfTheProcess(t *testing.T) {
	v, begin := new(vitals), time.Now()
	v.cpu.samples = []cpuSample{{at: begin.Add(-time.Minute)}}
	runtime.GC() // since the start there may have been none
	var then, now store.Vitals
	v.readProcess(new(store.Vitals), begin)
	v.readProcess(&then, begin.Add(hourPart))
	v.readProcess(&now, begin.Add(2*hourPart))
	if then.Memory == 0 || then.Heap == 0 || now.MemoryThen != then.Memory || now.HeapThen != then.Heap || then.MemoryThen != 0 {
		t.Errorf("got memory %d and then %d, heap %d and then %d, want then %d and %d", now.Memory, now.MemoryThen, now.Heap, now.HeapThen, then.Memory, then.Heap)
	}
	if now.CPUShare <= 0 || now.GCShare <= 0 || now.GCShare > 1 || now.Throttled < 0 {
		t.Errorf("got shares %v, %v, %v", now.CPUShare, now.GCShare, now.Throttled)
	}
}
