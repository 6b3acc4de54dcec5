package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
)

// draw is the page of the files.
func draw(t *testing.T, files ...*result.File) string {
	t.Helper()
	var page bytes.Buffer
	if err := Write(&page, files); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

func file(runs ...*result.Run) *result.File {
	return &result.File{Version: result.Version, Path: "/synthetic/some.json", Runs: runs}
}

// void are the elements that need no end.
var void = []string{"meta", "br"}

// outline is the page's elements with a class or an id of those asked for, as "name.class" or "name#id", in order. It
// fails the test when elements do not nest.
func outline(t *testing.T, page string, want ...string) []string {
	t.Helper()
	page = strings.NewReplacer("<!doctype html>", "", " open>", ` open="">`).Replace(page)
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, void, xml.HTMLEntity
	var open, found []string
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if !slices.Contains(void, e.Name.Local) {
				open = append(open, e.Name.Local)
			}
			for _, a := range e.Attr {
				name := e.Name.Local + map[string]string{"class": ".", "id": "#"}[a.Name.Local] + a.Value
				if slices.Contains(want, name) || a.Name.Local == "id" {
					found = append(found, name)
				}
			}
		case xml.EndElement:
			if slices.Contains(void, e.Name.Local) {
				continue
			}
			if len(open) == 0 || open[len(open)-1] != e.Name.Local {
				t.Fatalf("</%s> ends %v", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v never end", open)
	}
	return found
}

func TestPageHasVerdictsThenASectionAScenario(t *testing.T) {
	got := outline(t, draw(t, syntheticFile(1, 1), syntheticFile(2, 1.3)),
		"section.source missed", "div.changes", "section.overview", "footer")
	want := []string{
		"section.source missed", "section.source missed", "div.changes", "section.overview", "section#issue",
		"section#introspect-hot", "section#mixed", "section#limit-issue", "section#high-latency", "section#db-down", "section#soak", "section#introspect-cold",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// section is the part of the page about a scenario.
func sectionOf(t *testing.T, page, scenario string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<section class="scenario" id="`+scenario+`">`)
	part, _, ended := strings.Cut(rest, "</section>")
	if !ok || !ended {
		t.Fatalf("there is no section %s", scenario)
	}
	return part
}

var heading = regexp.MustCompile(`<h4>([^<]*)</h4>`)

func TestEachShapeOfRunHasItsCharts(t *testing.T) {
	one := draw(t, syntheticFile(1, 1))
	two := draw(t, syntheticFile(1, 1), syntheticFile(2, 1.3))
	f := func(page, scenario string, want ...string) {
		t.Helper()
		var got []string
		for _, found := range heading.FindAllStringSubmatch(sectionOf(t, page, scenario), -1) {
			got = append(got, found[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", scenario, got, want)
		}
	}
	const latency, throughput, percentiles, machine = "Latency over time", "Throughput over time", "Percentiles", "What it took of the machine"
	f(one, "issue", latency, throughput, percentiles, machine)
	f(one, "mixed", latency, throughput, percentiles, machine)
	f(two, "mixed", latency, throughput, "Percentiles: introspect", "Percentiles: issue", "Percentiles: revoke", machine)
	f(one, "limit-issue", latency, throughput, "Latency against throughput", percentiles, "Facts", machine)
	f(two, "limit-issue", latency, throughput, "Latency against throughput", "Percentiles: 4000 /s", "Percentiles: 12000 /s",
		"Percentiles: 20000 /s", "Percentiles: 28000 /s", "Facts", machine)
	f(one, "soak", latency, throughput, percentiles, "Memory of the server", machine)
}

func TestChartsStandBesideTheirTables(t *testing.T) {
	page := draw(t, syntheticFile(1, 1))
	charts, tables := strings.Count(page, `<svg class="chart"`), strings.Count(page, "<caption>")
	if charts == 0 || charts != tables {
		t.Errorf("%d charts, %d tables of their numbers", charts, tables)
	}
}

func TestVerdictIsSaidWithItsReason(t *testing.T) {
	page := draw(t, syntheticFile(1, 1))
	for _, want := range []string{
		"1 of 8 scenarios missed, 1 uncounted", "spared_available_share&gt;=0.99: measured 72 %",
		"main: requests left 41 ms late although connections were free", "in 3 of 3 runs", "Bottleneck: Postgres CPU 96 %",
		"This run: 0.429× of /health", "Floor: /health 42 k/s, p99 2.1 ms; an empty handler 61 k/s, p99 1.9 ms",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if passed := draw(t, file(syntheticFile(1, 1).Runs[0])); !strings.Contains(passed, "1 scenario passed") {
		t.Error("a file that passed does not say so")
	}
}

func TestOneMissedRepeatIsAMiss(t *testing.T) {
	runs := syntheticFile(1, 1).Runs[1:4]
	runs[0].Missed = []string{"p99<5ms: measured 6 ms"}
	v := newSide(0, "", runs).Verdict()
	if v.State != "missed" || v.Runs != "in 1 of 3 runs" || !slices.Equal(v.Why, runs[0].Missed) {
		t.Errorf("got %+v", v)
	}
}

// loads finds whatever makes a browser ask for something: addresses in attributes and in styles.
var loads = regexp.MustCompile(`(?i)(\bsrc|\bsrcset|\baction|\bdata|xlink:href|\bposter|\bbackground)\s*=|url\(|@import|https?:|<(script|link|img|iframe|object|embed|base|form|use|image)\b`)

var href = regexp.MustCompile(`href="([^"]*)"`)

func TestPageLoadsNothing(t *testing.T) {
	page := draw(t, syntheticFile(1, 1), syntheticFile(2, 1))
	if found := loads.FindAllString(page, 5); found != nil {
		t.Errorf("the page has %q", found)
	}
	for _, link := range href.FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(link[1], "#") {
			t.Errorf("the page leads to %q", link[1])
		}
	}
	if !strings.Contains(page, `content="default-src 'none'; style-src 'sha256-`) {
		t.Error("the page has no policy")
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "onclick") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page has something that its policy forbids, or that the template refused")
	}
}

func TestHostileTextStaysText(t *testing.T) {
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>'` + "`" + `javascript:alert(3)`
	r := syntheticFile(1, 1).Runs[5]
	r.Scenario, r.Title, r.Question, r.SLO, r.Bottleneck, r.Why = hostile, hostile, hostile, hostile, hostile, hostile
	r.Missed, r.Facts = []string{hostile}, map[string]float64{hostile: 1}
	r.Server.Version, r.Machine.CPU, r.Flags = hostile, hostile, map[string]string{hostile: hostile}
	r.Phases[0].Name, r.Phases[1].Outcome.Total.Errors = hostile, map[string]int64{hostile: 1}
	r.Phases[2].Outcome.Kinds = map[string]*load.Kind{hostile: {}, "other": {}}
	r.Phases[0].Usage[0].Parts[hostile] = r.Phases[0].Usage[0].Parts["redis"]
	f := file(r)
	f.Path = hostile
	page := draw(t, f, f)
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, `="">`) {
		t.Error("text became markup")
	}
	outline(t, page)
}

func TestPartialRunsAreDrawn(t *testing.T) {
	bare := result.Phase{Name: "bare", Outcome: &load.Outcome{}}
	failed := result.Phase{Name: "failed", Outcome: &load.Outcome{Ticks: []load.Tick{{At: 1e9, Requests: 5, Errors: 5, Rate: 5}}}}
	f := func(name, want string, files ...*result.File) {
		t.Helper()
		page := draw(t, files...)
		outline(t, page)
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || !strings.Contains(page, want) {
			t.Errorf("%s: the page has a number that is none, or lacks %q", name, want)
		}
	}
	f("no files", "no result holds a run")
	f("no runs", "holds no runs", file())
	f("no phases", "does not count", file(&result.Run{Scenario: "empty"}))
	f("a phase without outcome", "passed", file(&result.Run{Scenario: "empty", Counts: true, Phases: []result.Phase{{Name: "x"}}}))
	f("no ticks", "passed", file(&result.Run{Scenario: "empty", Counts: true, Phases: []result.Phase{bare}}))
	f("errors alone", "errors", file(&result.Run{Scenario: "empty", Counts: true, Phases: []result.Phase{failed, bare}}))
	f("a scenario that one file has", `id="issue"`, file(), syntheticFile(1, 1))
}

func TestPageStaysSmallHoweverLongTheRun(t *testing.T) {
	s := &synthetic{chance: newChance(3), slower: 1}
	const most = 120 << 10 // bytes
	short := len(draw(t, file(s.run("soak", "p99<5ms", s.phase("main", 90, 1000, 1000, 1)))))
	long := len(draw(t, file(s.run("soak", "p99<5ms", s.phase("main", 600, 1000, 1000, 1)))))
	if long > most || long > 2*short {
		t.Errorf("ten minutes make a page of %d bytes, 90 s one of %d; want at most %d", long, short, most)
	}
}
