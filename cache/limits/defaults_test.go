package limits_test

import (
	"testing"

	"oauth2-server/cache/limits"
	"oauth2-server/store/sqlite"
)

// The limits of a first start stand in a migration, which cannot see what is right here.
func TestLimitsOfAFirstStartAreValid(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := db.Limits(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("got %d limits, %v", len(all), err)
	}
	for _, limit := range all {
		if err := limit.Validate(limits.Endpoints()); err != nil {
			t.Errorf("limit %s: %v", limit.Name, err)
		}
	}
}
