// Package table writes results as the Markdown table of a README: where and
// when they were measured, how to measure them again, and the floor beside
// every figure.
package table

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// Write writes a table for each file. A scenario has a row; of its repeats the middle one is shown.
func Write(w io.Writer, files []*result.File) error {
	var text bytes.Buffer
	for i, f := range files {
		if i > 0 {
			text.WriteString("\n")
		}
		writeFile(&text, f)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func writeFile(w *bytes.Buffer, f *result.File) {
	if len(f.Runs) == 0 {
		w.WriteString("Nothing was measured.\n")
		return
	}
	fmt.Fprintf(w, "%s\n\n", place(f.Runs[0]))
	w.WriteString(head)
	for _, repeats := range scenarios(f.Runs) {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row(repeats), " | "))
	}
	fmt.Fprintf(w, "\nLatency counts from the moment a request was due. The floor is what HTTP alone gives on the same machine, in a closed loop: the server's own `/health`, and an empty fasthttp handler.\n")
	fmt.Fprintf(w, "\n```sh\n%s\n```\n", reproduce(f.Runs))
}

const head = "| scenario | load | good answers | p50 | p99 | p99.9 | max | errors | floor: `/health` | floor: empty handler | SLO | verdict |\n" +
	"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|---|\n"

// scenarios are the runs by scenario, in the order of the file.
func scenarios(runs []*result.Run) [][]*result.Run {
	var all [][]*result.Run
	for _, r := range runs {
		same := func(repeats []*result.Run) bool { return repeats[0].Scenario == r.Scenario }
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i] = append(all[i], r)
		} else {
			all = append(all, []*result.Run{r})
		}
	}
	return all
}

// row is the cells of a scenario.
func row(repeats []*result.Run) []string {
	r := result.Middle(repeats)
	cells := []string{cell(r.Scenario)}
	cells = append(cells, figures(r.Main())...)
	cells = append(cells, floor(r.Floor)...)
	return append(cells, code(r.SLO), verdict(repeats))
}

// figures are of the phase that the run is judged by.
func figures(p *result.Phase) []string {
	if p == nil || p.Outcome == nil {
		return slices.Repeat([]string{quantity.None}, 7)
	}
	o := p.Outcome
	pace, errors := "closed loop", quantity.None
	if o.Intended > 0 {
		pace = quantity.Rate(o.Intended)
	}
	if o.Total.Requests > 0 {
		errors = quantity.Percent(float64(o.Total.Failed()) / float64(o.Total.Requests))
	}
	cells := []string{pace, quantity.Rate(o.Throughput)}
	for _, q := range []float64{0.5, 0.99, 0.999, 1} {
		text := quantity.None
		if o.Total.Latency.Count() > 0 {
			text = quantity.Duration(o.Total.Latency.Quantile(q))
		}
		cells = append(cells, text)
	}
	return append(cells, errors)
}

// floor is throughput and p99 of either.
func floor(f *result.Floor) []string {
	if f == nil {
		return []string{quantity.None, quantity.None}
	}
	health := quantity.None
	if f.Health > 0 {
		health = quantity.Rate(f.Health) + ", p99 " + quantity.Duration(f.HealthP99)
	}
	return []string{health, quantity.Rate(f.Empty) + ", p99 " + quantity.Duration(f.EmptyP99)}
}

// verdict is a word on all repeats: one that missed is not hidden by the middle.
func verdict(repeats []*result.Run) string {
	missed, counting := 0, 0
	for _, r := range repeats {
		if r.Counts {
			counting++
		}
		if r.Counts && len(r.Missed) > 0 {
			missed++
		}
	}
	word, told := "passed", counting
	switch {
	case counting == 0:
		return "does not count"
	case missed > 0:
		word, told = "missed", missed
	}
	if len(repeats) > 1 {
		word += fmt.Sprintf(" in %d of %d runs", told, len(repeats))
	}
	return word
}

// cell is text that cannot end its cell, nor become markup.
func cell(text string) string {
	return escapes.Replace(strings.Join(strings.Fields(text), " "))
}

var escapes = strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, `\`, `\\`)

// code is text as code, or nothing.
func code(text string) string {
	if text == "" {
		return quantity.None
	}
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(text) + "`"
}
