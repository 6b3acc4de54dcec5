package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// Audits lists rows of the audit, the newest first.
func (db *DB) Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error) {
	sql, args := auditSQL(query)
	var all []store.Audit
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a store.Audit, err error) {
			err = row.Scan(&a.ID, &a.At, &a.Actor, &a.Action, &a.Object, &a.Before, &a.After)
			return a, err
		})
		return err
	})
	return all, err
}

// auditSQL has only the conditions that the query has: one plan serves a statement
// for ever, and with "or" in it that could use no index.
func auditSQL(query store.AuditQuery) (sql string, args []any) {
	conditions := []string{"true"}
	where := func(given bool, condition string, arg any) {
		if given {
			args = append(args, arg)
			conditions = append(conditions, fmt.Sprintf(condition, len(args)))
		}
	}
	where(query.Object != "", "object = $%d", query.Object)
	where(query.Actor != "", "starts_with(actor, $%d)", query.Actor)
	where(query.Action != "", "starts_with(action, $%d)", query.Action)
	where(query.Before != 0, "id < $%d", query.Before)
	args = append(args, query.Limit)
	return fmt.Sprintf("select id, at, actor, action, object, before, after from audit where %s order by id desc limit $%d",
		strings.Join(conditions, " and "), len(args)), args
}

const (
	// One look-up in the primary key of each partition: there are few.
	sqlFindToken = "select id, expires, record from tokens where id = $1 limit 1"

	// The primary keys, read backward and merged. The limit is no parameter, for the
	// planner must know that it is small: else it may sort all rows.
	sqlNewestTokens = "select id, expires, record from tokens where id < $1 order by id desc limit 100"
	newestPage      = 100

	sqlCountTokens    = "select count(*) from (select from tokens limit $1) as few"
	sqlEstimateTokens = "explain (format json) select from tokens"
)

// FindToken finds a token's row by its id alone, for people. ErrNotFound.
func (db *DB) FindToken(ctx context.Context, id store.ID) (token store.Token, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlFindToken, [16]byte(id))
		if err != nil {
			return err
		}
		token, err = pgx.CollectExactlyOneRow(rows, scanToken)
		return err
	})
	return token, err
}

func scanToken(row pgx.CollectableRow) (t store.Token, err error) {
	var expires time.Time
	err = row.Scan((*[16]byte)(&t.ID), &expires, &t.Record)
	t.Expires = expires.Unix()
	return t, err
}

// NewestTokens calls found for at most limit rows, the newest ids first, all before before
// if that is not zero, until found says no. They are read in pages, so that no more are read than a page in vain.
func (db *DB) NewestTokens(ctx context.Context, before store.ID, limit int, found func(store.Token) bool) error {
	if before.IsZero() {
		before = lastID
	}
	return db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		for limit > 0 {
			rows, err := conn.Query(ctx, sqlNewestTokens, [16]byte(before))
			if err != nil {
				return err
			}
			page, err := pgx.CollectRows(rows, scanToken)
			if err != nil {
				return err
			}
			for _, token := range page[:min(limit, len(page))] {
				if !found(token) {
					return nil
				}
				before = token.ID
			}
			if len(page) < newestPage {
				return nil
			}
			limit -= len(page)
		}
		return nil
	})
}

// lastID is above every id: a UUID of ours has other bits where the version stands.
var lastID = store.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// fewTokens are counted; above, their number is the planner's, who knows the density of each table and its size now.
const fewTokens = 10_000

// CountTokens is how many token rows there are: exact up to fewTokens, else an estimate.
func (db *DB) CountTokens(ctx context.Context) (n int64, err error) {
	err = db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, sqlCountTokens, fewTokens+1).Scan(&n)
		if err != nil || n <= fewTokens {
			return err
		}
		var plans []struct {
			Plan struct {
				Rows float64 `json:"Plan Rows"`
			}
		}
		if err := conn.QueryRow(ctx, sqlEstimateTokens).Scan(&plans); err != nil {
			return err
		}
		for _, p := range plans {
			n = max(n, int64(p.Plan.Rows))
		}
		return nil
	})
	return n, err
}
