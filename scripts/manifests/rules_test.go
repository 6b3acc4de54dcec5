package manifests

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the copies of deploy/prometheus' rules into the component and the chart")

const copied = "# A copy of deploy/prometheus/rules.yml. After a change there: cd scripts/manifests && go test -run Rules -update\n"

// Neither Kustomize nor Helm reads files outside of its folder: their copies of the rules are what Prometheus loads.
func TestRulesAreCopied(t *testing.T) {
	text, err := os.ReadFile(deployDir + "/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeStrictly(text, new(ruleFile)); err != nil {
		t.Fatal(err)
	}
	component := copied + `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: oauth2-server
  labels: {app: oauth2-server}
spec:
` + indent(string(text))
	for path, want := range map[string]string{
		deployDir + "/kustomize/components/monitoring/rules.yaml": component,
		chartDir + "/files/rules.yaml":                            copied + string(text),
	} {
		if *update {
			writeFile(t, path, want)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s differs from deploy/prometheus/rules.yml: go test -run Rules -update", path)
		}
	}
}

func indent(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "")
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
