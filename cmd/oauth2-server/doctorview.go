package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"oauth2-server/admin/doctor"
)

// A diagnosis is a report for people.
type diagnosis struct {
	facts  *doctor.Facts
	report *doctor.Report
	color  bool
}

// mayColor heeds NO_COLOR (no-color.org): set to anything but nothing, it wants none.
func mayColor(environ []string) bool {
	return !slices.ContainsFunc(environ, func(line string) bool {
		value, is := strings.CutPrefix(line, "NO_COLOR=")
		return is && value != ""
	})
}

// String is the findings by scenario, that of the worst first, then what was looked at and the sum.
func (d *diagnosis) String() string {
	var b strings.Builder
	var told []string
	for _, first := range d.report.Findings {
		if slices.Contains(told, first.Scenario) {
			continue
		}
		told = append(told, first.Scenario)
		fmt.Fprintf(&b, "%s\n", strings.ToUpper(first.Scenario))
		for _, f := range d.report.Findings {
			if f.Scenario == first.Scenario {
				d.write(&b, &f)
			}
		}
	}
	fmt.Fprintf(&b, "Looked at: %s.\n%s", strings.Join(d.seen(), ", "), d.sum())
	return b.String()
}

func (d *diagnosis) write(b *strings.Builder, f *doctor.Finding) {
	fmt.Fprintf(b, "  %s  %s: %s\n", d.paint(f.Severity), f.ID, printable(f.Evidence))
	for _, line := range [][2]string{{"cause", f.Cause}, {"fix", f.Fix}, {"see", f.Runbook}} {
		fmt.Fprintf(b, "            %-5s  %s\n", line[0], printable(line[1]))
	}
	b.WriteByte('\n')
}

// printable is text of strangers for a terminal, which obeys some of what cannot be seen.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

var colors = map[doctor.Severity]string{doctor.Critical: "\x1b[1;31m", doctor.Warning: "\x1b[33m", doctor.Info: "\x1b[36m"}

// paint is the word, as wide as the longest.
func (d *diagnosis) paint(s doctor.Severity) string {
	word := fmt.Sprintf("%-8s", s)
	if !d.color {
		return word
	}
	return colors[s] + word + "\x1b[0m"
}

// seen is what was looked at, in a few words each.
func (d *diagnosis) seen() []string {
	f := d.facts
	var all []string
	add := func(there bool, format string, args ...any) {
		if there {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	if f.Database != nil {
		add(true, "%s %s", f.Database.Kind, f.Database.Version)
	}
	add(len(f.DatabaseWay) > 0, "the way to the database")
	add(f.Redis != nil, "Redis")
	add(f.Unseen["replicas"] == "", "replicas that run: %d", f.Running())
	add(f.Unseen["keys"] == "", "keys: %d", len(f.Keys))
	add(f.Unseen["limits"] == "", "limits: %d", len(f.Limits))
	if f.Public != nil {
		add(true, "%s", f.Public.URL)
	}
	return all
}

// sum ends the text: silence could mean anything.
func (d *diagnosis) sum() string {
	count := map[doctor.Severity]int{}
	for _, f := range d.report.Findings {
		count[f.Severity]++
	}
	switch {
	case d.report.Bad():
		return fmt.Sprintf("Found: %d critical, %d warning, %d info.", count[doctor.Critical], count[doctor.Warning], count[doctor.Info])
	case count[doctor.Info] > 0:
		return "Nothing is wrong; the above is worth knowing."
	}
	return "Nothing is wrong."
}
