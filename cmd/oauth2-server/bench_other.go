//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// errNoVerdict is what a benchmark here always ends with.
var errNoVerdict = errors.New("bench needs Linux: it starts and watches private Postgres and Redis processes by /proc")

func newBenchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bench", Short: "Play latency scenarios (Linux only)", DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error { return errNoVerdict },
	}
}

// newBenchFloorCommand is a part of bench, which is not here.
func newBenchFloorCommand() *cobra.Command {
	return &cobra.Command{Use: "bench-floor", Hidden: true, RunE: func(*cobra.Command, []string) error { return errNoVerdict }}
}
