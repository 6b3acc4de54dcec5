package postgres

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

// Parts of a [store.Fault].
const (
	partDNS            = "dns"
	partConnect        = "connect"
	partAuthentication = "authentication"
	partSchema         = "schema"
	partPrimary        = "primary"
	partQuery          = "query"
)

// migrateHint ends the text of faults that a migration mends.
const migrateHint = `run "oauth2-server migrate"`

// A callerError is an error of a caller's own function: it passes through
// unchanged.
type callerError struct{ error }

// classify puts an error of the database into the store's words. It is the
// only place that reads SQLSTATEs. What is no fault and none of the four
// errors stays as it is: the database refused what it was given.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[callerError](err); ok {
		return own.error
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrSpent) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrNotFound
	}
	if _, ok := errors.AsType[migrations.Refusal](err); ok {
		return &store.Fault{Part: partSchema, Err: err}
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused(refusal, err, connecting)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return &store.Fault{Part: partDNS, Err: err}
	}
	if connecting {
		return &store.Fault{Part: partConnect, Err: err}
	}
	// The network, a deadline, a pool without a free place, a closed store.
	return &store.Fault{Part: partQuery, Err: err}
}

// refused is what an answer of the server means. Its text names constraints
// and columns, never values: PgError keeps those in Detail, which is not shown.
func refused(refusal *pgconn.PgError, err error, connecting bool) error {
	switch refusal.Code {
	case "23505": // unique_violation
		return fmt.Errorf("%w: %s", store.ErrConflict, refusal.ConstraintName)
	case "25006": // read_only_sql_transaction
		return &store.Fault{Part: partPrimary, Err: err}
	case "42501": // insufficient_privilege
		return &store.Fault{Part: partQuery, Err: fmt.Errorf("%w: grant it to the user of OAUTH2_DATABASE_URL", err)}
	case "3D000": // no such database
		return &store.Fault{Part: partSchema, Err: fmt.Errorf("%w: create the database first", err)}
	case "3F000", "42P01", "42703", "42883": // no such schema, table, column, function
		return &store.Fault{Part: partSchema, Err: fmt.Errorf("%w: %s", err, migrateHint)}
	}
	if refusal.Code == "23514" && refusal.TableName == "tokens" && refusal.ConstraintName == "" {
		// check_violation without a constraint: no partition takes the row.
		return &store.Fault{Part: partSchema, Err: fmt.Errorf("tokens has no partition for an expiry: %w: %s", err, migrateHint)}
	}
	switch refusal.Code[:min(2, len(refusal.Code))] {
	case "28": // invalid authorization
		return &store.Fault{Part: partAuthentication, Err: err}
	case "22", "23", "42": // data, constraint, statement: the same again would fail again
		return err
	}
	if connecting { // 53300 too many connections, 57P03 starting up, …
		return &store.Fault{Part: partConnect, Err: err}
	}
	return &store.Fault{Part: partQuery, Err: err}
}

// lost reports whether the outcome of a statement is unknown: the connection
// broke before the answer came.
func lost(err error) bool {
	if err == nil {
		return false
	}
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || strings.HasPrefix(refusal.Code, "57P") // an administrator or a crash ended the connection
}

// busy reports whether a lock was not to be had in time.
func busy(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusal.Code == "55P03" // lock_not_available
}
