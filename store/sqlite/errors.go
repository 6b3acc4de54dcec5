package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"oauth2-server/store"
)

// classify puts an error of the database into the store's words. Whatever is
// not about the rows that were given is a fault: a locked, full or read-only
// file, a deadline, a closed database.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	refused, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return &store.Fault{Part: store.StepQuery, Err: err}
	}
	switch refused.Code() & 0xff { // the rest is the extended code
	case codes.SQLITE_CONSTRAINT:
		return fmt.Errorf("%w: %w", store.ErrConflict, err) // every constraint is about a name taken
	case codes.SQLITE_TOOBIG, codes.SQLITE_MISMATCH, codes.SQLITE_RANGE, codes.SQLITE_MISUSE:
		return err
	case codes.SQLITE_CANTOPEN, codes.SQLITE_NOTADB, codes.SQLITE_PERM:
		return &store.Fault{Part: store.StepFile, Err: err}
	}
	if strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column") {
		return &store.Fault{Part: store.StepSchema, Err: err} // SQLite has no code of its own for it
	}
	return &store.Fault{Part: store.StepQuery, Err: err}
}

// connecting is classify for the steps of opening the file.
func (db *DB) connecting(err error) error {
	if err == nil {
		return nil
	}
	return &store.Fault{Part: store.StepFile, Err: fmt.Errorf("open database %s: %w", db.options.Path, err)}
}

// missing is the path where there is no database.
type missing string

func (path missing) Error() string {
	return fmt.Sprintf(`no database at %s: start "oauth2-server serve" or run "oauth2-server migrate" first`, string(path))
}

// Is makes it a store.ErrNotFound.
func (missing) Is(target error) bool { return target == store.ErrNotFound }
