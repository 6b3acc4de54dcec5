package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"oauth2-server/store"
)

// Audits lists rows of the audit, the newest first.
func (db *DB) Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error) {
	var all []store.Audit
	text, args := auditSQL(query)
	err := db.query(ctx, text, func(row *sql.Rows) error {
		var a store.Audit
		var at int64
		if err := row.Scan(&a.ID, &at, &a.Actor, &a.Action, &a.Object, &a.Before, &a.After); err != nil {
			return classify(err)
		}
		a.At = time.UnixMicro(at).UTC()
		all = append(all, a)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return all, nil
}

// auditSQL has only the conditions that the query has, so that each can use its index.
func auditSQL(query store.AuditQuery) (text string, args []any) {
	conditions := []string{"true"}
	where := func(given bool, condition string, values ...any) {
		if given {
			conditions, args = append(conditions, condition), append(args, values...)
		}
	}
	where(query.Object != "", "object = ?", query.Object)
	where(query.Actor != "", "substr(actor, 1, length(?)) = ?", query.Actor, query.Actor)
	where(query.Action != "", "substr(action, 1, length(?)) = ?", query.Action, query.Action)
	where(query.Before != 0, "id < ?", query.Before)
	return "select id, at, actor, action, object, before, after from audit where " +
		strings.Join(conditions, " and ") + " order by id desc limit ?", append(args, query.Limit)
}

const (
	findTokenSQL    = "select id, expires, record from tokens where id = ?"
	newestTokensSQL = "select id, expires, record from tokens where id < ? order by id desc limit ?"
	countTokensSQL  = "select count(*) from tokens" // reads the heads of pages, not the rows
)

// FindToken finds a token's row by its id alone.
func (db *DB) FindToken(ctx context.Context, id store.ID) (store.Token, error) {
	var token store.Token
	found := false
	err := db.query(ctx, findTokenSQL, func(row *sql.Rows) (err error) {
		found = true
		token, err = scanToken(row)
		return err
	}, id[:])
	return token, told(one(found, err), "find token %s", id)
}

func scanToken(row *sql.Rows) (store.Token, error) {
	var t store.Token
	var id sql.RawBytes
	if err := row.Scan(&id, &t.Expires, &t.Record); err != nil {
		return store.Token{}, classify(err)
	}
	copy(t.ID[:], id)
	return t, nil
}

// errEnough ends a list of which enough was seen.
var errEnough = errors.New("enough")

// NewestTokens calls found for rows, the newest ids first, all before before if that is not zero, until found says no.
func (db *DB) NewestTokens(ctx context.Context, before store.ID, limit int, found func(store.Token) bool) error {
	if before.IsZero() {
		copy(before[:], bytes.Repeat([]byte{0xff}, len(before)))
	}
	err := db.query(ctx, newestTokensSQL, func(row *sql.Rows) error {
		token, err := scanToken(row)
		if err == nil && !found(token) {
			err = errEnough
		}
		return err
	}, before[:], limit)
	if errors.Is(err, errEnough) {
		return nil
	}
	return told(err, "list the newest tokens")
}

// CountTokens is how many token rows there are.
func (db *DB) CountTokens(ctx context.Context) (int64, error) {
	var n int64
	err := db.query(ctx, countTokensSQL, func(row *sql.Rows) error { return classify(row.Scan(&n)) })
	return n, told(err, "count the tokens")
}
