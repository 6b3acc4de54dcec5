package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"oauth2-server/store"
)

// alter lets change say what becomes of the JSON that the statement selects: before is nil when there is no row, after
// is nil when it is to be deleted. change gets a value of its own; what it refuses is refused,
// as it is. store.ErrNotFound: nothing becomes of nothing.
func alter[T any](m *mutation, change func(*T) (*T, error), text string, arg any) (before, after *T, err error) {
	var body []byte
	err = classify(m.tx.QueryRowContext(m.ctx, text, arg).Scan(&body))
	there := !errors.Is(err, store.ErrNotFound)
	if err != nil && there {
		return nil, nil, err
	}
	var given *T
	if there {
		before, given = new(T), new(T)
		if err := errors.Join(unmarshal(body, before), unmarshal(body, given)); err != nil {
			return nil, nil, err
		}
	}
	if after, err = change(given); err != nil {
		return nil, nil, refusal{err}
	}
	if before == nil && after == nil {
		return nil, nil, store.ErrNotFound
	}
	return before, after, nil
}

// A refusal is an error of a caller's own function, on its way through a transaction.
type refusal struct{ error }

// told puts what was done before an error, unless it is a caller's own.
func told(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[refusal](err); ok {
		return own.error
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// put runs a statement whose first parameter is v as JSON.
func (m *mutation) put(text string, v any, args ...any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %T as JSON: %w", v, err)
	}
	_, err = m.exec(text, append([]any{string(body)}, args...)...)
	return err
}

// find reads one row's JSON, for people. store.ErrNotFound.
func find[T any](ctx context.Context, db *DB, text string, arg any) (v T, err error) {
	found := false
	err = db.query(ctx, text, func(row *sql.Rows) error {
		found = true
		return scanBody(row, &v)
	}, arg)
	return v, one(found, err)
}
