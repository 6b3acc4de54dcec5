package report

import (
	"slices"

	"oauth2-server/bench/result"
)

// A side is what one file says of a scenario.
type side struct {
	Index   int           // of the file's colour
	Letter  string        // of the file; empty when there is only one
	Run     *result.Run   // the middle one
	Repeats []*result.Run // Run among them
}

func newSide(index int, letter string, repeats []*result.Run) *side {
	return &side{Index: index, Letter: letter, Run: result.Middle(repeats), Repeats: repeats}
}

// phases are those of the side's run that measured anything.
func (s *side) phases() []result.Phase {
	return slices.DeleteFunc(slices.Clone(s.Run.Phases), func(p result.Phase) bool { return p.Outcome == nil })
}

// length of a phase in seconds, by whichever of its clocks ran longest.
func length(p result.Phase) float64 {
	longest := p.Outcome.Elapsed
	if ticks := p.Outcome.Ticks; len(ticks) > 0 {
		longest = max(longest, ticks[len(ticks)-1].At)
	}
	return longest.Seconds()
}
