package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func newDatabaseCommand(environ []string) *cobra.Command {
	return newGroup("database", "Check a database, back it up, or take one into use that was restored",
		&cobra.Command{
			Use:   "check",
			Short: "Say whether the database is whole",
			Long: "Say whether the database is whole: every step of the schema, a key ring that opens with OAUTH2_JWT_SECRET, a feed, the\n" +
				"partitions of the days to come. It counts the rows of every table, which takes a minute where there are hundreds of millions.\n" +
				"It changes nothing. The exit status is 0 when the database is whole, and 1 when it is not.",
			Args: cobra.NoArgs,
			RunE: withStore(environ, checkDatabase),
		},
		newDatabaseRestored(environ), newDatabaseBackup(environ))
}

// A databaseReport is what check found.
type databaseReport struct {
	Whole      bool             `json:"whole"`
	Faults     []string         `json:"faults"` // what is missing, and what to do
	Schema     int              `json:"schema"` // highest step that is applied
	Keys       int              `json:"keys"`   // not retired
	Opens      int              `json:"opens"`  // of Keys, those that the secret opens
	Clients    int64            `json:"clients"`
	Users      int64            `json:"users"`
	Tokens     int64            `json:"tokens"` // over all partitions
	Newest     *time.Time       `json:"newest_token,omitempty"`
	Position   store.Position   `json:"position"`             // of the newest change in the feed
	Partitions []string         `json:"partitions,omitempty"` // those that are attached
	Detached   []string         `json:"detached,omitempty"`   // tables like partitions that are not
	Rows       map[string]int64 `json:"rows"`
}

func (r *databaseReport) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

func checkDatabase(ctx context.Context, j *job, _ []string) error {
	if err := j.needSecrets(); err != nil {
		return err
	}
	r := &databaseReport{Faults: []string{}}
	seen, err := j.db.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	r.checkSchema(&seen)
	if seen.Schema.Applied == 0 {
		return j.tellReport(r) // there is no table to look at
	}
	r.checkPartitions(&seen)
	for _, check := range []func(context.Context, *job) error{r.count, r.checkKeys, r.findNewest} {
		if err := check(ctx, j); err != nil {
			return err
		}
	}
	return j.tellReport(r)
}

func (j *job) tellReport(r *databaseReport) error {
	r.Whole = len(r.Faults) == 0
	if err := j.show(r, r.String); err != nil {
		return err
	}
	if !r.Whole {
		return errFindings
	}
	return nil
}

func (r *databaseReport) checkSchema(seen *store.Inspection) {
	r.Schema = seen.Schema.Applied
	if why := seen.Unseen["schema"]; why != "" {
		r.fault("the steps of the schema cannot be seen: %s", why)
	}
	if seen.Schema.Refusal != "" {
		r.fault("the steps of the schema cannot be continued: %s", seen.Schema.Refusal)
	}
	if pending := seen.Schema.Pending; len(pending) > 0 {
		r.fault(`steps of the schema are missing: %s: run "oauth2-server migrate"`, strings.Join(pending, ", "))
	}
	if file := seen.File; file != nil && file.Check != "" && file.Check != "ok" {
		r.fault("the file is damaged: %s: take an older backup", file.Check)
	}
}

// checkPartitions wants those of today and tomorrow: without them no token can be issued.
func (r *databaseReport) checkPartitions(seen *store.Inspection) {
	if seen.Kind != "postgres" {
		return
	}
	if why := seen.Unseen["partitions"]; why != "" {
		r.fault("the partitions of tokens cannot be seen: %s", why)
		return
	}
	attached := map[time.Time]bool{}
	for _, p := range seen.Partitions {
		if p.Attached {
			r.Partitions = append(r.Partitions, p.Name)
			attached[p.Start] = true
		} else {
			r.Detached = append(r.Detached, p.Name)
		}
	}
	today := seen.Now.UTC().Truncate(24 * time.Hour)
	for _, day := range []time.Time{today, today.Add(24 * time.Hour)} {
		if !attached[day] {
			r.fault(`tokens has no partition for %s: run "oauth2-server migrate"`, day.Format(time.DateOnly))
		}
	}
}

func (r *databaseReport) count(ctx context.Context, j *job) error {
	census, err := j.db.Census(ctx)
	if err != nil {
		return fmt.Errorf("count the rows: %w", err)
	}
	r.Rows, r.Position = census.Rows, census.Position
	r.Clients, r.Users, r.Tokens = census.Rows["clients"], census.Rows["users"], census.Rows["tokens"]
	for _, partition := range slices.Concat(r.Partitions, r.Detached) {
		r.Tokens += census.Rows[partition]
	}
	if r.Position == 0 {
		r.fault("the feed is empty: its newest change must never be deleted: restore another backup")
	}
	return nil
}

// checkKeys opens every key that may still be needed.
func (r *databaseReport) checkKeys(ctx context.Context, j *job) error {
	stored, err := j.db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	ring := keys.NewRing(j.config.secrets, keys.Alg(j.config.JWTAlg))
	err = ring.Replace(stored)
	for _, key := range ring.List() {
		if key.State == store.KeyRetired {
			continue
		}
		r.Keys++
		if key.Open {
			r.Opens++
		}
	}
	switch {
	case r.Keys == 0:
		r.fault(`the key ring is empty: "oauth2-server serve" makes one, and tokens of another are worth nothing`)
	case r.Opens < r.Keys && err != nil:
		r.fault("%d of %d keys do not open: %v", r.Keys-r.Opens, r.Keys, err)
	case r.Opens < r.Keys:
		r.fault("%d of %d keys do not open: give the OAUTH2_JWT_SECRET of the time of the backup", r.Keys-r.Opens, r.Keys)
	}
	return nil
}

// findNewest finds the time of the newest token, which its id tells.
func (r *databaseReport) findNewest(ctx context.Context, j *job) error {
	err := j.db.NewestTokens(ctx, store.ID{}, 1, func(t store.Token) bool {
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(t.ID[:8]) >> 16)).UTC() // RFC 9562 §5.7
		r.Newest = &at
		return false
	})
	if err != nil {
		return fmt.Errorf("find the newest token: %w", err)
	}
	return nil
}

// String is for people.
func (r *databaseReport) String() string {
	newest := "there is none"
	if r.Newest != nil {
		newest = moment(*r.Newest)
	}
	verdict := "whole"
	if !r.Whole {
		verdict = "NOT WHOLE"
	}
	rows := [][]string{
		{"database", verdict},
		{"schema", "version " + strconv.Itoa(r.Schema)},
		{"keys", fmt.Sprintf("%d, of which %d open", r.Keys, r.Opens)},
		{"newest token", newest},
		{"newest change", strconv.FormatInt(int64(r.Position), 10)},
		{"clients", strconv.FormatInt(r.Clients, 10)},
		{"users", strconv.FormatInt(r.Users, 10)},
		{"tokens", strconv.FormatInt(r.Tokens, 10)},
	}
	text := table(rows) + "\n"
	for _, name := range slices.Sorted(maps.Keys(r.Rows)) {
		text += fmt.Sprintf("%12d  %s\n", r.Rows[name], name)
	}
	for _, fault := range r.Faults {
		text += "\n" + fault
	}
	return text
}
