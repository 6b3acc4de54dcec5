package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/usage"
)

// Everything in this file is invented, to draw pages from in tests. No number in it was measured.

// A synthetic makes results by chance, the same for the same seed.
type synthetic struct {
	chance *rand.Rand
	slower float64 // than usual
}

// syntheticFile is a file with a run of each shape that scenarios have.
func syntheticFile(seed uint64, slower float64) *result.File {
	s := &synthetic{newChance(seed), slower}
	return &result.File{Version: result.Version, Path: fmt.Sprintf("/synthetic/synthetic-%d.json", seed), Runs: []*result.Run{
		s.run("issue", "p99<20ms,errors<0.1%", s.phase("main", 20, 0, 18_000, 3)),
		s.run("introspect-hot", "p99<5ms,errors<0.1%", s.phase("main", 20, 20_000, 20_000, 0.8)),
		s.run("introspect-hot", "p99<5ms,errors<0.1%", s.phase("main", 20, 20_000, 20_000, 0.9)),
		s.run("introspect-hot", "p99<5ms,errors<0.1%", s.phase("main", 20, 20_000, 20_000, 0.85)),
		s.mixed(), s.steps(), s.slow(), s.fault(), s.soak(), s.uncounted(),
	}}
}

func (s *synthetic) run(name, slo string, phases ...result.Phase) *result.Run {
	return &result.Run{
		Version: result.Version, Scenario: name, Title: "An invented run of " + name,
		Question: "Is this page readable when latency is high and the pager is loud?",
		Started:  time.Date(2026, 11, 23, 15, 4, 0, 0, time.UTC),
		Flags:    map[string]string{"duration": "20s", "replicas": "3"},
		Machine:  result.Machine{CPU: "Invented CPU 3000", Cores: 2, Memory: 8 << 30, Kernel: "6.1.0", Go: "go1.26.0"},
		Server: result.Server{
			Replicas: 3, Version: "0.0.0-synthetic", Revision: "0123456789abcdef0123456789abcdef01234567",
			Postgres: "15.0", Redis: "7.0", Settings: map[string]string{"fsync": "on", "synchronous_commit": "on"},
		},
		Phases: phases, SLO: slo, Counts: true,
		Floor:      &result.Floor{Health: 42_000, HealthP99: 2100 * time.Microsecond, Empty: 61_000, EmptyP99: 1900 * time.Microsecond, Connections: 64},
		Bottleneck: "Postgres CPU 96 %; the whole machine was busy (98 % of 2 cores)",
	}
}

// phase has latencies spread around median milliseconds; offered 0 is a closed loop.
func (s *synthetic) phase(name string, seconds int, offered, rate, median float64) result.Phase {
	o := &load.Outcome{Elapsed: time.Duration(seconds) * time.Second, Throughput: rate, Intended: offered, Generator: load.Generator{Kept: true}}
	median *= s.slower
	wave := 0.0
	var second load.Histogram
	for i := range seconds {
		wave = 0.7*wave + 0.15*s.chance.NormFloat64()
		second.Reset()
		for range 150 {
			latency := time.Duration(median * math.Exp(wave+0.5*s.chance.NormFloat64()) * float64(time.Millisecond))
			if s.chance.IntN(400) == 0 {
				latency *= time.Duration(4 + s.chance.IntN(8))
			}
			second.Record(latency)
			o.Total.Latency.Record(latency)
		}
		requests := rate * (1 + 0.02*s.chance.NormFloat64())
		o.Total.Requests += int64(requests)
		o.Ticks = append(o.Ticks, load.Tick{
			At: time.Duration(i+1) * time.Second, Requests: int64(requests), Rate: requests, Offered: offered,
			P50: second.Quantile(0.5), P99: second.Quantile(0.99), Max: second.Max(),
		})
	}
	return result.Phase{Name: name, Outcome: o, Usage: s.usage(seconds)}
}

func (s *synthetic) usage(seconds int) []usage.Sample {
	var samples []usage.Sample
	for i := range seconds {
		about := func(cpu float64, mib int) usage.Part {
			return usage.Part{CPU: cpu * (1 + 0.1*s.chance.NormFloat64()), RSS: int64(mib+i/30) << 20}
		}
		samples = append(samples, usage.Sample{At: time.Duration(i+1) * time.Second, Machine: 1.9, Parts: map[string]usage.Part{
			usage.Generator: about(0.5, 60), usage.Postgres: about(0.7, 180), usage.Redis: about(0.1, 12),
			"replica 0": about(0.3, 80), "replica 1": about(0.2, 78), "replica 2": about(0.1, 70),
		}})
	}
	return samples
}

func (s *synthetic) mixed() *result.Run {
	p := s.phase("main", 20, 5000, 5000, 1.2)
	p.Outcome.Kinds = map[string]*load.Kind{}
	for name, k := range map[string]float64{"introspect": 0.6, "issue": 3, "revoke": 4} {
		o := s.phase(name, 20, 5000, 1600, k).Outcome
		p.Outcome.Kinds[name] = &o.Total
	}
	return s.run("mixed", "p99<10ms", p)
}

func (s *synthetic) steps() *result.Run {
	var phases []result.Phase
	for i := range 7 {
		offered := float64(i+1) * 4000
		phases = append(phases, s.phase(fmt.Sprintf("%.0f /s", offered), 5, offered, math.Min(offered, 25_000), 0.7/(1.05-float64(i)/6)))
	}
	r := s.run("limit-issue", "p99<5ms", phases...)
	r.Facts = map[string]float64{"limit_per_second": 20_000, "ratio_to_health": 0.48}
	return r
}

func (s *synthetic) slow() *result.Run {
	r := s.run("high-latency", "wrong_answers<=0", s.phase("Postgres 0s slower", 8, 1000, 1000, 2),
		s.phase("Postgres 20ms slower", 8, 1000, 1000, 22), s.phase("Postgres 500ms slower", 8, 1000, 990, 510))
	r.Facts = map[string]float64{"wrong_answers": 0, "issue_p99_at_20_ms_seconds": 0.045, "introspect_available_share": 0.9998}
	return r
}

// fault has seconds without any good answer.
func (s *synthetic) fault() *result.Run {
	during := s.phase("main", 10, 1000, 600, 1)
	o := during.Outcome
	for i := range o.Ticks {
		t := &o.Ticks[i]
		t.Errors = t.Requests / 3
		if i > 3 && i < 7 {
			t.Errors, t.P50, t.P99, t.Max = t.Requests, 0, 0, 0
		}
	}
	o.Total.Errors = map[string]int64{"status 503": 3700, "timeout": 12}
	r := s.run("db-down", "wrong_answers<=0,spared_available_share>=0.99", s.phase("before", 5, 1000, 1000, 1), during, s.phase("after", 10, 1000, 1000, 1.4))
	r.Facts = map[string]float64{"wrong_answers": 0, "recover_seconds": 0.84, "spared_available_share": 0.72}
	r.Missed = []string{"spared_available_share>=0.99: measured 72 %"}
	return r
}

func (s *synthetic) soak() *result.Run {
	return s.run("soak", "errors<0.1%", s.phase("main", 120, 2000, 2000, 1))
}

func (s *synthetic) uncounted() *result.Run {
	r := s.run("introspect-cold", "p99<5ms", s.phase("main", 10, 60_000, 31_000, 9))
	r.Counts, r.Why = false, "main: requests left 41 ms late although connections were free"
	return r
}

func newChance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
