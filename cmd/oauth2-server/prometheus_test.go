package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/deploy/private"
)

// prometheus is a Prometheus that scrapes replicas each second, with the rules of deploy/prometheus.
type prometheus struct {
	t   *testing.T
	url string
}

// sample is one value that an expression has, with its labels.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"` // Unix seconds, and the value as text
}

// isNumber: a quantile of nothing is none.
func (s sample) isNumber() bool { return s.Value[1] != "NaN" }

// rule is one that Prometheus has loaded.
type rule struct {
	Name        string            `json:"name"`
	Query       string            `json:"query"`
	Type        string            `json:"type"`  // alerting or recording
	State       string            `json:"state"` // of an alert: inactive, pending or firing
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Health      string            `json:"health"` // ok once it was evaluated
	LastError   string            `json:"lastError"`
}

var ruleInterval = regexp.MustCompile(`(?m)^    interval: .*\n`)

// newPrometheus starts one that scrapes the listeners for operators at these URLs. It is there when it answers, and has
// scraped nothing yet: see until.
func newPrometheus(t *testing.T, targets ...string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is missing: install it, on Debian with: apt-get install prometheus")
	}
	port, err := private.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &prometheus{t, fmt.Sprintf("http://127.0.0.1:%d", port)}
	process, err := private.StartProgram(private.ProgramOptions{
		Name: "prometheus",
		Line: []string{
			program, "--config.file=" + scrapeConfig(t, targets), "--storage.tsdb.path=data",
			"--web.listen-address=" + strings.TrimPrefix(p.url, "http://"), "--log.level=warn",
		},
		Answers: func(context.Context) error {
			if a := p.get("/-/ready", nil); a.err != nil || a.status != http.StatusOK {
				return fmt.Errorf("ready: %s", a)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Close)
	return p
}

// scrapeConfig writes what deploy/prometheus has for a test's patience: everything is done once a second.
func scrapeConfig(t *testing.T, targets []string) (file string) {
	t.Helper()
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n" +
		"scrape_configs:\n  - job_name: oauth2-server\n    tls_config: {insecure_skip_verify: true}\n    static_configs:\n")
	for _, target := range targets {
		scheme, address, _ := strings.Cut(target, "://")
		fmt.Fprintf(&config, "      - {targets: [%q], labels: {__scheme__: %s}}\n", address, scheme)
	}
	file = filepath.Join(dir, "prometheus.yml")
	for path, text := range map[string][]byte{file: []byte(config.String()), filepath.Join(dir, "rules.yml"): ruleInterval.ReplaceAll(rules, nil)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func (p *prometheus) get(path string, params url.Values) answer {
	return send(http.NewRequest(http.MethodGet, p.url+path+"?"+params.Encode(), nil))
}

// ask reads an answer of the API into data; an expression that is none ends the test.
func (p *prometheus) ask(path string, params url.Values, data any) {
	p.t.Helper()
	a := p.get(path, params)
	body := struct {
		Status string `json:"status"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := json.Unmarshal([]byte(a.body), &body); a.err != nil || err != nil || body.Status != "success" {
		p.t.Fatalf("%s %s: %s", path, params, a)
	}
}

// evaluate is what the expression is now; none: it returns no data.
func (p *prometheus) evaluate(expression string) []sample {
	p.t.Helper()
	var found struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	p.ask("/api/v1/query", url.Values{"query": {expression}}, &found)
	if found.Type == "scalar" { // one value, without labels
		found.Result = fmt.Appendf(nil, `[{"value":%s}]`, found.Result)
	}
	var samples []sample
	if err := json.Unmarshal(found.Result, &samples); err != nil {
		p.t.Fatalf("%s: %v: %s", expression, err, found.Result)
	}
	return samples
}

// rules are all that are loaded.
func (p *prometheus) rules() (all []rule) {
	p.t.Helper()
	var found struct {
		Groups []struct {
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	p.ask("/api/v1/rules", nil, &found)
	for _, group := range found.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// names are those of all series.
func (p *prometheus) names() map[string]bool {
	p.t.Helper()
	var found []string
	p.ask("/api/v1/label/__name__/values", nil, &found)
	all := map[string]bool{}
	for _, name := range found {
		all[name] = true
	}
	return all
}

// until goes on with the traffic until each expression returns data, NaN not counted, and returns those that never did. Rates want traffic
// between two scrapes, and there is one each second.
func (p *prometheus) until(traffic func(), expressions ...string) (empty []string) {
	p.t.Helper()
	empty = expressions
	for deadline := time.Now().Add(time.Minute); len(empty) > 0 && time.Now().Before(deadline); {
		traffic()
		var still []string
		for _, expression := range empty {
			if !slices.ContainsFunc(p.evaluate(expression), sample.isNumber) {
				still = append(still, expression)
			}
		}
		empty = still
	}
	return empty
}
