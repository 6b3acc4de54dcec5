// Command ratios measures what this machine makes of the server: throughput by
// wrk with 64 connections, each scenario as a ratio to the server's own
// /health in the same round. It starts a private Postgres and Redis, two
// replicas of the binary and an empty fasthttp handler, and ends them all.
//
//	make build && go run ./bench/ratios            (needs wrk)
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	binary := flag.String("binary", "bin/oauth2-server", "the server")
	rounds := flag.Int("rounds", 3, "rounds; the median ratio is reported")
	seconds := flag.Int("seconds", 5, "seconds of each measurement")
	only := flag.String("only", "", "run only the scenarios whose name begins with this, and /health")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *binary, *rounds, *seconds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

// measure plays every scenario once a round, so that a slow minute of the machine hits all of them.
func measure(ctx context.Context, binary string, rounds, seconds int, only string) error {
	bed, err := newBed(ctx, binary)
	if err != nil {
		return err
	}
	defer bed.close()
	scenarios, err := bed.scenarios()
	if err != nil {
		return err
	}
	scenarios = slices.DeleteFunc(scenarios, func(s scenario) bool {
		return s.name != healthName && !strings.HasPrefix(s.name, only)
	})
	rates := map[string][]float64{}
	ratios := map[string][]float64{}
	for range rounds {
		for _, s := range scenarios {
			result, err := s.play(ctx, seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			rates[s.name] = append(rates[s.name], result.rate)
			fmt.Fprintf(os.Stderr, "%-18s %9.0f/s  p99 %s  errors %d\n", s.name, result.rate, result.p99, result.errors)
		}
		for _, s := range scenarios {
			last := len(rates[s.name]) - 1
			ratios[s.name] = append(ratios[s.name], rates[s.name][last]/rates[healthName][last])
		}
	}
	fmt.Println("| scenario | requests/s (median) | ratio to /health (median) |\n|---|---|---|")
	for _, s := range scenarios {
		fmt.Printf("| %s | %.0f | %.2f |\n", s.name, median(rates[s.name]), median(ratios[s.name]))
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
