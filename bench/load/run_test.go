package load

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestPlanThatCannotBeRun(t *testing.T) {
	sources := repeat(&Shot{})
	for _, p := range []Plan{
		{Connections: 1, Duration: time.Second},
		{Sources: sources, Duration: time.Second},
		{Sources: sources, Connections: 1},
		{Sources: sources, Connections: 1, Duration: time.Second, Warmup: -1},
		{Sources: sources, Connections: 1, Duration: time.Second, Timeout: -1},
	} {
		if o, err := Run(t.Context(), p); err == nil {
			t.Errorf("%+v was run: %+v", p, o)
		}
	}
}

func TestOpenLoopSendsWhatIsDue(t *testing.T) {
	s := newRawServer(t, answering(good))
	o := mustRun(t, Plan{
		Sources: repeat(s.shot()), Connections: 4, Duration: 200 * time.Millisecond, Warmup: 100 * time.Millisecond,
		Rate: Steps{{500, 100 * time.Millisecond}, {1000, 100 * time.Millisecond}},
	})
	if o.Total.Requests != 150 || s.requests.Load() > 200 {
		t.Errorf("%d recorded, %d served; want 150, and 200 with the warm-up", o.Total.Requests, s.requests.Load())
	}
	if o.Intended != 750 || o.Elapsed != 200*time.Millisecond {
		t.Errorf("intended %v over %v, want 750 over 200ms", o.Intended, o.Elapsed)
	}
}

func TestClosedLoopLeavesOutTheWarmup(t *testing.T) {
	const warmup = 300 * time.Millisecond
	s := newRawServer(t, answering(good))
	untilWarm := func(int) Source {
		var first time.Time
		warm := false
		return func() *Shot {
			if warm { // one was sent after the warm-up
				return nil
			}
			if first.IsZero() {
				first = time.Now()
			}
			warm = time.Since(first) > warmup
			return s.shot()
		}
	}
	o := mustRun(t, Plan{Sources: untilWarm, Connections: 2, Duration: time.Minute, Warmup: warmup})
	if recorded := o.Total.Requests; recorded == 0 || recorded >= s.requests.Load() {
		t.Errorf("%d recorded of %d, want some but not all", recorded, s.requests.Load())
	}
	if o.Throughput != float64(o.Total.Requests)/o.Elapsed.Seconds() || o.Elapsed > time.Minute/2 || o.Intended != 0 {
		t.Errorf("throughput %v of %d in %v, intended %v", o.Throughput, o.Total.Requests, o.Elapsed, o.Intended)
	}
}

func TestKindsAreKeptApart(t *testing.T) {
	s := newRawServer(t, answering(good))
	wrong := s.shot()
	wrong.Kind, wrong.Judge = "wrong", func(int, []byte) error { return errors.New("inactive") }
	broken := s.shot()
	broken.Kind, broken.Judge = "wrong", func(int, []byte) error { return errors.New("wrong answer") }
	shots := []*Shot{s.shot(), wrong, broken, s.shot()}
	o := mustRun(t, Plan{Sources: func(int) Source {
		left := shots
		return func() (shot *Shot) {
			if len(left) > 0 {
				shot, left = left[0], left[1:]
			}
			return shot
		}
	}, Connections: 2, Duration: time.Minute})
	ask, bad := o.Kinds["ask"], o.Kinds["wrong"]
	if ask.Requests != 4 || ask.Failed() != 0 || bad.Requests != 4 || bad.Errors["inactive"] != 2 || bad.Failed() != 4 || bad.Latency.Count() != 0 || bad.FailLatency.Count() != 4 {
		t.Errorf("ask %+v, wrong %+v", ask, bad)
	}
	if o.Total.Requests != 8 || o.Total.Failed() != 4 || o.Total.Latency.Count() != 4 {
		t.Errorf("total %+v", o.Total)
	}
}

// stalling answers all but stands still once, for a time, from its n-th request on.
func stalling(n int64, long time.Duration) func(*rawServer, net.Conn) {
	var once sync.Once
	var standing sync.RWMutex
	return func(s *rawServer, c net.Conn) {
		for in := bufio.NewReader(c); s.read(in); {
			if s.requests.Load() >= n {
				once.Do(func() {
					standing.Lock()
					time.Sleep(long)
					standing.Unlock()
				})
			}
			standing.RLock()
			_, err := c.Write([]byte(good))
			standing.RUnlock()
			if err != nil {
				return
			}
		}
	}
}

