//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/bench/result"
	"oauth2-server/bench/scenario"
	"oauth2-server/bench/slo"
	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// noVerdictOn is the one line that a command says which has no verdict.
func noVerdictOn(t *testing.T, args ...string) string {
	t.Helper()
	c := &console{t: t}
	status, _, errOut := c.run("", args...)
	if status != 2 {
		t.Errorf("%v: got status %d, want 2: %s", args, status, errOut)
	}
	if lines := strings.Count(strings.TrimSpace(errOut), "\n"); lines != 0 {
		t.Errorf("%v: got %d lines, want one: %s", args, lines+1, errOut)
	}
	return errOut
}

// wantStatus: a run that keeps its SLO ends with 0, unless the machine was too busy for the generator, which is 1.
func wantStatus(t *testing.T, status int, run *result.Run) {
	t.Helper()
	if len(run.Missed) > 0 {
		t.Errorf("got %q missed, want nothing", run.Missed)
	}
	if run.Counts != (status == 0) || status > 1 {
		t.Errorf("got status %d of a run that counts: %v (%s)", status, run.Counts, run.Why)
	}
}

func TestBenchRunOnAStack(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.json")
	c := &console{t: t}
	status, text, errOut := c.run("", "bench", "run", "introspect-hot", "--quick", "--duration", "1s", "--replicas", "1", "--connections", "4",
		"--slo", "errors<100%,wrong_answers<=0", "--out", out)
	want(t, text, "introspect-hot", "CPU")
	f, err := result.Read(out)
	if err != nil {
		t.Fatalf("%v: %s", err, errOut)
	}
	if len(f.Runs) != 1 {
		t.Fatalf("got %d runs, want 1", len(f.Runs))
	}
	run := f.Runs[0]
	wantStatus(t, status, run)
	if run.Main().Outcome.Throughput <= 0 || run.SLO != "errors<100%,wrong_answers<=0" || len(run.Main().Usage) == 0 {
		t.Errorf("got throughput %v, SLO %q, %d samples, want all of them", run.Main().Outcome.Throughput, run.SLO, len(run.Main().Usage))
	}
	if run.Floor.Health <= 0 || run.Floor.Empty <= 0 {
		t.Errorf("got floor %+v, want both halves", run.Floor)
	}
	if run.Machine.Cores == 0 || run.Server.Postgres == "" || run.Server.Redis == "" || run.Server.Replicas < 1 || run.Server.Settings["fsync"] != "on" {
		t.Errorf("got %+v on %+v, want versions and settings of a durable stack", run.Server, run.Machine)
	}
	if run.Flags["connections"] != "4" || run.Flags["quick"] != "true" {
		t.Errorf("got flags %v, want those that were given", run.Flags)
	}

	page := filepath.Join(t.TempDir(), "r.html")
	want(t, c.must("bench", "report", out, "--out", page), page)
	want(t, c.must("bench", "report", "--markdown", out), "introspect-hot", "|")
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "introspect-hot") {
		t.Errorf("got a page of %d bytes, %v, want one with the scenario", len(html), err)
	}
}

