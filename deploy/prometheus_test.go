package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promtool runs Prometheus' own tool on files of deploy/prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: install it, on Debian with: apt-get install prometheus")
	}
	command := exec.Command(program, args...)
	command.Dir = "prometheus"
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

func TestPrometheusTakesItsConfiguration(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "check", "rules", "rules.yml")
}

// The alerting block that is a comment is one that Prometheus takes.
func TestPrometheusTakesAlertmanager(t *testing.T) {
	text, err := os.ReadFile("prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^# (alerting:|  )`)
	if len(block.FindAll(text, -1)) < 4 {
		t.Fatal("there is no alerting block")
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, block.ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", "--syntax-only", file)
}

// ruleTests are the files of tests, below deploy/prometheus.
func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules: %v", err)
	}
	return files
}

func TestAlertsFireOnWhatTheyAreFor(t *testing.T) {
	for _, file := range ruleTests(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", filepath.Join("tests", filepath.Base(file)))
		})
	}
}

var (
	alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	alertCase = regexp.MustCompile(`alertname: (\w+),?\s+exp_alerts:( \[\])?`)
)

// Each alert is seen to fire, to stay quiet in a case of its own, and to stay quiet where all is well.
func TestEachAlertHasItsCases(t *testing.T) {
	rules, err := os.ReadFile("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	fires, quiet, well := map[string]int{}, map[string]int{}, map[string]int{}
	for _, file := range ruleTests(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range alertCase.FindAllStringSubmatch(string(text), -1) {
			switch name := found[1]; {
			case found[2] == "":
				fires[name]++
			case filepath.Base(file) == "healthy.yml":
				well[name]++
			default:
				quiet[name]++
			}
		}
	}
	for _, found := range alertName.FindAllStringSubmatch(string(rules), -1) {
		if name := found[1]; fires[name] == 0 || quiet[name] == 0 || well[name] == 0 {
			t.Errorf("%s: %d cases in which it fires, %d in which it does not, %d where all is well: want some of each", name, fires[name], quiet[name], well[name])
		}
	}
}