// A server that stands still for half a second keeps its four connections from asking, so that only four requests seem to
// have waited (the coordinated omission). But everybody who would have asked meanwhile has.
func TestStallIsNotHidden(t *testing.T) {
	const stall = 500 * time.Millisecond
	s := newRawServer(t, stalling(20, stall))
	o := mustRun(t, Plan{Sources: repeat(s.shot()), Connections: 4, Duration: 1500 * time.Millisecond, Rate: Constant(200)})
	// 100 requests are due while it stands still; 50 of them in its first half.
	waited := o.Total.Latency.CountAbove(stall/2) + o.Total.FailLatency.CountAbove(stall/2)
	if waited < 45 || o.Total.Requests != 300 {
		t.Errorf("%d of %d requests waited more than %v, want the 50 of 300 that were due meanwhile", waited, o.Total.Requests, stall/2)
	}
}

func TestRequestsWithoutConnectionAreCounted(t *testing.T) {
	s := newRawServer(t, func(_ *rawServer, c net.Conn) { _, _ = c.Read(make([]byte, 100)); _, _ = c.Read(make([]byte, 1)) })
	o := mustRun(t, Plan{
		Sources: repeat(s.shot()), Connections: 2, Duration: 400 * time.Millisecond, Timeout: 500 * time.Millisecond, Rate: Constant(250),
	})
	if o.Total.Requests != 100 || o.Total.Errors["timeout"] != 2 || o.Total.Errors["no free connection"] != 98 {
		t.Errorf("%d requests: %v, want 2 timeouts and 98 without a connection", o.Total.Requests, o.Total.Errors)
	}
}

func TestCancelEndsPromptly(t *testing.T) {
	f := func(name string, rate Rate) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Int64
		s := newRawServer(t, func(s *rawServer, c net.Conn) { // answers each connection once, then never
			in := bufio.NewReader(c)
			if s.read(in) {
				_, _ = c.Write([]byte(good))
			}
			if s.read(in) && asked.Add(1) == 2 {
				cancel()
			}
			s.read(in) // until we hang up
		})
		o, err := Run(ctx, Plan{Sources: repeat(s.shot()), Connections: 2, Duration: 10 * time.Hour, Timeout: time.Hour, Rate: rate})
		if err != nil || o.Total.Requests != 2 || o.Total.Failed() != 0 || o.Elapsed > time.Hour {
			t.Errorf("%s: %d requests, errors %v, in %v (%v), want the 2 answers and no error", name, o.Total.Requests, o.Total.Errors, o.Elapsed, err)
		}
	}
	f("closed loop", nil)
	f("open loop", Constant(1000))
}

func TestCancelWakesSleepers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newRawServer(t, answering(good))
	shot := s.shot()
	shot.Judge = func(int, []byte) error { cancel(); return nil }
	o, err := Run(ctx, Plan{Sources: repeat(shot), Connections: 3, Duration: 10 * time.Hour, Rate: Constant(0.001)})
	if err != nil || o.Total.Failed() != 0 {
		t.Errorf("errors %v (%v), want none", o.Total.Errors, err)
	}
}

func TestRefusedClosedLoopDoesNotHammer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	o := mustRun(t, Plan{Sources: repeat(&Shot{Addr: listener.Addr().String()}), Connections: 1, Duration: 100 * time.Millisecond})
	if o.Total.Requests > 10 {
		t.Errorf("%d attempts in 100ms, want one every 10ms at most", o.Total.Requests)
	}
}