// somebody is an OAuth server that is not ours: a short one, which knows one client and all tokens it made.
func somebody(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	authenticated := func(serve http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if id, secret, _ := r.BasicAuth(); id != "me" || secret != "it-is-me" {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"error":"invalid_client"}`)
				return
			}
			serve(w, r)
		}
	}
	mux.HandleFunc("POST /t", authenticated(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, store.NewID(time.Now()))
	}))
	mux.HandleFunc("POST /i", authenticated(func(w http.ResponseWriter, r *http.Request) {
		_, err := store.ParseID(r.FormValue("token"))
		fmt.Fprintf(w, `{"active":%v}`, err == nil)
	}))
	mux.HandleFunc("POST /r", authenticated(func(http.ResponseWriter, *http.Request) {}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestBenchRunAgainstAURL(t *testing.T) {
	s := somebody(t)
	out := filepath.Join(t.TempDir(), "r.json")
	c := &console{t: t}
	at := []string{
		"bench", "run", "issue", "--url", s.URL, "--client-id", "me", "--token-path", "/t", "--introspect-path", "/i", "--revoke-path", "/r",
		"--quick", "--duration", "300ms", "--connections", "2", "--out", out, "--json",
	}
	run := func(secret, slo string) (int, string, string) {
		return c.run(secret, append(slices.Clone(at), "--client-secret", "-", "--slo", slo)...)
	}
	status, text, errOut := run("it-is-me\n", "errors<1%,rate>=1")
	if status > 1 {
		t.Fatalf("got status %d, want 0: %s", status, errOut)
	}
	f := decodeJSON[result.File](t, text)
	if len(f.Runs) != 1 || f.Runs[0].Server.URL != s.URL || f.Runs[0].Floor == nil || f.Runs[0].Floor.Health != 0 {
		t.Errorf("got %s, want one run of the server, which has no /health", text)
	}
	wantStatus(t, status, f.Runs[0])
	if file, err := os.ReadFile(out); err != nil || strings.Contains(string(file), "it-is-me") {
		t.Errorf("got %v, or the secret in the result", err)
	}

	status, _, errOut = run("it-is-me\n", "rate>=1000000000")
	if status != 1 {
		t.Errorf("an SLO that is missed: got status %d, want 1", status)
	}
	want(t, errOut, "issue")

	status, _, errOut = run("it-is-not-me\n", "errors<1%")
	if status != 2 {
		t.Errorf("credentials that are refused: got status %d, want 2: %s", status, errOut)
	}
}

func TestBenchRefusesBadInput(t *testing.T) {
	f := func(line string, parts ...string) {
		t.Helper()
		want(t, noVerdictOn(t, strings.Fields(line)...), parts...)
	}
	f("bench run", "bench list")
	f("bench run introspect-hut", "did you mean introspect-hot?", "soak")
	f("bench run nothing-like-it-at-all", "issue-jwt", "soak")
	f("bench run all issue", "all")
	f("bench nonsense", "bench --help")
	f("bench run issue --nonsense", "--nonsense")
	f("bench run issue --slo p95<5ms", "p95", "p50, p90, p99")
	f("bench run issue --rate -1", "--rate")
	f("bench run issue --rate NaN", "--rate")
	f("bench run issue --duration soon", "duration")
	f("bench run issue --connections -1", "--connections")
	f("bench run issue --replicas 0", "--replicas")
	f("bench run issue --repeats 0", "--repeats")
	f("bench run issue --url http://127.0.0.1:1", "--client-id")
	f("bench run issue --url http://127.0.0.1:1 --stack", "stack", "url")
	f("bench run issue --client-id x", "--url")
	f("bench run db-down --url http://127.0.0.1:1 --client-id x --client-secret y", "db-down", "stack")
	f("bench run issue --binary /no/such/binary", "/no/such/binary")
	f("bench find-limit", "bench list")
	f("bench find-limit restart", "restart", "no limit")
	f("bench compare", "two results")
	f("bench compare a.json", "two results")
	f("bench compare /none/a.json /none/b.json", "/none/a.json")
	f("bench compare --a x --b y", "--scenario")
	f("bench compare --a /bin/true --b /bin/true --scenario introspect-hut", "introspect-hot")
	f("bench compare --a /no/such/binary --b /bin/true --scenario issue", "--a", "/no/such/binary")
	f("bench compare a.json b.json --threshold 0", "--threshold")
	f("bench report", standardOut)
	f("bench report /none/a.json", "/none/a.json")
}

func TestBenchSaysThatNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	want(t, noVerdictOn(t, "bench", "run", "issue", "--url", "http://"+address, "--client-id", "x", "--client-secret", "y", "--out",
		filepath.Join(t.TempDir(), "r.json")), address)
}

func TestBenchRefusesResultsOfAnotherVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, noVerdictOn(t, "bench", "report", path), path, "version 99")
	want(t, noVerdictOn(t, "bench", "compare", path, path), path, "version 99")
}

func TestBenchCompareEndsWithStatus1OnARegression(t *testing.T) {
	write := func(recover float64) string {
		f := new(result.File)
		for range 5 {
			recover += 0.001
			f.Runs = append(f.Runs, &result.Run{
				Version: result.Version, Scenario: "db-down", Counts: true, Facts: map[string]float64{"recover_seconds": recover},
			})
		}
		path := filepath.Join(t.TempDir(), "r.json")
		if err := f.Write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := &console{t: t}
	before, after := write(1), write(1.3)
	status, text, errOut := c.run("", "bench", "compare", before, after)
	if status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	want(t, text, "db-down", "recover_seconds", "worse", "+29.9 %")
	want(t, errOut, "db-down recover_seconds")
	want(t, c.must("bench", "compare", after, before), "better")
	want(t, c.must("bench", "compare", before, after, "--threshold", "50"), "noise")
	same := c.must("bench", "compare", before, before, "--json")
	want(t, same, `"verdict": "noise"`)
}

func TestBenchListShowsEveryScenario(t *testing.T) {
	c := &console{t: t}
	text := c.must("bench", "list")
	all := decodeJSON[[]listedScenario](t, c.must("bench", "list", "--json"))
	if len(all) != len(scenario.All()) {
		t.Errorf("got %d scenarios, want %d", len(all), len(scenario.All()))
	}
	for _, s := range all {
		want(t, text, s.Name, s.Question)
		if s.Title == "" || s.Question == "" || s.SLO == "" {
			t.Errorf("got %+v, want a title, a question and an SLO", s)
		}
	}
}

func TestDefaultSLOsAreUnderstood(t *testing.T) {
	for _, s := range scenario.All() {
		for _, text := range []string{s.SLO, s.BareSLO} {
			if _, err := slo.Parse(text); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

func TestBenchFloorAnswersUntilItsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := newRootCommand(nil)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	root.SetArgs([]string{"bench-floor"})
	root.SetOut(write)
	status := make(chan int)
	go func() { status <- execute(ctx, root) }()
	var address string
	if _, err := fmt.Fscan(read, &address); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200", answer.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if got := <-status; got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
}

func TestSeedTokensAreAsIfIssued(t *testing.T) {
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}, testEnv...)}
	c.must("migrate")
	c.must("client", "create", "--id", "bench")
	texts := strings.Fields(c.must("seed-tokens", "--client", "bench", "--count", "300", "--expires-in", "1h", "--spread", "40h"))
	if len(texts) != 300 {
		t.Fatalf("got %d tokens, want 300", len(texts))
	}
	for _, text := range []string{texts[0], texts[299]} {
		want(t, c.must("token", "explain", text), "bench")
	}
	past := c.must("seed-tokens", "--client", "bench", "--count", "5", "--expires-in", "-72h", "--silent")
	if past != "" {
		t.Errorf("got %q, want nothing printed", past)
	}
	day := time.Now().UTC().Add(-72 * time.Hour).Format("tokens_20060102")
	want(t, c.must("seed-tokens", "--partitions"), day)
	for db := c.open(); strings.Contains(c.must("seed-tokens", "--partitions"), day); { // hangs if it is never dropped
		if err := db.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"seed-tokens", "seed-tokens --client x", "seed-tokens --count 5", "seed-tokens --client x --count 1 --spread -1s"} {
		c.refused(strings.Fields(line)...)
	}
	want(t, newConsole(t).refused("seed-tokens", "--client", "x", "--count", "1"), "Postgres")
}
