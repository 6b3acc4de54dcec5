package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A guidebook is a page of deploy.
type guidebook struct {
	t      *testing.T
	name   string
	text   string
	blocks []block
	prose  string // all but the blocks
}

// A block is what stands between fences.
type block struct {
	section  string // anchor of the heading above it
	language string
	line     int // number of the first line
	lines    []string
}

func openGuidebook(t *testing.T, name string) *guidebook {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	g := &guidebook{t: t, name: name, text: string(raw)}
	var prose strings.Builder
	var open *block
	section := ""
	for i, line := range strings.Split(g.text, "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{section: section, language: language, line: i + 2}
		case fence:
			g.blocks, open = append(g.blocks, *open), nil
		case open != nil:
			open.lines = append(open.lines, line)
		default:
			if heading := strings.TrimLeft(line, "#"); heading != line {
				section = anchor(heading)
			}
			prose.WriteString(line + "\n")
		}
	}
	g.prose = prose.String()
	return g
}

// shell is the lines to type, with where they stand.
func (g *guidebook) shell() (all []block) {
	for _, b := range g.blocks {
		if b.language != "sh" {
			continue
		}
		for i, line := range b.lines {
			if line != "" {
				all = append(all, block{b.section, b.language, b.line + i, []string{line}})
			}
		}
	}
	return all
}

// spans are the pieces of code in the prose.
func (g *guidebook) spans() (all []string) {
	for _, found := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(g.prose, -1) {
		all = append(all, found[1])
	}
	return all
}

// commands are all that the page tells to type: lines of blocks, and pieces of code in the prose.
func (g *guidebook) commands() []string {
	all := g.spans()
	for _, line := range g.shell() {
		all = append(all, line.lines[0])
	}
	return all
}

var (
	notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	headingLine  = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
}

// anchors are those of a text in Markdown, without its blocks.
func anchors(text string) (all []string) {
	for _, found := range headingLine.FindAllStringSubmatch(text, -1) {
		all = append(all, anchor(found[1]))
	}
	return all
}

// onPages runs a check for both pages.
func onPages(t *testing.T, check func(t *testing.T, g *guidebook)) {
	for _, name := range []string{"runbook.md", "production.md"} {
		t.Run(name, func(t *testing.T) { check(t, openGuidebook(t, name)) })
	}
}

func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	onPages(t, func(t *testing.T, g *guidebook) {
		for _, link := range links.FindAllStringSubmatch(g.prose, -1) {
			file, at := link[1], link[2]
			if strings.Contains(file, "://") {
				continue
			}
			other := g
			if file != "" {
				other = openGuidebook(t, file)
			}
			if at != "" && !slices.Contains(anchors(other.prose), at) {
				t.Errorf("%s has no heading for #%s", other.name, at)
			}
		}
		readme, err := os.ReadFile("../../README.md")
		if err != nil {
			t.Fatal(err)
		}
		if link := "](deploy/" + g.name + ")"; !strings.Contains(string(readme), link) {
			t.Errorf("README.md has no %s", link)
		}
	})
}

// What the alerts and the findings lead to is there.
func TestTheRunbookHasWhatAlertsAndFindingsNeed(t *testing.T) {
	have := anchors(openGuidebook(t, "runbook.md").prose)
	named := map[string]string{}
	collect := func(pattern, files string) {
		paths, _ := filepath.Glob(files) // the pattern is well-formed
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				named[found[1]] = path
			}
		}
	}
	collect(`runbook_url: "?deploy/runbook\.md#([^"\s]+)`, "../../deploy/prometheus/*.yml")
	alerts := len(named)
	collect(`"#([a-z_-]+)"`, "../../admin/doctor/*.go")
	collect(`runbook\.md#([a-z_-]+)`, "../../admin/doctor/*.go")
	if alerts < 5 || len(named) <= alerts {
		t.Errorf("alerts name %d headings, with findings they are %d: the test looks at nothing", alerts, len(named))
	}
	for name, path := range named {
		if !slices.Contains(have, name) {
			t.Errorf("%s leads to #%s, which the runbook does not have", path, name)
		}
	}
}

func TestAlertsOnThePagesAreThere(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	onPages(t, func(t *testing.T, g *guidebook) {
		for _, span := range g.spans() {
			if strings.HasPrefix(span, "OAuth2Server") && !strings.Contains(string(rules), "- alert: "+span+"\n") {
				t.Errorf("there is no alert %s", span)
			}
		}
	})
}

// The sizes are figures that were measured, and can be again.
func TestSizesAreThoseOfTheBench(t *testing.T) {
	results, err := os.ReadFile("../../bench/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sizes, _ := strings.Cut(openGuidebook(t, "production.md").text, "\n## Sizes\n")
	figures := regexp.MustCompile(`\| (\d+),(\d)00 \|`).FindAllStringSubmatch(sizes, -1)
	if len(figures) < 5 {
		t.Errorf("got %v: the test looks at nothing", figures)
	}
	for _, figure := range figures {
		if want := "| " + figure[1] + "." + figure[2] + " k/s |"; !strings.Contains(string(results), want) {
			t.Errorf("bench/README.md has no %q", want)
		}
	}
}

// Every scenario is headed by a sentence for an agent, has commands, and ends with how to know.
func TestEveryScenarioOfTheRunbookIsWhole(t *testing.T) {
	g := openGuidebook(t, "runbook.md")
	sections := strings.Split(g.text, "\n## ")[1:]
	if len(sections) < 17 {
		t.Errorf("got %d scenarios, want 17 at least", len(sections))
	}
	for _, section := range sections {
		title, text, _ := strings.Cut(section, "\n")
		for what, part := range map[string]string{
			"prompt": "\n> \"", "symptom": "\n**Symptom.**", "commands": "\n```sh\n", "query": "\n```promql\n", "causes": "**Likely causes, in order",
			"fix": "**The fix", "proof": " when** ",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s", title, what)
			}
		}
	}
}

