package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"oauth2-server/bench/quantity"
	"oauth2-server/bench/result"
)

// place is a sentence on where, when and what was measured.
func place(r *result.Run) string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, cell(value)))
		}
	}
	if !r.Started.IsZero() {
		add("Measured on %s", r.Started.UTC().Format("2 January 2006"))
	}
	if r.Machine.Cores > 0 {
		add("%s cores", fmt.Sprint(r.Machine.Cores))
	}
	add("%s", r.Machine.CPU)
	if r.Machine.Memory > 0 {
		add("%s of memory", quantity.Bytes(float64(r.Machine.Memory)))
	}
	add("Linux %s", r.Machine.Kernel)
	add("%s", r.Machine.Go)
	if r.Server.Replicas > 0 {
		add("replicas: %s, on the same machine as everything else", fmt.Sprint(r.Server.Replicas))
	}
	add("server at %s", r.Server.URL)
	add("version %s", r.Server.Version)
	add("revision %s", r.Server.Commit())
	add("Postgres %s", stores(r.Server))
	add("Redis %s", r.Server.Redis)
	if len(parts) == 0 {
		return "Where and when this was measured is not known."
	}
	return strings.Join(parts, "; ") + "."
}

// stores is Postgres' version and settings.
func stores(s result.Server) string {
	if s.Postgres == "" || len(s.Settings) == 0 {
		return s.Postgres
	}
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		settings = append(settings, name+" = "+s.Settings[name])
	}
	return s.Postgres + " (" + strings.Join(settings, ", ") + ")"
}

// reproduce is the commands that measure the same again, a line for each set of flags.
func reproduce(runs []*result.Run) string {
	lines := []string{"make build"}
	if commit := runs[0].Server.Commit(); commit != "" {
		lines = []string{"git checkout " + commit, "make build"}
	}
	names := map[string][]string{}
	var flags []string
	for _, r := range runs {
		options := r.Options()
		if !slices.Contains(flags, options) {
			flags = append(flags, options)
		}
		if name := result.Quote(r.Scenario); !slices.Contains(names[options], name) {
			names[options] = append(names[options], name)
		}
	}
	for _, options := range flags {
		line := "bin/oauth2-server bench run " + strings.Join(names[options], " ") + " " + options
		lines = append(lines, strings.Join(strings.Fields(strings.ReplaceAll(line, "`", "")), " ")) // it must not end its block
	}
	return strings.Join(lines, "\n")
}
