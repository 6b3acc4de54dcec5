package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"oauth2-server/bench/target"
	"oauth2-server/bench/usage"
)

// binary is the server, built once for all tests.
var binary string

// asParent makes this test binary a process that starts a stack and waits for its own end.
const asParent = "STACK_TEST_PARENT"

func TestMain(m *testing.M) {
	if binary = os.Getenv(asParent); binary != "" {
		parent()
		os.Exit(1) // it is killed before
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "stack-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "oauth2-server")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "oauth2-server/cmd/oauth2-server")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the server: %v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

// start is a stack of the test's own.
func start(t *testing.T, o Options) *Stack {
	t.Helper()
	o.Binary = binary
	o.Settings = append(o.Settings, "fsync=off")
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// issue is the status of asking a replica for a token as the client.
func issue(t *testing.T, r *Replica, c target.Client) int {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}
	answer, err := http.PostForm(r.URL()+target.DefaultPaths.Token, form)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// children is the processes below a process, from /proc.
func children(t *testing.T, root int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	below := map[int][]int{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[0] == "Z" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		below[parent] = append(below[parent], pid)
	}
	all := below[root]
	for i := 0; i < len(all); i++ {
		all = append(all, below[all[i]]...)
	}
	return all
}

func TestStackServesOnEveryReplica(t *testing.T) {
	s := start(t, Options{Replicas: 2, Proxy: true})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Replicas() {
		for _, c := range []target.Client{s.Opaque, s.JWT, s.Gateway} {
			if got := issue(t, r, c); got != http.StatusOK {
				t.Errorf("%s on %s: got status %d, want 200", c.ID, r.URL(), got)
			}
		}
	}
	to := s.Target()
	if len(to.URLs) != 2 || to.URLs[1].String() != s.Replica(1).URL() || to.Client != s.Opaque {
		t.Errorf("got target %v of %s, want both replicas and the opaque client", to.URLs, to.Client.ID)
	}
	if s.Proxy().Accepted() == 0 {
		t.Error("nothing went through the proxy before Postgres")
	}
	metrics, err := s.Replica(0).Metrics(t.Context())
	if err != nil || metrics["process_cpu_seconds_total"] <= 0 {
		t.Errorf("got %d metrics, CPU %v, %v, want some", len(metrics), metrics["process_cpu_seconds_total"], err)
	}

	before := children(t, os.Getpid())
	s.Close()
	if len(before) < 10 {
		t.Errorf("got %d processes before Close, want Postgres' and all others", len(before))
	}
	if left := children(t, os.Getpid()); len(left) > 0 {
		t.Errorf("processes %v are left after Close", left)
	}
}

func TestReplicaComesBackOnItsPort(t *testing.T) {
	s := start(t, Options{Replicas: 1, NoRedis: true})
	r := s.Replica(0)
	address, pid := r.URL(), r.Pid()
	for _, end := range []func() error{
		func() error { r.Kill(); return nil },
		func() error { return r.Terminate(t.Context()) },
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := r.Ready(t.Context()); err == nil {
			t.Error("a replica that has ended is ready")
		}
		if err := s.Ready(t.Context()); err == nil {
			t.Error("a stack without its replica is ready")
		}
		if err := r.Restart(); err != nil {
			t.Fatal(err)
		}
		if r.URL() != address || r.Pid() == pid {
			t.Errorf("got %s as process %d, want %s as another process than %d", r.URL(), r.Pid(), address, pid)
		}
		if got := issue(t, r, s.Opaque); got != http.StatusOK {
			t.Errorf("got status %d, want 200", got)
		}
	}
	if s.Redis() != nil || s.Proxy() != nil {
		t.Error("got a Redis or a proxy that was not asked for")
	}
}

func TestFactsNameVersionsAndSettings(t *testing.T) {
	s := start(t, Options{Replicas: 1})
	facts, err := s.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if facts.Replicas != 1 || facts.Version == "" || facts.Go == "" || facts.Postgres == "" || facts.Redis == "" {
		t.Errorf("got %+v, want all versions", facts)
	}
	if got := facts.Settings["fsync"]; got != "off" {
		t.Errorf("fsync: got %q, want off, as it was started", got)
	}
	if got := facts.Settings["synchronous_commit"]; got != "on" {
		t.Errorf("synchronous_commit: got %q, want on", got)
	}
}

func TestWatchSeesEveryPart(t *testing.T) {
	s := start(t, Options{Replicas: 1})
	samples := s.Watch(t.Context())
	for begun := time.Now(); time.Since(begun) < 1500*time.Millisecond; { // a sample is a second
		issue(t, s.Replica(0), s.Opaque)
	}
	all := samples()
	if len(all) == 0 {
		t.Fatal("got no samples")
	}
	for _, part := range []string{usage.Generator, usage.Postgres, usage.Redis, usage.Server + " 0"} {
		if all[0].Parts[part].RSS == 0 {
			t.Errorf("%s has no memory in %+v", part, all[0])
		}
	}
	if all[0].Parts[usage.Server+" 0"].CPU <= 0 || all[0].Machine <= 0 {
		t.Errorf("got %+v, want CPU of the replica and of the machine", all[0])
	}
}

func TestStartSaysWhatFails(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		s, err := Start(t.Context(), o)
		if err == nil {
			s.Close()
			t.Fatalf("%+v: started", o)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to hold %q", err, want)
		}
		if left := children(t, os.Getpid()); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	}
	f(Options{Binary: "/no/such/binary"}, "/no/such/binary")
	f(Options{Binary: binary, Settings: []string{"no_such_setting=1"}}, "no_such_setting")
	f(Options{Binary: binary, Env: []string{"OAUTH2_LOG_LEVEL=loud"}, Settings: []string{"fsync=off"}}, "OAUTH2_LOG_LEVEL")
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Options{Binary: binary}); !errors.Is(err, context.Canceled) {
		s.Close()
		t.Errorf("got %v, want it canceled", err)
	}
	if left := children(t, os.Getpid()); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// parent starts a stack and says so.
func parent() {
	s, err := Start(context.Background(), Options{Binary: binary, Replicas: 1, Settings: []string{"fsync=off"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(s.Replica(0).Pid())
	select {}
}

func TestStackDiesWithItsParent(t *testing.T) {
	folder, err := os.MkdirTemp("", "stack-orphan-") //nolint:usetesting // t.TempDir lets no other user pass
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asParent+"="+binary, "TMPDIR="+folder)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		_ = cmd.Wait()
		t.Fatal(err)
	}
	orphans := children(t, cmd.Process.Pid)
	if len(orphans) < 8 {
		t.Errorf("got processes %v, want Postgres' and all others", orphans)
	}
	_ = cmd.Process.Kill() // it runs until then
	_ = cmd.Wait()         // killed
	for _, orphan := range orphans {
		for syscall.Kill(orphan, 0) == nil && !zombie(orphan) { // hangs if it lives on
			time.Sleep(time.Millisecond) // not our child: there is no event to await
		}
	}
}

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // gone
	}
	return strings.HasPrefix(strings.TrimSpace(string(text[strings.LastIndexByte(string(text), ')')+1:])), "Z")
}