// The commands that the pages name are those that there are, with their flags. Prose leaves out the program, and values of flags.
func TestCommandsOnThePagesAreThere(t *testing.T) {
	for _, page := range []string{"runbook.md", "production.md", "limits.md", "connect.md", "../README.md", "../bench/README.md"} {
		g, seen := openGuidebook(t, page), 0
		for _, line := range g.shell() {
			if words, isOurs := ourWords(line.lines[0]); isOurs {
				seen++
				if err := takes(words, accepts); err != nil {
					t.Errorf("%s:%d: %q: %v", page, line.line, words, err)
				}
			}
		}
		for _, span := range g.spans() {
			if words, isOurs := ourWords(span); isOurs || isCommand(span) {
				seen++
				if err := takes(words, knows); err != nil {
					t.Errorf("%s: %q: %v", page, span, err)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s names no command: the test looks at nothing", page)
		}
	}
}

// Under systemd the runbook's lines give a shell the variables of the unit, and every secret that it loads.
func TestLinesOfTheRunbookForSystemdWork(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/oauth2-server.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // in the place of /etc/oauth2-server
	rewrite(t, filepath.Join(dir, "oauth2-server.env"), "OAUTH2_BRAND_NAME='Two words'\n")
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, span := range openGuidebook(t, "runbook.md").spans() {
		if strings.Contains(span, "/etc/oauth2-server") || strings.HasPrefix(span, "export ") {
			lines = append(lines, strings.ReplaceAll(span, "/etc/oauth2-server", dir))
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^Environment=(OAUTH2_\w+)_FILE=%d/(\S+)$`).FindAllStringSubmatch(string(unit), -1) {
		value := map[string]string{"OAUTH2_DATABASE_URL": "postgres://u:hunter22@db.example.com/oauth2?sslmode=require"}[found[1]]
		rewrite(t, filepath.Join(dir, "secrets", found[2]), cmp.Or(value, testSecret)+"\n")
		lines = append(lines, `[[ -r $`+found[1]+`_FILE ]] || exit 3`)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.Join(append(lines, `"$0" config check`), "\n"), self)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	output, err := cmd.CombinedOutput()
	if err != nil || len(lines) < 5 {
		t.Errorf("%q: %v\n%s", lines, err, output)
	}
	want(t, string(output), "Two words", dir+"/secrets/jwt-secret")
}

// What is promised has numbers in the code, which readers of pages and alerts do not know.
func TestPagesNameNoPromiseByNumber(t *testing.T) {
	paths := []string{"../../README.md", "../../bench/README.md"}
	for _, pattern := range []string{"*.md", "prometheus/*.yml", "grafana/dashboards/*.json"} {
		found, _ := filepath.Glob("../../deploy/" + pattern) // the pattern is well-formed
		paths = append(paths, found...)
	}
	if len(paths) < 10 {
		t.Errorf("got %q: the test looks at nothing", paths)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`.*\bP[1-9]\b.*`).Find(text); found != nil {
			t.Errorf("%s: %s", path, found)
		}
	}
}

// notOurs begins what a shell does with a command.
var notOurs = regexp.MustCompile(`(\s(#|<|>|\||\\)|;).*`)

var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"`)

// ourWords are what follows the program in a line, if it is ours.
func ourWords(line string) (words []string, isOurs bool) {
	line = notOurs.ReplaceAllString(quoted.ReplaceAllString(line, "quoted"), "")
	for _, prefix := range []string{
		"docker compose exec oauth2-server /", "kubectl exec -n oauth2-server deployment/oauth2-server -- /", "bin/",
	} {
		line = strings.TrimPrefix(line, prefix)
	}
	text, isOurs := strings.CutPrefix(line, "oauth2-server ")
	if !isOurs {
		text = line
	}
	return strings.Fields(text), isOurs && !strings.HasPrefix(text, "…")
}

// isCommand reports whether a piece of code in prose is a command of ours, without the program. One word alone may be anything.
func isCommand(span string) bool {
	words := strings.Fields(span)
	if len(words) < 2 {
		return false
	}
	command, _, err := newRootCommand(nil).Find(words)
	return err == nil && command.HasParent()
}

func takes(words []string, check func(command *cobra.Command, words []string) error) error {
	command, rest, err := newRootCommand(nil).Find(words)
	if err != nil {
		return err
	}
	return check(command, rest)
}

// knows reports whether the command has the flags.
func knows(command *cobra.Command, words []string) error {
	for _, word := range words {
		if name, isFlag := strings.CutPrefix(word, "--"); isFlag {
			if name, _, _ = strings.Cut(name, "="); command.Flag(name) == nil && name != "help" {
				return fmt.Errorf("%s has no flag --%s", command.Name(), name)
			}
		}
	}
	return nil
}

func accepts(command *cobra.Command, words []string) error {
	if err := command.ParseFlags(words); err != nil {
		return err
	}
	return command.ValidateArgs(command.Flags().Args())
}
