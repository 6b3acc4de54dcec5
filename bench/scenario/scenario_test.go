package scenario

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/slo"
	"oauth2-server/bench/stack"
	"oauth2-server/bench/usage"
)

func TestScenariosAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, s := range All() {
		if names[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		names[s.Name] = true
		if s.Title == "" || s.Question == "" || s.play == nil {
			t.Errorf("%s lacks a title, its question or what it plays", s.Name)
		}
		for _, text := range []string{s.SLO, s.BareSLO} {
			rules, err := slo.Parse(text)
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			if text != "" && !slices.ContainsFunc(rules, func(r slo.Rule) bool { return r.Metric == wrongAnswers && r.Op == "<=" && r.Bound == 0 }) {
				t.Errorf("%s allows wrong answers: %s", s.Name, text)
			}
		}
		if !s.StackOnly && s.StackOptions.Proxy {
			t.Errorf("%s wants a proxy, and may be played without a stack", s.Name)
		}
	}
}

func TestFindNamesWhatThereIs(t *testing.T) {
	if s, err := Find("db-down"); err != nil || s.Name != "db-down" {
		t.Errorf("got %v, %v", s, err)
	}
	_, err := Find("no-such")
	if err == nil {
		t.Fatal("it was found")
	}
	for _, s := range All() {
		if !strings.Contains(err.Error(), s.Name) {
			t.Errorf("%q does not name %s", err, s.Name)
		}
	}
}

func TestOthersServersAreNotBroken(t *testing.T) {
	for _, s := range All() {
		if !s.StackOnly {
			continue
		}
		if _, err := s.Run(t.Context(), &Env{Target: testStage().Target}); err == nil || !strings.Contains(err.Error(), "stack of its own") {
			t.Errorf("%s without a stack: %v", s.Name, err)
		}
	}
}

func TestRatiosAreExpectedOnlyWhereTheyAreMeasured(t *testing.T) {
	s := &Scenario{SLO: "full", BareSLO: "bare"}
	for _, e := range []struct {
		env  Env
		want string
	}{{Env{}, "bare"}, {Env{Stack: new(stack.Stack)}, "full"}, {Env{Stack: new(stack.Stack), Rate: 10}, "bare"}} {
		if got := s.DefaultSLO(&e.env); got != e.want {
			t.Errorf("got %s, want %s", got, e.want)
		}
	}
}

// limited is a scenario whose p99 grows with the rate: 1 ms at 1,000 a second.
func limited(rates *[]float64) *Scenario {
	return &Scenario{Name: "limited", BareSLO: "p99<3ms", play: func(_ context.Context, s *stage) error {
		*rates = append(*rates, s.Rate)
		o := &load.Outcome{Generator: load.Generator{Kept: true}}
		o.Total.Requests = 1
		o.Total.Latency.Record(time.Duration(s.Rate) * time.Microsecond)
		s.run.Phases = append(s.run.Phases, result.Phase{Name: result.Main, Outcome: o})
		return nil
	}}
}

func TestFindLimitNarrowsDown(t *testing.T) {
	rules, err := slo.Parse("p99<3ms")
	if err != nil {
		t.Fatal(err)
	}
	var rates []float64
	run, err := FindLimit(t.Context(), &Env{}, limited(&rates), rules)
	if err != nil {
		t.Fatal(err)
	}
	limit := run.Facts["limit_per_second"]
	if limit > 3000 || limit < 2800 {
		t.Errorf("got a limit of %v, want just below 3000; rates were %v", limit, rates)
	}
	if main := run.Main(); main.Name != result.Main || main.Outcome.Total.Latency.Max() > 3*time.Millisecond {
		t.Errorf("the main phase is %s, with %v", main.Name, main.Outcome.Total.Latency.Max())
	}
	if len(run.Phases) != len(rates) || run.Facts["generator_limited"] != 0 {
		t.Errorf("%d phases of %d rates, facts %v", len(run.Phases), len(rates), run.Facts)
	}
}

func TestFindLimitNeedsALoadOfOneRate(t *testing.T) {
	s, err := Find("overload")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FindLimit(t.Context(), &Env{}, s, nil); err == nil {
		t.Error("overload has a limit")
	}
}

func TestMemoryIsToldByReplicas(t *testing.T) {
	var samples []usage.Sample
	for i := range 8 {
		samples = append(samples, usage.Sample{At: time.Duration(i) * time.Second, Parts: map[string]usage.Part{
			usage.Server + " 0": {RSS: int64(100 + 10*i)}, usage.Server + " 1": {RSS: 100}, usage.Postgres: {RSS: 1 << 30},
		}})
	}
	memory := replicaMemory(samples)
	if got := slope(memory); math.Abs(got-10) > 1e-9 {
		t.Errorf("it grows by %v a second, want 10", got)
	}
	if got, want := growth(memory), 265.0/225; math.Abs(got-want) > 1e-9 {
		t.Errorf("it grew %v times, want %v", got, want)
	}
	if growth(nil) != 1 || slope(nil) != 0 {
		t.Error("nothing measured grows")
	}
}
