package table

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
)

// run is an invented one. No number in it was measured.
func run(scenario string, intended float64, latency time.Duration) *result.Run {
	o := &load.Outcome{Throughput: 12_345, Intended: intended}
	o.Total.Latency.Record(latency)
	o.Total.Requests, o.Total.Errors = 1000, map[string]int64{"timeout": 2}
	return &result.Run{
		Version: result.Version, Scenario: scenario, Started: time.Date(2026, 11, 23, 15, 4, 0, 0, time.UTC), SLO: "p99<5ms,errors<0.1%",
		Flags:   map[string]string{"duration": "20s", "quick": "true"},
		Machine: result.Machine{CPU: "Invented CPU 3000", Cores: 2, Memory: 8 << 30, Kernel: "6.1.0", Go: "go1.26.0"},
		Server: result.Server{
			Replicas: 3, Version: "0.0.0-synthetic", Revision: "0123456789abcdef", Postgres: "15.0", Redis: "7.0",
			Settings: map[string]string{"fsync": "on", "synchronous_commit": "on"},
		},
		Phases: []result.Phase{{Name: result.Main, Outcome: o}}, Counts: true,
		Floor: &result.Floor{Health: 42_000, HealthP99: 2100 * time.Microsecond, Empty: 61_000, EmptyP99: 1900 * time.Microsecond},
	}
}

func synthetic() []*result.File {
	missed := run("issue", 0, 9*time.Millisecond)
	missed.Missed = []string{"p99<5ms: measured 9 ms"}
	bare := &result.Run{Scenario: "bare|<b>", Counts: false}
	limit := run("soak", 2000, time.Millisecond)
	limit.Flags = map[string]string{"slo": "p99<2ms"}
	return []*result.File{
		{Runs: []*result.Run{run("issue", 0, 3*time.Millisecond), missed, run("issue", 0, 4*time.Millisecond), run("mixed", 5000, time.Millisecond), limit, bare}},
		{},
	}
}

func write(t *testing.T, files []*result.File) string {
	t.Helper()
	var text bytes.Buffer
	if err := Write(&text, files); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

const golden = "testdata/synthetic.md"

func TestTableIsTheGoldenOne(t *testing.T) {
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, synthetic()); got != string(want) {
		t.Errorf("got\n%s\nwant, as %s says,\n%s", got, golden, want)
	}
}

func TestEveryRowHasAllCells(t *testing.T) {
	columns := -1
	for line := range strings.Lines(write(t, synthetic())) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns == -1 {
			columns = n
		}
		if n != columns {
			t.Errorf("%d bars, want %d: %s", n, columns, line)
		}
	}
	if columns == -1 {
		t.Error("there is no table")
	}
}

func TestNoScenarioEndsTheTable(t *testing.T) {
	hostile := "x\n| y |\n```\n# z"
	r := run(hostile, 0, time.Millisecond)
	r.Flags = map[string]string{"slo": hostile}
	r.SLO = hostile
	text := write(t, []*result.File{{Runs: []*result.Run{r}}})
	if strings.Count(text, "```") != 2 || strings.Contains(text, "\n# z") || strings.Contains(text, "\n| y |") {
		t.Errorf("a name became markup:\n%s", text)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteTellsOfAFullDisk(t *testing.T) {
	if err := Write(full{}, synthetic()); err == nil || !strings.Contains(err.Error(), "write table") {
		t.Errorf("got %v", err)
	}
}
