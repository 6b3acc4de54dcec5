//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"oauth2-server/bench/report"
	"oauth2-server/bench/result"
	benchtable "oauth2-server/bench/table"
)

func newBenchReportCommand() *cobra.Command {
	out, asTable := "", false
	command := &cobra.Command{
		Use:   "report RESULT.json...",
		Short: "Make one self-contained HTML page of results, side by side",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the results to report, like " + standardOut)
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			files, err := readResults(args)
			if err != nil {
				return err
			}
			if asTable {
				return benchtable.Write(command.OutOrStdout(), files)
			}
			if err := writeReport(out, files, report.Write); err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "The report is in %s.\n", out)
			return err
		},
	}
	command.Flags().StringVar(&out, "out", "bench-report.html", "file to write the page to")
	command.Flags().BoolVar(&asTable, "markdown", false, "print a table in Markdown instead, with the machine and how to reproduce it")
	return command
}

func readResults(paths []string) ([]*result.File, error) {
	var files []*result.File
	for _, path := range paths {
		f, err := result.Read(path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// writeReport makes the page before it touches the file: an error leaves an earlier page as it was.
func writeReport(path string, files []*result.File, write func(io.Writer, []*result.File) error) error {
	var page bytes.Buffer
	if err := write(&page, files); err != nil {
		return fmt.Errorf("make the report: %w", err)
	}
	if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
