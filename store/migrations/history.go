package migrations

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Table is the name of the history's table, which people query by hand.
const Table = "flyway_schema_history"

// Applied is a row of the history.
type Applied struct {
	Rank        int     // order of application
	Version     *string // nil: a row of Flyway's own, such as its schema marker
	Script      string
	Checksum    *int32 // nil: Flyway computed none, as for a baseline
	InstalledOn time.Time
	Success     bool
}

// A History is flyway_schema_history of one database. The caller holds its
// lock, on Postgres the one that Flyway takes.
type History interface {
	// Applied is the rows by rank; none when there is no table yet.
	Applied(ctx context.Context) ([]Applied, error)
	// Apply runs the step and writes its row, making the table when there is
	// none, all in one transaction.
	Apply(ctx context.Context, rank int, step Migration) error
}

// Run applies what is pending, oldest first, and returns what it applied. It
// applies nothing when [Compare] refuses the history.
func Run(ctx context.Context, known []Migration, history History) ([]Migration, error) {
	applied, err := history.Applied(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Table, err)
	}
	pending, err := Pending(known, applied)
	if err != nil {
		return nil, err
	}
	rank := 0
	if len(applied) > 0 {
		rank = applied[len(applied)-1].Rank
	}
	for i, step := range pending {
		if err := history.Apply(ctx, rank+i+1, step); err != nil {
			return pending[:i], fmt.Errorf("apply migration %s: %w", step.Script, err)
		}
	}
	return pending, nil
}

// A Refusal says why a history cannot be continued. Nothing was changed.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// States of a [Status].
const (
	StateApplied = "applied"
	StatePending = "pending"
	StateNewer   = "newer" // applied by a newer release; this one can live with it
)

// Status is how one step stands in a database.
type Status struct {
	Version     int       `json:"version"`
	Script      string    `json:"script"`
	State       string    `json:"state"`
	InstalledOn time.Time `json:"installed_on,omitzero"`
}

// Pending is the known steps that are not applied yet. Its error is that of [Compare].
func Pending(known []Migration, applied []Applied) ([]Migration, error) {
	all, err := Compare(known, applied)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(s Status) bool { return s.State == StatePending })
	if i < 0 {
		return nil, nil
	}
	return known[i:], nil
}

// Compare says how each step stands, by version: the known ones and then the
// newer ones. It is a [Refusal] when the history cannot be continued: a step
// failed, was changed after it was applied, is not known, or was left out.
func Compare(known []Migration, applied []Applied) ([]Status, error) {
	rows, newest, err := byVersion(applied)
	if err != nil {
		return nil, err
	}
	var all, newer []Status
	for _, step := range known {
		row, ok := rows[step.Version]
		delete(rows, step.Version)
		switch {
		case !ok && step.Version < newest:
			return nil, refuse("migration %s was left out: %s has version %d already", step.Script, Table, newest)
		case !ok:
			all = append(all, Status{Version: step.Version, Script: step.Script, State: StatePending})
			continue
		case row.Checksum != nil && *row.Checksum != step.Checksum:
			return nil, refuse("migration %s was changed after it was applied: its checksum is %d, %s has %d",
				step.Script, step.Checksum, Table, *row.Checksum)
		}
		all = append(all, Status{Version: step.Version, Script: step.Script, State: StateApplied, InstalledOn: row.InstalledOn})
	}
	for version, row := range rows {
		if len(known) > 0 && version < known[len(known)-1].Version {
			return nil, refuse("migration %s was applied, but this release does not know it", row.Script)
		}
		newer = append(newer, Status{Version: version, Script: row.Script, State: StateNewer, InstalledOn: row.InstalledOn})
	}
	slices.SortFunc(newer, func(a, b Status) int { return cmp.Compare(a.Version, b.Version) })
	return append(all, newer...), nil
}

// byVersion is the numbered rows and the highest number.
func byVersion(applied []Applied) (map[int]Applied, int, error) {
	rows := make(map[int]Applied, len(applied))
	newest := 0
	for _, row := range applied {
		if !row.Success {
			return nil, 0, refuse("migration %s failed: mend the database and delete its row (rank %d) from %s", row.Script, row.Rank, Table)
		}
		if row.Version == nil {
			continue
		}
		version, err := strconv.Atoi(*row.Version)
		if err != nil {
			return nil, 0, refuse("migration %s has version %q, which is no whole number", row.Script, *row.Version)
		}
		rows[version] = row
		newest = max(newest, version)
	}
	return rows, newest, nil
}
