package postgres

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
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
		return &store.Fault{Part: store.StepSchema, Err: err}
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused(refusal, err)
	}
	// The network, a deadline, a pool without a free place, a closed store.
	return &store.Fault{Part: failedStep(err), Err: err}
}

// refused is what an answer of the server means. Its text names constraints
// and columns, never values: PgError keeps those in Detail, which is not shown.
func refused(refusal *pgconn.PgError, err error) error {
	switch refusal.Code {
	case "23505": // unique_violation
		return fmt.Errorf("%w: %s", store.ErrConflict, refusal.ConstraintName)
	case "42501": // insufficient_privilege
		return &store.Fault{Part: store.StepQuery, Err: fmt.Errorf("%w: grant it to the user of OAUTH2_DATABASE_URL", err)}
	case "3D000": // no such database
		return &store.Fault{Part: store.StepDatabase, Err: fmt.Errorf("%w: %s", err, createHint(err))}
	case "3F000", "42P01", "42703", "42883": // no such schema, table, column, function
		return &store.Fault{Part: store.StepSchema, Err: fmt.Errorf("%w: %s", err, migrateHint)}
	}
	if refusal.Code == "23514" && refusal.TableName == "tokens" && refusal.ConstraintName == "" {
		// check_violation without a constraint: no partition takes the row.
		return &store.Fault{Part: store.StepSchema, Err: fmt.Errorf("tokens has no partition for an expiry: %w: %s", err, migrateHint)}
	}
	switch refusal.Code[:min(2, len(refusal.Code))] {
	case "22", "23", "42": // data, constraint, statement: the same again would fail again
		return err
	}
	return &store.Fault{Part: refusedStep(refusal.Code), Err: err}
}

// createHint ends the text of a fault that no migration mends: the user of the server need not be one who may create databases.
func createHint(err error) string {
	owner, name := "oauth2_user", "oauth2"
	if refused, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		owner, name = refused.Config.User, refused.Config.Database
	}
	return fmt.Sprintf(`create it as a superuser of Postgres, "createdb --owner %s %s", then %s`, owner, name, migrateHint)
}

// refusedStep is the step at which Postgres answers with a SQLSTATE.
func refusedStep(code string) string {
	switch {
	case strings.HasPrefix(code, "28"): // invalid authorization
		return store.StepAuthentication
	case code == "53300": // too_many_connections
		return store.StepConnections
	case code == "3D000": // no such database
		return store.StepDatabase
	case code == "25006": // read_only_sql_transaction
		return store.StepPrimary
	case code == "3F000", code == "42P01", code == "42703", code == "42883": // no such schema, table, column, function
		return store.StepSchema
	}
	return store.StepQuery // 57P03 starting up, …
}

// failedStep is the step that an error belongs to: of the attempts to connect that of the one that came furthest.
func failedStep(err error) string {
	refused, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return stepOf(err)
	}
	furthest := slices.Index(store.Steps[:], store.StepName) // the first of a way over a network
	for _, attempt := range attempts(refused) {
		furthest = max(furthest, slices.Index(store.Steps[:], stepOf(attempt)))
	}
	return store.Steps[furthest]
}

// attempts is why each address was not connected to. pgx joins them.
func attempts(refused *pgconn.ConnectError) []error {
	inner := refused.Unwrap()
	if joined, ok := inner.(interface{ Unwrap() []error }); ok { // the outermost alone
		return joined.Unwrap()
	}
	return []error{inner}
}

// stepOf is the step of one attempt to connect, or of a statement. pgx says in its text alone which part of an attempt failed.
func stepOf(err error) string {
	if errors.Is(err, errStandby) {
		return store.StepPrimary
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusedStep(refusal.Code)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return store.StepName
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "dial error: "):
		return store.StepTCP
	case pgconn.Timeout(err): // the kernel takes connections for a server that hangs, which is no fault of TLS or of a password
		return store.StepQuery
	case strings.Contains(text, "tls error: "), strings.Contains(text, "tls: "): // the second: of a certificate of ours, told after the handshake
		return store.StepTLS
	case strings.Contains(text, "SASL auth"): // pgx has no password, or the server does not know it
		return store.StepAuthentication
	}
	return store.StepQuery
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
