package usage

import (
	"math"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestStatIsReadBehindTheName(t *testing.T) {
	const stat = "42 (a b) c) S 7 1 1 0 -1 4194560 9 0 0 0 150 50 3 4 20 0 1 0 12345 1000 200 18446744073709551615"
	p, ok := parseStat([]byte(stat))
	if !ok || p.parent != 7 || p.cpu != 2 || p.started != "12345" {
		t.Errorf("got %+v, %v, want parent 7, 2 s of CPU, start 12345", p, ok)
	}
	if _, ok := parseStat([]byte("42 (a) S 7")); ok {
		t.Error("a line that is cut was read")
	}
}

func TestBusyIsAllButIdle(t *testing.T) {
	// user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user time already
	if got := parseBusy([]byte("cpu  100 20 30 99999 88888 4 5 6 50 0")); got != 1.65 {
		t.Errorf("got %v s, want 1.65", got)
	}
}

func TestTreeAddsDescendants(t *testing.T) {
	all := processes{
		byPID: map[int]process{
			1: {pid: 1, started: "1", cpu: 1, rss: 100, shared: 60},
			2: {pid: 2, parent: 1, started: "2", cpu: 2, rss: 90, shared: 80},
			3: {pid: 3, parent: 2, started: "3", cpu: 4, rss: 5},
			9: {pid: 9, started: "4", cpu: 8, rss: 7},
		},
		children: map[int][]int{0: {1, 9}, 1: {2}, 2: {3}},
	}
	whole := all.tree(1)
	if got := whole.since(part{}); got != 7 {
		t.Errorf("got %v s of CPU, want 7, of three processes", got)
	}
	if whole.rss != 40+10+5+80 {
		t.Errorf("got %d bytes, want 135: what is shared counts once", whole.rss)
	}
	if got := all.one(1).since(part{}); got != 1 {
		t.Errorf("got %v s of CPU, want 1, of one process", got)
	}
	if got := all.tree(77); got.since(part{}) != 0 || got.rss != 0 {
		t.Errorf("got %+v of a process that is not there, want nothing", got)
	}
}

func TestRestartedProcessCountsFromItsStart(t *testing.T) {
	before := part{cpu: map[string]float64{"5@100": 9, "6@100": 3}}
	after := part{cpu: map[string]float64{"5@200": 1, "6@100": 4}} // 5 is another process now
	if got := after.since(before); got != 2 {
		t.Errorf("got %v s, want 2", got)
	}
}

func TestWatchSeesBusyChild(t *testing.T) {
	child := exec.Command("sh", "-c", "while :; do :; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait() // killed
	}()
	samples := Watch(t.Context(), func() map[string]int { return map[string]int{"busy": child.Process.Pid} })
	<-time.After(every + every/2) // for one sample in the middle and one at the end
	all := samples()
	if len(all) < 2 {
		t.Fatal("got no samples")
	}
	for _, s := range all {
		if s.Parts["busy"].CPU <= 0 || s.Parts["busy"].RSS <= 0 || s.Parts[Generator].RSS <= 0 || s.Machine <= 0 || s.At <= 0 {
			t.Errorf("got %+v, want CPU and memory of the child, this process and the machine", s)
		}
	}
}

func TestShortWatchHasOneSample(t *testing.T) {
	samples := Watch(t.Context(), nil)
	<-time.After(2 * least) // long enough to count
	if all := samples(); len(all) != 1 || all[0].Parts[Generator].RSS <= 0 {
		t.Errorf("got %+v, want one sample of this process", all)
	}
}

func TestBottleneckIsTheBusiestPart(t *testing.T) {
	f := func(parts map[string]float64, machine float64, want string) {
		t.Helper()
		s := Sample{Parts: map[string]Part{}, Machine: machine}
		for name, cpu := range parts {
			s.Parts[name] = Part{CPU: cpu}
		}
		if got := Bottleneck([]Sample{s, s}, 2); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(map[string]float64{Postgres: 0.96, Generator: 0.3, Redis: 0.1}, 1.5, "Postgres CPU 96 %")
	f(map[string]float64{Postgres: 0.5}, 1.1, "Postgres CPU 50 %; others took 60 % of a core")
	f(map[string]float64{"replica 0": 0.5, "replica 1": 0.6, Postgres: 0.3}, 1.5, "server CPU 110 %")
	f(map[string]float64{Generator: 1.2, Redis: 0.7}, 1.96, "generator CPU 120 %; the whole machine was busy (98 % of 2 cores)")
	if got := Bottleneck(nil, 2); got != "" {
		t.Errorf("got %q without samples, want nothing", got)
	}
}

func TestThisProcessIsThere(t *testing.T) {
	p, ok := readProcess(os.Getpid())
	if !ok || p.parent != os.Getppid() || p.rss <= 0 || math.IsNaN(p.cpu) {
		t.Errorf("got %+v, %v, want this process", p, ok)
	}
}
