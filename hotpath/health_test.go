package hotpath

import (
	"testing"

	"oauth2-server/store"
)

// /ready has a sentence for each step that a fault may name, and knows no others.
func TestReadyKnowsEveryStep(t *testing.T) {
	for _, step := range store.Steps {
		if details[step] == "" || partOf(&store.Fault{Part: step}) != step {
			t.Errorf("%s: no detail", step)
		}
	}
	if len(details) != len(store.Steps) {
		t.Errorf("got %d details for %d steps", len(details), len(store.Steps))
	}
}
