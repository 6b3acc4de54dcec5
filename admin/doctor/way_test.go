package doctor

import (
	"os"
	"strings"
	"testing"

	"oauth2-server/store"
)

// Every step of the way to the database has a cause of its own, and stands in the runbook.
func TestEveryStepHasACause(t *testing.T) {
	page, err := os.ReadFile("../../deploy/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	causes := map[string]string{}
	for _, step := range store.Steps {
		found := databaseUnreachable(&Facts{DatabaseFault: &Fault{Step: step}})[0]
		if same, told := causes[found.Cause]; told || found.Cause == "" || found.Fix == "" {
			t.Errorf("%s: got %+v, as of %q", step, found, same)
		}
		causes[found.Cause] = step
		if !strings.Contains(string(page), "`"+step+"`") {
			t.Errorf("%s: it is not in the runbook", step)
		}
	}
}
