package slo

import (
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
)

// run is 1,000 good answers of 1 to 1,000 ms, 10 bad ones, and two facts.
func run() *result.Run {
	o := &load.Outcome{Throughput: 500}
	for i := range 1000 {
		o.Total.Latency.Record(time.Duration(i+1) * time.Millisecond)
	}
	o.Total.Requests = 1010
	o.Total.Errors = map[string]int64{"timeout": 4, "status 503": 6}
	return &result.Run{
		Phases: []result.Phase{{Name: "steady", Outcome: o}},
		Facts:  map[string]float64{"recover_seconds": 0.8, "wrong_answers": 0, "goodput_share": 0.95},
	}
}

func TestCheck(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		rules, err := Parse(text)
		if err != nil {
			t.Error(err)
			return
		}
		got := rules.Check(run())
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
			return
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: got %q, want it to hold %q", text, got[i], want[i])
			}
		}
	}
	f("")
	f(" ")
	f("p50<600ms,p90<1s,p99<1s,p99.9<=1.1s,max<2s,errors<1%,rate>400")
	f("p50<400ms", "p50<400ms: measured 500 ms")
	f(" p99 < 5 ms , errors < 0.1 % ", "p99<5ms: measured 99", "errors<0.1%: measured 0.99 %")
	f("max<=1.01s") // three digits
	f("max<0.99s", "measured 1 s")
	f("rate>=500/s,rate<=500,rate>500", "rate>500: measured 500 /s")
	f("errors>=0.99%,errors<=1%")
	f("recover_seconds<1,recover_seconds<800ms,recover_seconds<=800ms", "recover_seconds<800ms: measured 800 ms")
	f("wrong_answers<1,wrong_answers<=0")
	f("goodput_share>=90%,goodput_share>=0.96", "goodput_share>=0.96: measured 95 %")
	f("recover_second<1", "no such fact; it has goodput_share, recover_seconds, wrong_answers")
}

func TestNothingMeasuredIsNotKept(t *testing.T) {
	rules, err := Parse("p99<5ms,errors<1%,rate>=0")
	if err != nil {
		t.Fatal(err)
	}
	bad := run()
	bad.Phases[0].Outcome.Total = load.Kind{Requests: 5, Errors: map[string]int64{"timeout": 5}}
	f := func(r *result.Run, want int) {
		t.Helper()
		if got := rules.Check(r); len(got) != want {
			t.Errorf("got %q, want %d missed", got, want)
		}
	}
	f(&result.Run{}, 3)
	f(&result.Run{Phases: []result.Phase{{Outcome: new(load.Outcome)}}}, 3)
	f(bad, 2) // all answers were errors: there is no latency
}

func TestMainPhaseIsJudged(t *testing.T) {
	rules, err := Parse("p99<5ms")
	if err != nil {
		t.Fatal(err)
	}
	r := run()
	fast := new(load.Outcome)
	fast.Total.Latency.Record(time.Millisecond)
	fast.Total.Requests = 1
	r.Phases = append(r.Phases, result.Phase{Name: result.Main, Outcome: fast})
	if missed := rules.Check(r); missed != nil {
		t.Errorf("got %q, want nothing missed by the main phase", missed)
	}
}

func TestParseSaysWhatIsNotUnderstood(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		rules, err := Parse(text)
		if err == nil {
			t.Errorf("%q: got %v, want an error", text, rules)
			return
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: got %q, want it to hold %q", text, err, part)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %q, want one line", text, err)
		}
	}
	f("p99", `"p99"`, "p50, p90, p99, p99.9, max, errors, rate")
	f("p99<5ms,", `""`)
	f(",", `""`)
	f("p95<5ms", `"p95"`, "p50, p90, p99, p99.9, max, errors, rate")
	f("latency<5ms", `"latency"`)
	f("p99<5", `"5"`, "unit", "5ms")
	f("p99<-5ms", `"-5ms"`)
	f("p99=5ms", `"p99=5ms"`, "< <= > >=")
	f("p99<<5ms", `"<5ms"`)
	f("errors<1", `"1"`, "percentage")
	f("errors<200%", `"200%"`)
	f("rate>fast", `"fast"`, "1000/s")
	f("rate>NaN", `"NaN"`)
	f("rate>1e9999", `"1e9999"`)
	f("recover_seconds<soon", `"soon"`, "recover_seconds")
	f("P99<5ms", `"P99<5ms"`)
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "p99<5ms,errors<0.1%", "rate>=1000/s", "recover_seconds<800ms", "wrong_answers<=0", "p99.9 < 1s", ",", "p99<", "errors<%", "a_b>-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: the error has several lines: %q", text, err)
			}
			return
		}
		again, err := Parse(rules.String())
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%q: got %v, %v when read again as %q", text, again, err, rules)
		}
		for i, r := range rules {
			if again[i] != r || r.Bound != r.Bound {
				t.Errorf("%q: got %+v, want %+v", text, again[i], r)
			}
		}
		rules.Check(run())
	})
}

// A busy machine may spoil a ratio. Nothing excuses a wrong answer, nor a fact that is missing.
func TestNoiseIsNeverACount(t *testing.T) {
	run := &result.Run{Facts: map[string]float64{"wrong_answers": 0, "lost_tokens": 1, "ratio_to_health": 0.1, "cpu_goodput_ratio": 0.8, "available_share": 0.9}}
	for text, want := range map[string]bool{
		"ratio_to_health>=0.2": true,
		"wrong_answers<=0,cpu_goodput_ratio>=0.9,available_share>=1": true,
		"lost_tokens<=0":                        false,
		"lost_tokens<=0,cpu_goodput_ratio>=0.9": false,
		"no_such_fact<=0":                       false,
		"p99<5ms":                               false,
	} {
		rules, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.Noise(run); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
