package compare

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
)

func TestRankTestKnownValues(t *testing.T) {
	f := func(a, b []float64, want float64) {
		t.Helper()
		for _, got := range []float64{rankTest(a, b), rankTest(b, a)} {
			if math.Abs(got-want) > 1e-9 {
				t.Errorf("%v and %v: got %v, want %v", a, b, got, want)
			}
		}
	}
	f([]float64{1}, []float64{2}, 1)
	f([]float64{1, 2, 3}, []float64{4, 5, 6}, 2./20)                         // 2 of C(6,3)
	f([]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2./252)           // 2 of C(10,5)
	f([]float64{1, 2, 3, 5}, []float64{4, 6, 7, 8}, 4./70)                   // U = 1: 2 · 2 of C(8,4)
	f([]float64{5, 5, 5}, []float64{5, 5, 5}, 1)                             // all are tied
	f([]float64{1, 2}, []float64{2, 3}, 4./6)                                // ranks 1, 2½ and 2½, 4: deals 3½ 3½ 5 5 6½ 6½
	f([]float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}, // Hollander & Wolfe, permeability of
		[]float64{1.15, 0.88, 0.90, 0.74, 1.21}, 0.254412254412254) // the human chorioamnion: W = 35, p = 0.2544
	f([]float64{1e300, 2}, []float64{-1e300, 1, 0}, 2./10) // an outlier weighs nothing
	f(nil, []float64{1}, 1)
}

func TestLeastP(t *testing.T) {
	f := func(n, m int, want float64) {
		t.Helper()
		if got := leastP(n, m); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d and %d: got %v, want %v", n, m, got, want)
		}
	}
	f(1, 1, 1)
	f(2, 2, 2./6)
	f(3, 3, 2./20)
	f(4, 4, 2./70)
	f(5, 5, 2./252)
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
}

// run is a run whose good answers all took so long.
func run(scenario string, latency time.Duration, facts map[string]float64) *result.Run {
	o := &load.Outcome{Throughput: 1000}
	for range 100 {
		o.Total.Latency.Record(latency)
		o.Total.Requests++
	}
	return &result.Run{
		Version: result.Version, Scenario: scenario, Counts: true, Facts: facts,
		Phases: []result.Phase{{Name: "steady", Outcome: o}},
	}
}

func file(runs ...*result.Run) *result.File { return &result.File{Runs: runs} }

// repeated is runs of one scenario that took these milliseconds.
func repeated(milliseconds ...float64) *result.File {
	f := new(result.File)
	for _, ms := range milliseconds {
		f.Runs = append(f.Runs, run("issue", time.Duration(ms*float64(time.Millisecond)), nil))
	}
	return f
}

