package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// output is where a command prints, for people or as JSON.
type output struct {
	w     io.Writer
	notes io.Writer // for what is no answer: beside JSON as well
	json  bool
}

func newOutput(command *cobra.Command) output {
	asJSON, err := command.Flags().GetBool("json")
	return output{w: command.OutOrStdout(), notes: command.ErrOrStderr(), json: err == nil && asJSON}
}

// show prints value as JSON, or the text for people.
func (o output) show(value any, text func() string) error {
	if !o.json {
		_, err := fmt.Fprintln(o.w, strings.TrimRight(text(), "\n"))
		return err
	}
	encoder := json.NewEncoder(o.w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// table aligns rows of cells, without a frame.
func table(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush() // to memory: it cannot fail
	return b.String()
}

// list is a table with a head, or a sentence when there is nothing in it.
func list(none string, head []string, rows [][]string) string {
	if len(rows) == 0 {
		return none
	}
	return table(append([][]string{head}, rows...))
}

// moment is a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
