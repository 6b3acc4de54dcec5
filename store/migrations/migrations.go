// Package migrations holds the steps of the schema and decides which of them a
// database still needs. The history it keeps is Flyway's, to the checksum, so
// that Flyway can continue its work and it can continue Flyway's.
//
//	Load ─► []Migration ─┐
//	                     ├─ Compare ─► []Status   what is applied, pending, newer
//	History.Applied ─────┘
//	Run = Compare, then History.Apply for each pending one
//
// The databases implement [History]; the SQL lies beside this file, one folder
// a database, the same file names in each.
package migrations

import (
	"cmp"
	"embed"
	"fmt"
	"hash/crc32"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed */*.sql
var files embed.FS

// The databases there are steps for.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

// A Migration is one step of the schema, read from a file V1__some_words.sql.
type Migration struct {
	Version     int    // from 1
	Description string // "some words"
	Script      string // the file's name
	Checksum    int32  // see [Checksum]
	SQL         string
}

var scriptName = regexp.MustCompile(`^V([1-9][0-9]*)__(\w+)\.sql$`)

// Load is the steps for a database, oldest first.
func Load(database string) ([]Migration, error) {
	return load(files, database)
}

func load(files fs.FS, folder string) ([]Migration, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, fmt.Errorf("list migrations for %s: %w", folder, err)
	}
	var steps []Migration
	for _, entry := range entries {
		text, err := fs.ReadFile(files, folder+"/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		step, err := parse(entry.Name(), string(text))
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	slices.SortFunc(steps, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	for i := 1; i < len(steps); i++ {
		if steps[i].Version == steps[i-1].Version {
			return nil, fmt.Errorf("migrations %s and %s have the same version", steps[i-1].Script, steps[i].Script)
		}
	}
	return steps, nil
}

func parse(name, text string) (Migration, error) {
	parts := scriptName.FindStringSubmatch(name)
	if parts == nil {
		return Migration{}, fmt.Errorf("migration %q is not named like V1__some_words.sql", name)
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil {
		return Migration{}, fmt.Errorf("migration %q: %w", name, err)
	}
	return Migration{
		Version:     version,
		Description: strings.ReplaceAll(parts[2], "_", " "),
		Script:      name,
		Checksum:    Checksum(text),
		SQL:         text,
	}, nil
}

var lineBreak = strings.NewReplacer("\r", "", "\n", "")

// Checksum is Flyway's checksum of a script: the CRC-32 (IEEE) of its lines
// without their ends and without a byte order mark, as a signed number. So it
// is the same under any line ending. Flyway: ChecksumCalculator.java, which
// reads lines as Java's BufferedReader does: an end is \n, \r or \r\n.
func Checksum(text string) int32 {
	text = strings.TrimPrefix(text, "\ufeff")
	return int32(crc32.ChecksumIEEE([]byte(lineBreak.Replace(text))))
}
