package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
)

// The chart's value, and the patch that the overlay has as a comment, open ports for the server and its migration.
func TestEgressPortsAreAdded(t *testing.T) {
	dir := filepath.Join(copyKustomize(t), "overlays/production")
	file := filepath.Join(dir, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, regexp.MustCompile(`(?m)^  # (- target:|  )`).ReplaceAllString(string(text), "  $1"))
	for name, r := range map[string]rendering{
		"production": {objects: kustomize(t, dir)}, "chart": {objects: renderChart(t, "egressPorts: [26379, 6432]")},
	} {
		for _, n := range of[*networking.NetworkPolicy](r) {
			var open []int32
			for _, rule := range n.Spec.Egress {
				for _, port := range rule.Ports {
					open = append(open, port.Port.IntVal)
				}
			}
			if n.Name != "default-deny" && (!slices.Contains(open, 26379) || !slices.Contains(open, 6432)) {
				t.Errorf("%s: NetworkPolicy %s opens %v", name, n.Name, open)
			}
		}
	}
}

// The chart's policies are about its own pods, all of them and both ways: the namespace may have others.
func TestChartDeniesForItsOwnPods(t *testing.T) {
	r := rendering{objects: renderChart(t, everything)}
	denied := map[string]bool{}
	for _, n := range of[*networking.NetworkPolicy](r) {
		if len(n.Spec.PodSelector.MatchLabels) == 0 || len(n.Spec.PolicyTypes) != 2 {
			t.Errorf("NetworkPolicy %s: got %+v", n.Name, n.Spec)
		}
		for _, owner := range selected(r, selectorOf(t, &n.Spec.PodSelector)) {
			denied[owner] = true
		}
	}
	for _, p := range pods(r) {
		if !denied[p.of] {
			t.Errorf("no NetworkPolicy is about %s", p.of)
		}
	}
}

// Replicas that are not ready do not keep a node from being drained.
func TestUnreadyPodsAreEvicted(t *testing.T) {
	for _, r := range renderings(t) {
		for _, b := range of[*policy.PodDisruptionBudget](r) {
			if p := b.Spec.UnhealthyPodEvictionPolicy; p == nil || *p != policy.AlwaysAllow {
				t.Errorf("%s: PodDisruptionBudget %s keeps pods that are not ready", r.name, b.Name)
			}
		}
	}
}

// Redis evicts before it is full.
func TestRedisIsBounded(t *testing.T) {
	f := func(where string, line []string) {
		t.Helper()
		if text := strings.Join(line, " "); !strings.Contains(text, "--maxmemory 256mb --maxmemory-policy volatile-lru") {
			t.Errorf("%s: %s", where, text)
		}
	}
	f("compose.yaml", loadCompose(t, "compose.yaml").Services["redis"].Command)
	for _, r := range renderings(t) {
		for _, p := range pods(r) {
			if p.of == "Deployment redis" {
				f(r.name, p.Spec.Containers[0].Args)
			}
		}
	}
}
