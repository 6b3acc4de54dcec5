package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// A busy site has some of all that people, applications and operators do.
type busySite struct {
	*site
	app, eager, web identity
	anna            *person
}

// newBusySite is two replicas, and one that speaks TLS.
func newBusySite(t *testing.T) (s *busySite, targets []string) {
	t.Helper()
	s = &busySite{site: newSite(t, 2)}
	certFile, keyFile, _ := certificate(t)
	secure := startReplica(t, append(slices.Clone(s.env), "OAUTH2_TLS_CERT_FILE="+certFile, "OAUTH2_TLS_KEY_FILE="+keyFile))
	targets = []string{strings.Replace(secure.admin(), "http://", "https://", 1)}
	for _, r := range s.replicas {
		targets = append(targets, r.admin())
	}
	s.setLimit(limit(1000, 1000, time.Second))
	shadow := limit(1, 1, time.Second)
	shadow.Name, shadow.Endpoint, shadow.Mode = "watched", "token", store.LimitShadow
	s.setLimit(shadow)
	s.awaitLimit(store.LimitEnforce)
	s.app, s.eager = s.newClient("app"), s.newClient("eager")
	s.web = s.register(store.Client{
		ID: "web", Name: "Web", Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline_access"},
	})
	s.anna = s.newPerson("anna")
	s.begin()
	return s, targets
}

// begin is what happens once: everybody signs in, some with a wrong password.
func (s *busySite) begin() {
	stranger := *s.newPerson("bob")
	stranger.password = "not the password of bob"
	stranger.walk(s.newFlow(s.web, "openid").url())
	for _, password := range []string{"not the seed password", testSeedPassword} {
		for _, r := range s.replicas {
			cookie, _ := r.signIn(password)
			r.ask(http.MethodGet, "/admin/api/clients", cookie)
		}
	}
}

// traffic is a little of everything.
func (s *busySite) traffic() {
	tokens := s.newFlow(s.web, "openid offline_access").tokens(s.anna)
	s.front.refresh(s.web, tokens.text("refresh_token"))
	for i, r := range s.replicas {
		other := s.replicas[(i+1)%len(s.replicas)]
		for range 3 {
			token := r.mustIssue(s.app)
			other.isActive(s.app, token)
			other.isActive(s.app, token)
			r.revoke(s.app, token)
			r.isActive(s.app, token)
		}
		r.issue(identity{s.app.id, "not its secret"})
		r.batch(s.eager, 2000) // more than its limit
		r.get("/.well-known/jwks.json")
		r.get("/nowhere")
	}
}

type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

// dashboardQueries are all that the dashboards ask, each with where it stands; marks only what they mark in time.
func dashboardQueries(t *testing.T) (queries map[string]string, marks []string) {
	t.Helper()
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	queries = map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				queries[strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")] = filepath.Base(file) + ": " + panel.Title
			}
		}
		for _, mark := range d.Annotations.List {
			marks = append(marks, mark.Expr)
		}
	}
	return queries, marks
}

// TestObserving: on a site that is well every query of the dashboards returns data, every metric that a rule asks for is
// there, and no alert fires.
func TestObserving(t *testing.T) {
	s, targets := newBusySite(t)
	p := newPrometheus(t, targets...)
	queries, marks := dashboardQueries(t)
	expressions := []string{"sum(oauth2_server_ready) == 3"}
	for query := range queries {
		expressions = append(expressions, query)
	}
	for _, query := range p.until(s.traffic, expressions...) {
		t.Errorf("%s: no data: %s", queries[query], query)
	}
	for _, mark := range marks {
		p.evaluate(mark)
	}
	checkRules(t, p)
}

var (
	seriesName = regexp.MustCompile(`\b(?:oauth2_server|process|go)[_:][\w:]+`)
	selector   = regexp.MustCompile(`\b(?:oauth2_server|process|go)_\w+\{[^}]*\}`)
	matcher    = regexp.MustCompile(`(\w+)=~?"([^"]*)"`)
	figure     = regexp.MustCompile(`\$value|\d minutes`)
	heading    = regexp.MustCompile(`(?m)^## (.*)$`)
)

// Values of labels that only a fault makes.
var faultValues = []string{"5..", "503", "error", "limited", "role"}

// checkSelectors: what a rule asks for is there: the name, and each value of each label.
func checkSelectors(t *testing.T, p *prometheus, r rule, names map[string]bool) {
	t.Helper()
	for _, name := range seriesName.FindAllString(r.Query, -1) {
		if !names[name] {
			t.Errorf("%s asks for %s, which nobody tells", r.Name, name)
		}
	}
	for _, found := range selector.FindAllString(r.Query, -1) {
		name, matchers, _ := strings.Cut(found, "{")
		for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
			for value := range strings.SplitSeq(m[2], "|") {
				expression := fmt.Sprintf("%s{%s=%q}", name, m[1], value)
				if !slices.Contains(faultValues, value) && len(p.evaluate(expression)) == 0 {
					t.Errorf("%s asks for %s, which nobody tells", r.Name, expression)
				}
			}
		}
	}
}

func checkRules(t *testing.T, p *prometheus) {
	t.Helper()
	rules, names, anchors := p.rules(), p.names(), runbookAnchors(t)
	for _, r := range rules {
		if r.LastError != "" || r.Health != "ok" {
			t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
		}
		checkSelectors(t, p, r, names)
		if r.Type == "alerting" {
			checkAlert(t, p, r, anchors)
		}
	}
}

func checkAlert(t *testing.T, p *prometheus, r rule, anchors map[string]bool) {
	t.Helper()
	if r.State == "firing" {
		t.Errorf("%s fires: %v", r.Name, p.evaluate(r.Query))
	}
	if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || r.Annotations["summary"] == "" {
		t.Errorf("%s: got %v %v, want a severity and a summary", r.Name, r.Labels, r.Annotations)
	}
	if !figure.MatchString(r.Annotations["description"]) {
		t.Errorf("%s: its description lacks the figure: %s", r.Name, r.Annotations["description"])
	}
	if page, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#"); page != "deploy/runbook.md" || !anchors[anchor] {
		t.Errorf("%s: the runbook has no %s", r.Name, r.Annotations["runbook_url"])
	}
}

// runbookAnchors are the headings of the runbook as links name them.
func runbookAnchors(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../deploy/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(found[1]), "`", ""), " ", "-")] = true
	}
	return anchors
}
