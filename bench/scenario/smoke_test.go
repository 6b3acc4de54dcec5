package scenario

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"oauth2-server/bench/slo"
	"oauth2-server/bench/stack"
)

// The suite on a real installation: what breaks it heals, every count is as promised. Times and ratios of so short a run say nothing.
func TestScenariosOnARealStack(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "oauth2-server")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "oauth2-server/cmd/oauth2-server").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v: %s", err, out)
	}
	s, err := stack.Start(t.Context(), stack.Options{
		Binary: binary, Replicas: 3, Settings: []string{"fsync=off"}, Env: []string{"OAUTH2_SHUTDOWN_DELAY=300ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, name := range []string{"introspect-mixed", "mixed", "refresh", "db-down", "redis-hung", "login", "restart"} {
		t.Run(name, func(t *testing.T) { playQuickly(t, s, name) })
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("something was left broken: %v", err)
	}
}

func playQuickly(t *testing.T, s *stack.Stack, name string) {
	one, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	run, err := one.Run(t.Context(), &Env{
		Target: s.Target(), Stack: s, Opaque: s.Opaque, JWT: s.JWT, Gateway: s.Gateway,
		Quick: true, Duration: 500 * time.Millisecond, Connections: 8, Rate: 200, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Phases) == 0 || run.Main().Outcome.Throughput == 0 {
		t.Error("nothing was measured")
	}
	counts := []string{wrongAnswers, "lost_tokens", "lost_revocations", "lost_families", "forked_families", "failed_requests", "restarted_replicas"}
	rules, err := slo.Parse(one.SLO)
	if err != nil {
		t.Fatal(err)
	}
	rules = slices.DeleteFunc(rules, func(r slo.Rule) bool { return !slices.Contains(counts, r.Metric) })
	for _, missed := range rules.Check(run) {
		t.Error(missed)
	}
	for _, fact := range []string{"verified_tokens", "verified_families", "checked_passwords"} {
		if verified, is := run.Facts[fact]; is && verified == 0 {
			t.Errorf("%s: none", fact)
		}
	}
}
