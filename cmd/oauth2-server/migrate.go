package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/store/migrations"
)

func newMigrateCommand(environ []string) *cobra.Command {
	command := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema up to date",
		Long:  "Bring the schema up to date. An embedded database is created when there is none.",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := loadStoreConfig(environ)
			if err != nil {
				return configError(err)
			}
			db, err := openDatabase(config, true, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			return migrate(command.Context(), db, newOutput(command))
		},
	}
	command.AddCommand(&cobra.Command{
		Use:   "status",
		Short: "List the steps of the schema",
		Args:  cobra.NoArgs,
		RunE:  withStore(environ, migrationStatus),
	})
	return command
}

// A step is one step of the schema, as it is shown.
type step struct {
	Version     int       `json:"version"`
	Description string    `json:"description"`
	State       string    `json:"state"`
	InstalledOn time.Time `json:"installed_on,omitzero"`
}

// migrate applies what is pending. Where a step fails, those before it stay.
func migrate(ctx context.Context, db database, out output) error {
	applied, err := db.Migrate(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	steps := []step{}
	for _, m := range applied {
		steps = append(steps, step{Version: m.Version, Description: m.Description, State: migrations.StateApplied})
	}
	return out.show(map[string]any{"applied": steps}, func() string {
		if len(steps) == 0 {
			return "The schema is up to date: nothing to apply."
		}
		var b strings.Builder
		for _, s := range steps {
			fmt.Fprintf(&b, "applied %d: %s\n", s.Version, s.Description)
		}
		return b.String()
	})
}

func migrationStatus(ctx context.Context, j *job, _ []string) error {
	all, err := j.db.MigrationStatus(ctx)
	if err != nil {
		return fmt.Errorf("read the state of the schema: %w", err)
	}
	steps, rows := []step{}, [][]string{}
	for _, s := range all {
		steps = append(steps, step{s.Version, description(s.Script), s.State, s.InstalledOn})
		when := ""
		if !s.InstalledOn.IsZero() {
			when = moment(s.InstalledOn)
		}
		rows = append(rows, []string{strconv.Itoa(s.Version), description(s.Script), s.State, when})
	}
	return j.show(steps, func() string {
		return list("There are no steps.", []string{"VERSION", "DESCRIPTION", "STATE", "WHEN"}, rows)
	})
}

// description is the words of a script's name, V1__some_words.sql.
func description(script string) string {
	_, words, _ := strings.Cut(strings.TrimSuffix(script, ".sql"), "__")
	return strings.ReplaceAll(words, "_", " ")
}
