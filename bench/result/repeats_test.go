package result

import (
	"testing"
	"time"

	"oauth2-server/bench/load"
)

func timed(counts bool, latency time.Duration) *Run {
	o := new(load.Outcome)
	o.Total.Latency.Record(latency)
	return &Run{Counts: counts, Phases: []Phase{{Name: Main, Outcome: o}}}
}

func TestMiddleIsTheMiddleOfThoseThatCount(t *testing.T) {
	fast, middle, slow := timed(true, 1*time.Millisecond), timed(true, 2*time.Millisecond), timed(true, 3*time.Millisecond)
	void := timed(false, 9*time.Millisecond)
	f := func(name string, want *Run, repeats ...*Run) {
		t.Helper()
		if got := Middle(repeats); got != want {
			t.Errorf("%s: got the run of p99 %v, want %v", name, got.p99(), want.p99())
		}
	}
	f("three", middle, slow, fast, middle)
	f("two", fast, slow, fast)
	f("an uncounted one", middle, void, slow, fast, middle, void, void)
	f("only uncounted", void, void)
	empty := new(Run)
	f("empty", empty, empty)
}

func TestOptionsAreWrittenForAShell(t *testing.T) {
	r := Run{Flags: map[string]string{"quick": "true", "duration": "20s", "slo": "p99<5ms", "scope": "it's", "out": "x.json"}}
	const want = `--duration=20s --quick '--scope=it'\''s' '--slo=p99<5ms'`
	if got := r.Options(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARevisionInWordsIsNoCommit(t *testing.T) {
	for revision, want := range map[string]string{"0123456789abcdef": "0123456789abcdef", "no revision": "", "": "", "abcdef0+modified": "abcdef0"} {
		if got := (Server{Revision: revision}).Commit(); got != want {
			t.Errorf("%q: got %q, want %q", revision, got, want)
		}
	}
}
