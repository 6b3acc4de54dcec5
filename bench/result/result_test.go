package result

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/usage"
)

// measured is a run with something in every field.
func measured() *Run {
	o := &load.Outcome{Throughput: 123.5, Intended: 200, Elapsed: time.Second, Generator: load.Generator{Kept: true, LagP99: time.Millisecond, CPU: 0.5}}
	o.Total.Requests = 3
	o.Total.Errors = map[string]int64{"status 503": 1}
	o.Total.Latency.Record(5 * time.Millisecond)
	o.Total.Latency.Record(7 * time.Millisecond)
	o.Total.FailLatency.Record(time.Millisecond)
	o.Kinds = map[string]*load.Kind{"issue": &o.Total}
	o.Ticks = []load.Tick{{At: time.Second, Requests: 3, P99: 7 * time.Millisecond}}
	return &Run{
		Version: Version, Scenario: "issue", Title: "a", Question: "b?", Started: time.Unix(1e9, 0).UTC(),
		Flags: map[string]string{"rate": "5"}, Machine: ThisMachine(),
		Server: Server{Replicas: 3, Version: "v1", Settings: map[string]string{"fsync": "on"}},
		Phases: []Phase{{Name: "steady", Outcome: o, Usage: []usage.Sample{{
			At: time.Second, Machine: 1.9,
			Parts: map[string]usage.Part{usage.Postgres: {CPU: 0.96, RSS: 1 << 20}, usage.Generator: {CPU: 0.3, RSS: 1 << 20}},
		}}}},
		Facts: map[string]float64{"wrong_answers": 0}, Floor: &Floor{Health: 1e5, Empty: 1.2e5, Connections: 64},
		SLO: "p99<5ms", Missed: []string{"p99<5ms: measured 7 ms"}, Counts: true, Bottleneck: "Postgres CPU 96 %",
	}
}

func TestFileReadsWhatItWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	f := &File{Runs: []*Run{measured(), measured()}}
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Path != path || len(got.Runs) != 2 {
		t.Fatalf("got %d runs of %s, want 2 of %s", len(got.Runs), got.Path, path)
	}
	before, after := f.Runs[0], got.Runs[0]
	for _, q := range []float64{0.5, 1} {
		if a, b := before.Main().Outcome.Total.Latency.Quantile(q), after.Main().Outcome.Total.Latency.Quantile(q); a != b || b == 0 {
			t.Errorf("quantile %v: got %v, want %v", q, b, a)
		}
	}
	a, errA := json.Marshal(before)
	b, errB := json.Marshal(after)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("got %s, want %s", b, a)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("got files %v, want the result alone", files)
	}
}

func TestReadRefuses(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil {
			t.Errorf("%s: was read", text)
			return
		}
		for _, part := range append(want, path) {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %q, want one line that holds %q", text, err, part)
			}
		}
	}
	f(`{"version":2,"runs":"of another shape"}`, "version 2", "version 1")
	f(`{"version":0,"runs":[]}`, "version 0")
	f(`{"runs":[]}`, "no result")
	f(`[]`, "no result")
	f(``, "no result")
	f(`{"version":1,"runs":[null]}`, "damaged")
	f(`{"version":1,"runs":[{"version":7}]}`, "damaged", "version 7")
	f(`{"version":1,"runs":[{"version":1,"phases":[{"name":"x"}]}]}`, "damaged", `"x"`)
	f(`{"version":1,"runs":[{"version":1,"phases":[{"name":"x","outcome":{"Kinds":{"issue":null}}}]}]}`, "damaged", `"issue"`)
	f(`{"version":1,"runs":{}}`, "damaged")
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestWriteSaysWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "r.json")
	if err := new(File).Write(path); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

func FuzzParse(f *testing.F) {
	text, err := json.Marshal(&File{Version: Version, Runs: []*Run{measured()}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(text), `{"version":2}`, `{"version":1,"runs":[null]}`, `{"version":1,"runs":[{"version":1,"phases":[{}]}]}`, ``,
		`{"version":1,"runs":[{"version":1,"phases":[{"outcome":{},"usage":[{}]}]}]}`,
		`{"version":1,"runs":[{"version":1,"phases":[{"outcome":{"Kinds":{"issue":null}}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parse(text)
		if err != nil {
			return
		}
		for _, r := range file.Runs {
			r.Settle() // what is read can be looked at
			for _, p := range r.Phases {
				for _, k := range p.Outcome.Kinds {
					k.Failed()
				}
			}
		}
	})
}

func TestSettle(t *testing.T) {
	r := measured()
	r.Settle()
	if !r.Counts || r.Why != "" || !strings.HasPrefix(r.Bottleneck, "Postgres CPU 96 %") {
		t.Errorf("got counts %v, %q, %q, want a run that counts and Postgres", r.Counts, r.Why, r.Bottleneck)
	}
	if r.Passed() {
		t.Error("a run that missed its SLO passed")
	}
	r.Missed = nil
	if !r.Passed() {
		t.Error("a run that counts and missed nothing did not pass")
	}
	r.Phases[0].Outcome.Generator = load.Generator{Why: "it was late"}
	r.Settle()
	if r.Counts || r.Why != "steady: it was late" || r.Passed() {
		t.Errorf("got counts %v, %q, want a run that does not count, and why", r.Counts, r.Why)
	}
	r.Phases[0].Probe = true
	if r.Settle(); !r.Counts {
		t.Error("a probe spoils the run")
	}
}

func TestMainPhase(t *testing.T) {
	r := &Run{}
	if r.Main() != nil {
		t.Error("a run without phases has a main one")
	}
	r.Phases = []Phase{{Name: "before"}, {Name: "after"}}
	if got := r.Main().Name; got != "before" {
		t.Errorf("got %s, want the first", got)
	}
	r.Phases[1].Name = Main
	if got := r.Main(); got != &r.Phases[1] {
		t.Errorf("got %s, want the one of that name", got.Name)
	}
}

func TestThisMachineIsKnown(t *testing.T) {
	m := ThisMachine()
	if m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" || !strings.HasPrefix(m.Go, "go") {
		t.Errorf("got %+v, want this machine", m)
	}
	if got := field([]byte("a\t: b: c \nmodel name : X\nmodel name : Y\n"), "model name"); got != "X" {
		t.Errorf("got %q, want X", got)
	}
}
