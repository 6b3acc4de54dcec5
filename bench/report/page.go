package report

import (
	"fmt"
	"html/template"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// A page is everything the template shows.
type page struct {
	Style    template.HTML // of the head: the style sheet
	Policy   template.HTML // and what admits nothing but it
	Files    []*source
	Changes  *changes
	Sections []*section
}

// A source is one file.
type source struct {
	Index   int
	Letter  string
	Name    string
	State   string
	Verdict string
	Reasons []reason
	Facts   []row // where and when it ran
	runs    []*result.Run
	sides   []*side
}

// A reason is why a scenario was missed, or does not count.
type reason struct {
	Scenario string
	Word     string
	Why      []string
}

// A row is a name and a text.
type row struct{ Name, Text string }

func newPage(files []*result.File) *page {
	p := new(page)
	for i, f := range files {
		s := &source{Index: i % mostCurves, Name: filepath.Base(f.Path), runs: f.Runs}
		if len(files) > 1 {
			s.Letter = letter(i)
		}
		if f.Path == "" {
			s.Name = "result"
		}
		p.Files = append(p.Files, s)
	}
	p.Changes = newChanges(files)
	for _, name := range p.scenarios() {
		s := newSection(p.sides(name))
		s.Changes = p.Changes.of(name)
		p.Sections = append(p.Sections, s)
	}
	for _, f := range p.Files {
		f.judge()
		f.describe()
	}
	return p
}

// letter names a file: A … Z, and numbers after that.
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

// scenarios in the order that files name them.
func (p *page) scenarios() []string {
	var names []string
	for _, f := range p.Files {
		for _, r := range f.runs {
			if !slices.Contains(names, r.Scenario) {
				names = append(names, r.Scenario)
			}
		}
	}
	return names
}

// sides are the files that have the scenario.
func (p *page) sides(scenario string) []*side {
	var sides []*side
	for _, f := range p.Files {
		repeats := slices.DeleteFunc(slices.Clone(f.runs), func(r *result.Run) bool { return r.Scenario != scenario })
		if len(repeats) > 0 {
			s := newSide(f.Index, f.Letter, repeats)
			f.sides, sides = append(f.sides, s), append(sides, s)
		}
	}
	return sides
}

// judge sums up the file's scenarios.
func (f *source) judge() {
	count := map[string]int{}
	total := len(f.sides)
	for _, s := range f.sides {
		v := s.Verdict()
		count[v.State]++
		if v.State != "passed" {
			f.Reasons = append(f.Reasons, reason{s.Run.Scenario, v.Word, v.Why})
		}
	}
	switch {
	case total == 0:
		f.State, f.Verdict = "void", "holds no runs"
	case count["missed"] > 0:
		f.State, f.Verdict = "missed", fmt.Sprintf("%d of %s missed", count["missed"], scenarios(total))
		if void := count["void"]; void > 0 {
			f.Verdict += fmt.Sprintf(", %d uncounted", void)
		}
	case count["void"] > 0:
		f.State, f.Verdict = "void", fmt.Sprintf("%d of %s passed, the rest does not count", count["passed"], scenarios(total))
	default:
		f.State, f.Verdict = "passed", fmt.Sprintf("%s passed", scenarios(total))
	}
}

func scenarios(n int) string {
	if n == 1 {
		return "1 scenario"
	}
	return fmt.Sprintf("%d scenarios", n)
}

// describe says where, when and what was measured, from the file's first run.
func (f *source) describe() {
	if len(f.runs) == 0 {
		return
	}
	first := f.runs[0]
	add := func(name string, words ...string) {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
		if len(words) > 0 {
			f.Facts = append(f.Facts, row{name, strings.Join(words, ", ")})
		}
	}
	if !first.Started.IsZero() {
		add("when", first.Started.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	add("machine", machine(first.Machine)...)
	add("server", server(first.Server)...)
	add("stores", named("Postgres", first.Server.Postgres), named("Redis", first.Server.Redis))
	add("settings", pairs(first.Server.Settings, " = ")...)
	add("flags", first.Options())
}

func machine(m result.Machine) []string {
	var words []string
	if m.Cores > 0 {
		words = append(words, fmt.Sprintf("%d cores", m.Cores))
	}
	words = append(words, m.CPU)
	if m.Memory > 0 {
		words = append(words, quantity.Bytes(float64(m.Memory)))
	}
	return append(words, named("Linux", m.Kernel), m.Go)
}

func server(s result.Server) []string {
	words := []string{s.Version, named("revision", shortCommit(s.Commit())), s.Go, s.URL}
	if s.Replicas > 0 {
		words = append(words, fmt.Sprintf("%d replicas", s.Replicas))
	}
	return words
}

// shortCommit cuts git's name of a commit to what people say.
func shortCommit(commit string) string { return commit[:min(len(commit), 10)] }

func named(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}

func pairs(m map[string]string, joint string) []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		words = append(words, strings.TrimSpace(name+joint+m[name]))
	}
	return words
}

// Started is when the first of all runs began, for the page's head.
func (p *page) Started() string {
	var first time.Time
	for _, f := range p.Files {
		for _, r := range f.runs {
			if first.IsZero() || !r.Started.IsZero() && r.Started.Before(first) {
				first = r.Started
			}
		}
	}
	if first.IsZero() {
		return ""
	}
	return first.UTC().Format("2 January 2006")
}

// Empty reports that there is nothing to show.
func (p *page) Empty() bool { return len(p.Sections) == 0 }
