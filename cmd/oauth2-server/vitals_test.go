package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"oauth2-server/store"
)

func TestWindowIsTheLastMinute(t *testing.T) {
	set := metrics.NewSet()
	polls := set.NewPrometheusHistogramExt(`oauth2_server_db_query_duration_seconds{query="poll",outcome="ok"}`, []float64{.001, .01, .1})
	faults := set.NewPrometheusHistogramExt(`oauth2_server_db_query_duration_seconds{query="poll",outcome="error"}`, []float64{.001, .01, .1})
	tokens := set.NewPrometheusHistogramExt(`oauth2_server_http_request_duration_seconds{route="/oauth/token",method="POST",status="200"}`, []float64{.001, .01, .1})
	for range 90 {
		polls.Update(.0005)
	}
	for range 10 {
		faults.Update(.05)
	}
	tokens.Update(3)
	set.NewCounter(`oauth2_server_logins_total{outcome="wrong"}`).Add(3)
	set.NewCounter(`oauth2_server_admin_logins_total{outcome="wrong"}`).Add(4)
	set.NewCounter(`oauth2_server_introspections_total{outcome="inactive"}`).Add(5)
	set.NewCounter("oauth2_server_stale_answers_total")
	set.NewCounter(`oauth2_server_http_requests_total{route="/oauth/token"}`).Add(6) // Routes has them
	set.NewGauge("oauth2_server_deny_set_size", func() float64 { return 7 })
	set.NewGauge(`oauth2_server_db_pool_waits_total{pool="read"}`, func() float64 { return 8 })
	set.NewGauge(`oauth2_server_db_pool_wait_seconds_total{pool="read"}`, func() float64 { return .25 })

	var w window
	since := w.sample(set.WritePrometheus)
	for what, pair := range map[string][2]any{
		"queries": {since.queries.vitals(), map[string]store.WorkVitals{"poll": {Count: 100, Faults: 10, P50: 1, P99: 100}}},
		"routes":  {since.routes.vitals(), map[string]store.WorkVitals{"/oauth/token": {Count: 1, P50: 100, P99: 100}}}, // above the last bound
		"logins":  {since.logins, map[string]int64{"wrong": 7}},
		"counts":  {since.counts, map[string]float64{`introspections_total{outcome="inactive"}`: 5}},
		"deny":    {since.denySet, int64(7)},
		"waits":   {since.pools["read"].count, int64(8)},
		"waited":  {since.pools["read"].milliseconds, 250.0},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
	for i := 2; i <= windowSamples; i++ { // the first minute: since the start
		if got := w.sample(set.WritePrometheus).logins["wrong"]; got != 7 {
			t.Fatalf("sample %d: got %d wrong logins, want 7", i, got)
		}
	}
	set.GetOrCreateCounter(`oauth2_server_logins_total{outcome="wrong"}`).Inc()
	now := w.sample(set.WritePrometheus)
	if now.logins["wrong"] != 1 || len(now.counts) != 0 || len(now.queries.vitals()) != 0 || now.denySet != 7 {
		t.Errorf("what was a minute ago is counted still: %+v", now)
	}
}

// The share that lies exactly under a bound is under it.
func TestQuantileIsTheLeastBound(t *testing.T) {
	h := histogram{under: map[float64]float64{.001: 50, .01: 99, .1: 100, math.Inf(1): 100}}
	if p50, p99 := h.quantile(.5), h.quantile(.99); p50 != 1 || p99 != 10 {
		t.Errorf("got %v and %v ms, want 1 and 10", p50, p99)
	}
}

// The series of a limit go and come with the rule: what they count then is new.
func TestWindowOfASeriesThatBeganAnew(t *testing.T) {
	var w window
	count := func(text string) map[string]float64 {
		return w.sample(func(to io.Writer) { fmt.Fprint(to, text) }).counts
	}
	count("oauth2_server_x_total 100\n")
	for range windowSamples - 1 {
		count("# TYPE oauth2_server_x_total counter\n")
	}
	if got := count("oauth2_server_x_total 5\noauth2_server_y_total NaN\nother_total 7\noauth2_server_z_total\n"); !reflect.DeepEqual(got, map[string]float64{"x_total": 5}) {
		t.Errorf("got %v, want 5 of x and nothing else", got)
	}
}

func FuzzWindowNeverFails(f *testing.F) {
	f.Add("oauth2_server_db_query_duration_seconds_bucket{query=\"poll\",outcome=\"ok\",le=\"+Inf\"} 5\n")
	f.Add("oauth2_server_logins_total{ 1\noauth2_server_ 1e999\n\n \n")
	f.Fuzz(func(t *testing.T, text string) {
		var w window
		for range 2 {
			w.sample(func(to io.Writer) { fmt.Fprint(to, text) }).routes.vitals()
		}
	})
}

func TestLeastOfAnHourAgo(t *testing.T) {
	var h hour
	begin := time.Now()
	at := func(after time.Duration, value, want int64) {
		t.Helper()
		if got := h.least(begin.Add(after), value); got != want {
			t.Errorf("after %s: got %d, want %d", after, got, want)
		}
	}
	at(0, 10, 0)
	at(4*time.Minute, 50, 0) // it warms up: what it had at first means nothing
	at(5*time.Minute, 100, 0)
	at(9*time.Minute, 90, 0)
	at(10*time.Minute, 200, 90)
	at(20*time.Minute, 300, 90) // it was silent between
	at(64*time.Minute, 400, 90)
	at(65*time.Minute, 400, 90) // 5 to 10 minutes are 55 to 60 ago
	at(70*time.Minute, 400, 200)
	at(3*time.Hour, 500, 0) // nothing is known of then
	at(3*time.Hour+5*time.Minute, 500, 500)
}

func holds(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestReadCgroup(t *testing.T) {
	f := func(name string, files fstest.MapFS, want cgroup) {
		t.Helper()
		if got := readCgroup(files); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	f("not Linux", fstest.MapFS{}, cgroup{})
	f("version 2, of a container", fstest.MapFS{
		"proc/self/cgroup":         holds("0::/\n"),
		"sys/fs/cgroup/cpu.max":    holds("150000 100000\n"),
		"sys/fs/cgroup/cpu.stat":   holds("usage_usec 1\nnr_periods 200\nnr_throttled 50\nthrottled_usec 7\n"),
		"sys/fs/cgroup/memory.max": holds("536870912\n"),
	}, cgroup{quota: 1.5, memory: 512 << 20, periods: 200, throttled: 50})
	f("version 2, the tightest of several", fstest.MapFS{
		"proc/self/cgroup":                           holds("0::/a.slice/b.service\n"),
		"sys/fs/cgroup/a.slice/cpu.max":              holds("50000 100000\n"),
		"sys/fs/cgroup/a.slice/cpu.stat":             holds("nr_periods 10\nnr_throttled 1\n"),
		"sys/fs/cgroup/a.slice/b.service/cpu.max":    holds("200000 100000\n"),
		"sys/fs/cgroup/a.slice/memory.max":           holds("max\n"),
		"sys/fs/cgroup/a.slice/b.service/memory.max": holds("1073741824\n"),
	}, cgroup{quota: .5, memory: 1 << 30, periods: 10, throttled: 1})
	f("version 2, its own is the tightest", fstest.MapFS{
		"proc/self/cgroup":                           holds("0::/a.slice/b.service\n"),
		"sys/fs/cgroup/a.slice/cpu.max":              holds("200000 100000\n"),
		"sys/fs/cgroup/a.slice/b.service/cpu.max":    holds("50000 100000\n"),
		"sys/fs/cgroup/a.slice/memory.max":           holds("2147483648\n"),
		"sys/fs/cgroup/a.slice/b.service/memory.max": holds("1073741824\n"),
	}, cgroup{quota: .5, memory: 1 << 30})
	f("version 2, no bounds", fstest.MapFS{
		"proc/self/cgroup":         holds("0::/x\n"),
		"sys/fs/cgroup/x/cpu.max":  holds("max 100000\n"),
		"sys/fs/cgroup/memory.max": holds("max\n"),
	}, cgroup{})
	f("version 1, its own folder not to be seen", fstest.MapFS{
		"proc/self/cgroup":                           holds("5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         holds("200000\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        holds("100000\n"),
		"sys/fs/cgroup/cpu/cpu.stat":                 holds("nr_periods 4\nnr_throttled 2\nthrottled_time 9\n"),
		"sys/fs/cgroup/memory/memory.limit_in_bytes": holds("268435456\n"),
	}, cgroup{quota: 2, memory: 256 << 20, periods: 4, throttled: 2})
	f("version 1, no bounds", fstest.MapFS{
		"proc/self/cgroup":                           holds("5:memory:/\n3:cpu:/\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         holds("-1\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        holds("100000\n"),
		"sys/fs/cgroup/memory/memory.limit_in_bytes": holds("9223372036854771712\n"),
	}, cgroup{})
}

func TestReadSelf(t *testing.T) {
	got := readSelf(fstest.MapFS{
		"proc/self/stat":   holds("7 (oauth2-server) S 1 7 7 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 9 0 100 1000000 3 18446744073709551615\n"),
		"proc/self/limits": holds("Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n"),
		"proc/self/fd/0":   holds(""), "proc/self/fd/1": holds(""),
	})
	if got.cpu != 4 || got.resident == 0 || got.resident%3 != 0 || got.files != 2 || got.filesLimit != 1024 {
		t.Errorf("got %+v", got)
	}
	if got := readSelf(fstest.MapFS{"proc/self/stat": holds("7 (x"), "proc/self/limits": holds("Max open files unlimited")}); got != (self{}) {
		t.Errorf("got %+v of nothing", got)
	}
}

func TestProcessorShares(t *testing.T) {
	var w cpuWindow
	at := time.Now()
	if used, collecting, throttled := w.shares(cpuSample{at: at, used: 3}, 2); used != 0 || collecting != 0 || throttled != 0 {
		t.Errorf("got %v %v %v of one sample", used, collecting, throttled)
	}
	used, collecting, throttled := w.shares(cpuSample{at: at.Add(10 * time.Second), used: 13, collecting: 1, busy: 8, periods: 100, throttled: 25}, 2)
	if used != .5 || collecting != .125 || throttled != .25 {
		t.Errorf("got %v %v %v, want 0.5 0.125 0.25", used, collecting, throttled)
	}
	for range 3 * windowSamples {
		at = at.Add(5 * time.Second)
		w.shares(cpuSample{at: at}, 2)
	}
	if len(w.samples) != windowSamples+1 {
		t.Errorf("%d samples are kept", len(w.samples))
	}
}

// Fingerprints are equal for equal secrets and settings, tell nothing of them, and those of two uses of one secret differ.
func TestFingerprints(t *testing.T) {
	load := func(env ...string) *Config {
		t.Helper()
		c, err := loadConfig(append(slices.Clone(testEnv), env...))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := load()
	if c.fingerprint() != load("OAUTH2_SERVER_PORT=9999", "OAUTH2_LOG_LEVEL=debug", "OAUTH2_CACHE_MIB=1", "OAUTH2_JWT_SECRET="+testSecret+"x").fingerprint() {
		t.Error("what replicas may differ in makes another fingerprint")
	}
	for _, env := range []string{
		"OAUTH2_SERVER_PUBLIC_BASE_URL=https://a.example.com", "OAUTH2_JWT_ALG=EdDSA", "OAUTH2_ACCESS_TOKEN_FORMAT=jwt", "OAUTH2_ACCESS_TOKEN_TTL=5m",
		"OAUTH2_REFRESH_GRACE=0s", "OAUTH2_TRUSTED_PROXIES=10.0.0.0/8", "OAUTH2_ADMIN_CLIENT_IDS=robot", "OAUTH2_ALLOWED_ORIGINS=https://a.example.com",
	} {
		other := load(env)
		if other.fingerprint() == c.fingerprint() {
			t.Errorf("%s makes no other fingerprint", env)
		}
		name, _, _ := strings.Cut(env, "=")
		mine, theirs := c.settingFingerprints(), other.settingFingerprints()
		maps.DeleteFunc(mine, func(name, is string) bool { return theirs[name] == is })
		if len(mine) != 1 || len(mine[name]) != 8 {
			t.Errorf("%s makes another fingerprint of %v", env, mine)
		}
	}
	for _, name := range ownSettings {
		if c.settingFingerprints()[name] != "" {
			t.Errorf("%s is told", name)
		}
	}
	known := variableNames()
	for _, name := range ownSettings {
		if !slices.Contains(known, name) {
			t.Errorf("%s is no variable", name)
		}
	}
	two := load("OAUTH2_SESSION_KEY=" + testSecret + "-new, " + testSecret + "-for-sessions").sessionFingerprints()
	if one := c.sessionFingerprints(); len(one) != 1 || len(two) != 2 || two[1] != one[0] || two[0] == two[1] || len(one[0]) != 8 || strings.Contains(testSecret, one[0]) {
		t.Errorf("got %v and %v", one, two)
	}
	same := load("OAUTH2_SESSION_KEY=" + testSecret)
	if strings.HasPrefix(same.secrets.Fingerprints()[0], same.sessionFingerprints()[0]) {
		t.Error("one can see that two variables hold the same secret")
	}
}
