package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dashboard is what we rely on in one of Grafana's, schemaVersion 41.
type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Templating    struct {
		List []struct{ Name, Type string }
	} `json:"templating"`
	Links  []link  `json:"links"`
	Panels []panel `json:"panels"`
}

type link struct {
	URL string `json:"url"`
}

type panel struct {
	ID         int               `json:"id"`
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Grid       grid              `json:"gridPos"`
	Datasource map[string]string `json:"datasource"`
	Targets    []struct {
		RefID      string            `json:"refId"`
		Expr       string            `json:"expr"`
		Legend     string            `json:"legendFormat"`
		Datasource map[string]string `json:"datasource"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Options struct {
		Content string `json:"content"`
	} `json:"options"`
}

type grid struct{ X, Y, W, H int }

func (g grid) overlaps(o grid) bool {
	return g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, name := range []string{"overview", "hotpath", "cache", "limits", "slo"} {
		text, err := os.ReadFile("grafana/dashboards/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = d
	}
	return all
}

func TestDashboardsAreWhole(t *testing.T) {
	for name, d := range dashboards(t) {
		if d.UID != "oauth2-server-"+name || d.Title == "" || !slices.Contains(d.Tags, "oauth2-server") || d.SchemaVersion != 41 {
			t.Errorf("%s: got %q, %q, %v, schema %d", name, d.UID, d.Title, d.Tags, d.SchemaVersion)
		}
		var variables []string
		for _, v := range d.Templating.List {
			variables = append(variables, v.Name+" "+v.Type)
		}
		if !slices.Equal(variables, []string{"datasource datasource", "runbook constant"}) {
			t.Errorf("%s: got the variables %v", name, variables)
		}
		if !slices.Contains(d.Links, link{"${runbook}"}) {
			t.Errorf("%s: no link to the runbook", name)
		}
		if len(d.Panels) == 0 || d.Panels[0].Type != "text" || d.Panels[0].Grid.Y != 0 {
			t.Errorf("%s: does not begin with what to look at first", name)
		}
		checkPanels(t, name, d.Panels)
	}
}

func checkPanels(t *testing.T, name string, panels []panel) {
	t.Helper()
	ids := map[int]bool{}
	for i, p := range panels {
		at := name + ": " + p.Title
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("%s: the id %d is taken, or it has no title", at, p.ID)
		}
		ids[p.ID] = true
		if g := p.Grid; g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s: %+v is outside of the grid of 24 columns", at, g)
		}
		for _, other := range panels[:i] {
			if p.Grid.overlaps(other.Grid) {
				t.Errorf("%s: covers %q", at, other.Title)
			}
		}
		switch p.Type {
		case "stat", "timeseries":
			checkQueries(t, at, p)
		case "text", "row":
		default:
			t.Errorf("%s: a panel of type %q, which is not among those that we know to be everywhere", at, p.Type)
		}
	}
}

func checkQueries(t *testing.T, at string, p panel) {
	t.Helper()
	if p.FieldConfig.Defaults.Unit == "" || p.Datasource["uid"] != "${datasource}" || len(p.Targets) == 0 {
		t.Errorf("%s: unit %q, datasource %v, %d queries", at, p.FieldConfig.Defaults.Unit, p.Datasource, len(p.Targets))
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if refs[q.RefID] || q.RefID == "" || q.Expr == "" || q.Datasource["uid"] != "${datasource}" {
			t.Errorf("%s: got the query %+v", at, q)
		}
		refs[q.RefID] = true
		if p.Type == "timeseries" && q.Legend == "" {
			t.Errorf("%s: no legend for %s", at, q.Expr)
		}
	}
}

var runbookLink = regexp.MustCompile(`\(\$\{runbook\}#([^)]*)\)`)

func TestDashboardsNameHeadingsOfTheRunbook(t *testing.T) {
	text, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range bytes.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "## "); ok {
			anchors[strings.NewReplacer(" ", "-", "`", "").Replace(strings.ToLower(heading))] = true
		}
	}
	for name, d := range dashboards(t) {
		links := runbookLink.FindAllStringSubmatch(d.Panels[0].Options.Content, -1)
		if len(links) == 0 {
			t.Errorf("%s: what to look at first leads nowhere", name)
		}
		for _, link := range links {
			if !anchors[link[1]] {
				t.Errorf("%s: the runbook has no heading for #%s", name, link[1])
			}
		}
	}
}

// Grafana takes what its provisioning names: the folder of the container, and the data source under its type.
func TestProvisioningFitsCompose(t *testing.T) {
	compose := readText(t, "compose.observe.yaml")
	for file, wants := range map[string][]string{
		"grafana/provisioning/dashboards/oauth2-server.yml": {"/var/lib/grafana/dashboards"},
		"grafana/provisioning/datasources/prometheus.yml":   {"http://prometheus:9090", "type: prometheus"},
		"prometheus/prometheus.yml":                         {"names: [oauth2-server]", "port: 8081", "job_name: oauth2-server"},
	} {
		text := readText(t, file)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %s", file, want)
			}
		}
	}
	for _, want := range []string{"./grafana/dashboards:/var/lib/grafana/dashboards", "./grafana/provisioning:/etc/grafana/provisioning", "./prometheus:/etc/prometheus"} {
		if !strings.Contains(compose, want) {
			t.Errorf("compose.observe.yaml does not mount %s", want)
		}
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
