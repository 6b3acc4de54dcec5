//go:build linux

package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"oauth2-server/bench/result"
	"oauth2-server/bench/scenario"
)

// Retries are for what a busy machine may have spoiled, and only so many; the last time is kept.
func TestBenchRetriesOnlyWhatMayBeNoise(t *testing.T) {
	ratio := &result.Run{SLO: "ratio_to_health>=0.2", Missed: []string{"ratio"}, Counts: true, Facts: map[string]float64{"ratio_to_health": 0.1}}
	void := &result.Run{SLO: "wrong_answers<=0", Facts: map[string]float64{"wrong_answers": 0}}
	wrong := &result.Run{SLO: "wrong_answers<=0", Missed: []string{"wrong"}, Counts: true, Facts: map[string]float64{"wrong_answers": 1}}
	passed := &result.Run{SLO: "wrong_answers<=0", Counts: true, Facts: map[string]float64{"wrong_answers": 0}}
	for _, c := range []struct {
		name  string
		runs  []*result.Run
		plays int
		ok    bool
	}{
		{"passes", []*result.Run{passed}, 1, true},
		{"noise, then passes", []*result.Run{ratio, void, passed}, 3, true},
		{"noise for ever", []*result.Run{ratio, ratio, ratio, passed}, 3, false},
		{"a wrong answer", []*result.Run{wrong, passed}, 1, false},
		{"noise, then a wrong answer", []*result.Run{ratio, wrong, passed}, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := &benchPlan{out: filepath.Join(t.TempDir(), "out.json")}
			command := newBenchRunCommand()
			s := newSession(command, plan)
			s.retries, s.place.to = 2, nil
			plays := 0
			err := s.run(t.Context(), scenario.All()[:1], 1, func(context.Context, *scenario.Scenario, *progress) (*result.Run, error) {
				plays++
				return c.runs[plays-1], nil
			})
			if plays != c.plays || (err == nil) != c.ok || err != nil && !errors.Is(err, errMissed) {
				t.Errorf("got %d plays and %v, want %d and success %v", plays, err, c.plays, c.ok)
			}
			if len(s.file.Runs) != 1 || !slices.Contains(s.file.Runs, c.runs[plays-1]) {
				t.Errorf("got %d runs kept, want the last alone", len(s.file.Runs))
			}
		})
	}
}
