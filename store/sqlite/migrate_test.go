package sqlite

import (
	"strings"
	"sync"
	"testing"

	"oauth2-server/store/migrations"
)

func TestMigratingTwiceDoesNothing(t *testing.T) {
	db := open(t, Options{Path: Memory, Version: "v1.2.3"})
	again, err := db.Migrate(t.Context())
	must(t, err)
	if len(again) != 0 {
		t.Errorf("applied %d steps once more", len(again))
	}
	known, err := migrations.Load(migrations.SQLite)
	must(t, err)
	all, err := db.MigrationStatus(t.Context())
	must(t, err)
	if len(all) != len(known) {
		t.Fatalf("got %d steps, want %d", len(all), len(known))
	}
	for _, step := range all {
		if step.State != migrations.StateApplied || step.InstalledOn.IsZero() {
			t.Errorf("step %+v is not applied", step)
		}
	}
	var kind, by string
	must(t, db.reader.QueryRow("select type, installed_by from flyway_schema_history").Scan(&kind, &by))
	if kind != "SQL" || by != "oauth2-server v1.2.3" {
		t.Errorf("type %q, installed by %q", kind, by)
	}
}

func TestStepsArePendingBeforeMigrating(t *testing.T) {
	db, err := Open(Options{Path: Memory})
	must(t, err)
	t.Cleanup(db.Close)
	all, err := db.MigrationStatus(t.Context())
	must(t, err)
	if len(all) == 0 || all[0].State != migrations.StatePending {
		t.Errorf("got %+v, want pending steps", all)
	}
}

func TestOneOfManyMigrates(t *testing.T) {
	path := newFile(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 6 {
		group.Go(func() {
			db, err := Open(Options{Path: path, Create: true})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer db.Close()
			steps, err := db.Migrate(t.Context())
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied += len(steps)
		})
	}
	group.Wait()
	known, err := migrations.Load(migrations.SQLite)
	must(t, err)
	if applied != len(known) {
		t.Errorf("%d steps were applied, want %d", applied, len(known))
	}
}

func TestChangedStepIsRefused(t *testing.T) {
	db := open(t, Options{Path: Memory})
	_, err := db.writer.Exec("update flyway_schema_history set checksum = checksum + 1")
	must(t, err)
	_, err = db.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "was changed after it was applied") {
		t.Errorf("got error %v", err)
	}
}