func TestTicksAddUp(t *testing.T) {
	var seen []Tick
	c := newCollector(newRun(Plan{
		Duration: 10 * time.Second, Warmup: time.Second, Rate: Ramp{0, 100, 10 * time.Second},
		Progress: func(tick Tick) { seen = append(seen, tick) },
	}))
	for range 98 {
		c.add(sample{latency: time.Millisecond, lag: notFree})
	}
	c.add(sample{latency: 2 * time.Millisecond, lag: notFree})
	c.add(sample{latency: time.Second, lag: notFree, fault: "timeout"})
	c.closeTick(1900*time.Millisecond, tickEvery) // 0.9 s after the warm-up
	if len(seen) != 0 {
		t.Fatalf("a tick after 0.9s: %+v", seen)
	}
	c.closeTick(3*time.Second, tickEvery)
	c.add(sample{latency: 7 * time.Millisecond, lag: notFree})
	c.closeTick(4*time.Second, tickEvery)
	want := []Tick{
		{At: 2 * time.Second, Requests: 100, Errors: 1, P50: time.Millisecond, P99: time.Millisecond, Max: 2 * time.Millisecond, Rate: 50, Offered: 20},
		{At: 3 * time.Second, Requests: 1, P50: 7 * time.Millisecond, P99: 7 * time.Millisecond, Max: 7 * time.Millisecond, Rate: 1, Offered: 30},
	}
	for i := range seen { // a histogram's three digits
		seen[i].P50, seen[i].P99, seen[i].Max = seen[i].P50.Round(time.Millisecond/10), seen[i].P99.Round(time.Millisecond/10), seen[i].Max.Round(time.Millisecond/10)
	}
	if !slices.Equal(seen, want) || len(c.outcome.Ticks) != 2 {
		t.Errorf("got %+v, want %+v", seen, want)
	}
}

func TestRecorderLosesNothing(t *testing.T) {
	const n = 100_000
	var r recorder
	var adding sync.WaitGroup
	adding.Go(func() {
		for i := range n {
			r.add(sample{latency: time.Duration(i)})
		}
	})
	next := time.Duration(0)
	each := func(s sample) {
		if s.latency != next {
			t.Fatalf("sample %d came instead of %d", s.latency, next)
		}
		next++
	}
	done := make(chan struct{})
	go func() { adding.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		r.take(each)
	}
	r.take(each)
	if next != n {
		t.Errorf("%d of %d samples came", next, n)
	}
}

func TestRunOfALateGeneratorDoesNotCount(t *testing.T) {
	f := func(want string, c collector, cpu time.Duration) {
		t.Helper()
		c.run = newRun(Plan{Duration: 10 * time.Second, Rate: Constant(100)})
		c.outcome = &Outcome{}
		g := c.finish(10*time.Second, cpu).Generator
		if g.Kept != (want == "") || !strings.Contains(g.Why, want) {
			t.Errorf("kept %v: %q, want %q", g.Kept, g.Why, want)
		}
	}
	late := func(n int) (h Histogram) {
		for i := range 1000 {
			h.Record(time.Duration(i/(1000-n)) * 6 * time.Millisecond)
		}
		return h
	}
	f("", collector{}, time.Second)
	f("", collector{lag: late(9)}, time.Second)
	f("although a connection was free", collector{lag: late(11)}, time.Second)
	f("", collector{stalled: 190 * time.Millisecond}, time.Second)
	f("stood still for 2.1 %", collector{stalled: 210 * time.Millisecond}, time.Second)
	f("of its", collector{}, time.Duration(10*cores())*time.Second)
}

// TestEngineRate logs what this machine makes of the engine, beside wrk.
func TestEngineRate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(`{"status":"healthy"}`) }}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	defer func() {
		if err := errors.Join(server.Shutdown(), <-serving); err != nil {
			t.Error(err)
		}
	}()
	addr := listener.Addr().String()
	shot := &Shot{Addr: addr, Bytes: []byte("GET /health HTTP/1.1\r\nHost: test\r\n\r\n")}
	o := mustRun(t, Plan{Sources: repeat(shot), Connections: 64, Duration: time.Second, Warmup: 100 * time.Millisecond})
	if o.Total.Requests == 0 || o.Total.Failed() != 0 || len(o.Ticks) == 0 {
		t.Errorf("%d requests, failed %v, ticks %v", o.Total.Requests, o.Total.Errors, o.Ticks)
	}
	t.Logf("engine: %.0f requests/s, p99 %v; %.2f cores for it and the server", o.Throughput, o.Total.Latency.Quantile(0.99), o.Generator.CPU)
	if _, err := exec.LookPath("wrk"); err != nil {
		return
	}
	out, err := exec.CommandContext(t.Context(), "wrk", "-t1", "-c64", "-d1s", "http://"+addr+"/health").CombinedOutput()
	t.Logf("wrk: %v\n%s", err, out)
}