func compared(t *testing.T, a, b *result.File) *Report {
	t.Helper()
	r, err := Compare(a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func row(t *testing.T, r *Report, metric string) Row {
	t.Helper()
	for _, row := range r.Rows {
		if row.Metric == metric {
			return row
		}
	}
	t.Fatalf("there is no row %s in %+v", metric, r.Rows)
	return Row{}
}

func TestChangeIsToldFromNoise(t *testing.T) {
	f := func(a, b *result.File, want Verdict) {
		t.Helper()
		r := compared(t, a, b)
		got := row(t, r, "p99")
		if got.Verdict != want {
			t.Errorf("got %s (p %v), want %s", got.Verdict, got.P, want)
		}
		if worse := len(r.Worse()) > 0; worse != (want == Worse) {
			t.Errorf("got %v as worse, want %s", r.Worse(), want)
		}
	}
	f(repeated(10, 11, 10, 12, 11), repeated(20, 21, 22, 20, 23), Worse)
	f(repeated(20, 21, 22, 20, 23), repeated(10, 11, 10, 12, 11), Better)
	f(repeated(10, 18, 9, 20, 11), repeated(20, 10, 19, 9, 18), Noise)                                 // the median doubles, the repeats overlap
	f(repeated(10, 10.1, 10.2, 10.1, 10), repeated(10.4, 10.5, 10.6, 10.4, 10.5), Noise)               // sure, but less than the threshold
	f(repeated(0.010, 0.010, 0.010, 0.010, 0.010), repeated(0.015, 0.015, 0.015, 0.015, 0.015), Noise) // 5 µs are nothing
	f(repeated(10, 11, 12), repeated(20, 21, 22), Worse)                                               // few, but apart
	f(repeated(10, 11, 21), repeated(20, 19, 22), Noise)                                               // few, and not apart
}

func TestOneRunEachCannotTellNoise(t *testing.T) {
	r := compared(t, repeated(10), repeated(20))
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "noise cannot be told") {
		t.Errorf("got notes %q, want one that says so", r.Notes)
	}
	if got := row(t, r, "p99"); got.Verdict != Worse || !got.Unsure {
		t.Errorf("got %s, unsure %v, want worse and unsure: twice is much", got.Verdict, got.Unsure)
	}
	if got := row(t, compared(t, repeated(10), repeated(12)), "p99").Verdict; got != Noise {
		t.Errorf("got %s, want noise: a fifth is not enough for one run each", got)
	}
	if notes := compared(t, repeated(1, 1, 1, 1), repeated(1, 1, 1, 1)).Notes; len(notes) != 0 {
		t.Errorf("got notes %q of four runs each, want none", notes)
	}
	if notes := compared(t, repeated(1, 1, 1), repeated(1, 1, 1)).Notes; len(notes) != 1 || !strings.Contains(notes[0], "3 and 3 runs") {
		t.Errorf("got notes %q of three runs each, want one that says that they are few", notes)
	}
}

func TestFactsKnowTheirDirection(t *testing.T) {
	f := func(name string, a, b float64, want Verdict) {
		t.Helper()
		r := compared(t, file(run("x", time.Millisecond, map[string]float64{name: a})), file(run("x", time.Millisecond, map[string]float64{name: b})))
		if got := row(t, r, name).Verdict; got != want {
			t.Errorf("%s from %v to %v: got %s, want %s", name, a, b, got, want)
		}
	}
	f("recover_seconds", 1, 2, Worse)
	f("wrong_answers", 0, 1, Worse)
	f("wrong_answers", 0, 0, Noise)
	f("ratio_to_health", 0.8, 0.4, Worse)
	f("ratio_to_health", 0.5, 0.8, Better)
	f("ratio_to_health", 0.80, 0.79, Noise)
	f("rows_dropped", 10, 20, Changed)
	f("recovered_share", 0.9, 0.5, Worse)
}

func TestSLOTellsTheDirectionOfAFact(t *testing.T) {
	f := func(rule string, want Verdict) {
		t.Helper()
		a, b := run("x", time.Millisecond, map[string]float64{"rows_dropped": 1}), run("x", time.Millisecond, map[string]float64{"rows_dropped": 2})
		a.SLO, b.SLO = rule, rule
		if got := row(t, compared(t, file(a), file(b)), "rows_dropped").Verdict; got != want {
			t.Errorf("%s: got %s, want %s", rule, got, want)
		}
	}
	f("rows_dropped>=1", Better)
	f("rows_dropped<5", Worse)
	f("p99<1s", Changed)
}

func TestChangeFromNothingHasNoPercentage(t *testing.T) {
	r := compared(t, file(run("x", time.Millisecond, map[string]float64{"wrong_answers": 0})), file(run("x", time.Millisecond, map[string]float64{"wrong_answers": 3})))
	if got := row(t, r, "wrong_answers").Change; got != nil {
		t.Errorf("got %v, want none", *got)
	}
}

func TestOnlyRunsThatCountAreCompared(t *testing.T) {
	void := run("issue", time.Second, nil)
	void.Counts = false
	r := compared(t, repeated(10, 10), file(append(repeated(10, 10).Runs, void)...))
	if got := row(t, r, "p99").B; len(got) != 2 {
		t.Errorf("got %d values of B, want the 2 of runs that count", len(got))
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "1 of 3 runs in B do not count") {
		t.Errorf("got notes %q, want one about the run that does not count", r.Notes)
	}
	if _, err := Compare(repeated(10), file(void), Options{}); !errors.Is(err, ErrNothing) {
		t.Errorf("got %v, want %v", err, ErrNothing)
	}
}

func TestScenariosArePaired(t *testing.T) {
	a := file(run("issue", time.Millisecond, nil), run("restart", time.Millisecond, nil))
	b := file(run("soak", time.Millisecond, nil), run("issue", time.Millisecond, nil))
	r := compared(t, a, b)
	for _, row := range r.Rows {
		if row.Scenario != "issue" {
			t.Errorf("got a row of %s, which is not in both", row.Scenario)
		}
	}
	notes := strings.Join(r.Notes, "\n")
	if !strings.Contains(notes, "restart is not in B") || !strings.Contains(notes, "soak is not in A") {
		t.Errorf("got notes %q, want what is missing where", r.Notes)
	}
	if _, err := Compare(file(a.Runs[1]), file(b.Runs[0]), Options{}); !errors.Is(err, ErrNothing) {
		t.Errorf("got %v, want %v", err, ErrNothing)
	}
}

func TestOtherConditionsAreTold(t *testing.T) {
	a, b := run("issue", time.Millisecond, nil), run("issue", time.Millisecond, nil)
	a.Flags, b.Flags = map[string]string{"rate": "100"}, map[string]string{"rate": "200"}
	b.Machine.Cores = 64
	notes := strings.Join(compared(t, file(a), file(b)).Notes, "\n")
	if !strings.Contains(notes, "--rate differs") || !strings.Contains(notes, "machines differ") {
		t.Errorf("got notes %q, want the rate and the machine", notes)
	}
}

func TestMainPhaseAndFactsAreCompared(t *testing.T) {
	phased := func(during time.Duration) *result.Run {
		r := run("db-down", time.Millisecond, map[string]float64{"recover_seconds": during.Seconds()})
		slow := run("db-down", during, nil).Phases[0]
		slow.Name = "during"
		r.Phases = append(r.Phases, slow)
		return r
	}
	r := compared(t, file(phased(10*time.Millisecond)), file(phased(30*time.Millisecond)))
	for _, row := range r.Rows {
		if want := map[bool]Verdict{true: Worse, false: Noise}[row.Metric == "recover_seconds"]; row.Verdict != want {
			t.Errorf("%s: got %s, want %s", row.Metric, row.Verdict, want)
		}
	}
}
