package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	grantColumns = "id, client, subject, scope, audience, session, auth_time, acr, offline, refresh, position, generation, key, rotated, created, used, expires, revoked"

	sqlGrant = "select " + grantColumns + " from grants where id = $1"
	// Rows are locked in the order of their ids, as rotations do: the one waits for the other in one direction only.
	sqlRevokeGrants = `update grants set revoked = true, ends = clock_timestamp()
		where id in (select id from grants where not revoked and expires > clock_timestamp() - interval '%d s' and %s order by id limit %d for update)
		and not revoked returning ` + grantColumns
	// A grant that is denied is revoked: nothing of it comes back when the denial expires.
	sqlDenyGrants = `update grants set revoked = true, ends = clock_timestamp()
		where id in (select id from grants where id = any($1) and not revoked order by id for update) and not revoked`
	sqlDenyCodes = `update codes set spent = clock_timestamp()
		where id in (select id from codes where grant_id = any($1) and spent is null order by id for update) and spent is null`
)

// grantTargets is where a row of grantColumns is scanned to.
func grantTargets(g *store.Grant) []any {
	return []any{
		(*[16]byte)(&g.ID), &g.Client, &g.Subject, &g.Scope, &g.Audience, (*[16]byte)(&g.Session), &g.AuthTime, &g.ACR, &g.Offline, &g.Refresh,
		(*int64)(&g.Position), &g.Generation, &g.Key, &g.Rotated, &g.Created, &g.Used, &g.Expires, &g.Revoked,
	}
}

func scanGrant(row pgx.CollectableRow) (g store.Grant, err error) {
	err = row.Scan(grantTargets(&g)...)
	g.UTC()
	return g, err
}

// grantsWhere is the conditions of a query, only those that it has: see [auditSQL]. id is the column of a grant's id: codes have
// the others by the same names.
func grantsWhere(query store.GrantQuery, id string) (conditions string, args []any) {
	all := []string{"true"}
	where := func(given bool, condition string, arg any) {
		if given {
			args = append(args, arg)
			all = append(all, fmt.Sprintf(condition, len(args)))
		}
	}
	where(!query.ID.IsZero(), id+" = $%d", [16]byte(query.ID))
	where(query.Subject != "", "subject = $%d", query.Subject)
	where(query.Client != "", "client = $%d", query.Client)
	where(!query.Session.IsZero(), "session = $%d and not offline", [16]byte(query.Session))
	where(!query.Before.IsZero(), id+" < $%d", [16]byte(query.Before))
	if query.Live {
		all = append(all, "not revoked and expires > clock_timestamp()")
	}
	return strings.Join(all, " and "), args
}

// Grant finds a grant. ErrNotFound.
func (db *DB) Grant(ctx context.Context, id store.ID) (grant store.Grant, err error) {
	err = db.use(ctx, db.read, queryGrant, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlGrant, [16]byte(id))
		if err != nil {
			return err
		}
		grant, err = pgx.CollectExactlyOneRow(rows, scanGrant)
		return err
	})
	return grant, err
}

// Grants lists grants by id, the newest first.
func (db *DB) Grants(ctx context.Context, query store.GrantQuery) (all []store.Grant, err error) {
	where, args := grantsWhere(query, "id")
	sql := fmt.Sprintf("select %s from grants where %s order by id desc limit $%d", grantColumns, where, len(args)+1)
	err = db.use(ctx, db.read, queryGrant, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, append(args, query.Limit)...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanGrant)
		return err
	})
	return all, err
}

// RevokeGrants revokes and denies what matches and lives, or expired so lately that what was made from it may live, at most
// store.MaxDenials, and returns how many that were. Codes that would become such grants are spent.
func (db *DB) RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error) {
	change, err := db.mutate(ctx, queryGrant, func(tx *transaction) (story, error) {
		change := store.Change{}
		if err := tx.revoke(actor, query, &change); err != nil || len(change.Denials) == 0 {
			return story{}, err
		}
		return story{change, auditDenials}, nil
	})
	return len(change.Denials), err
}

func auditDenials(now time.Time, change *store.Change) []store.Audit {
	return store.AuditDenials(now, change.Denials)
}

// revoke does what [DB.RevokeGrants] says. The change tells of each, also of one that was denied before.
func (tx *transaction) revoke(actor store.Actor, query store.GrantQuery, change *store.Change) error {
	if err := tx.revokeCodes(query); err != nil {
		return err
	}
	query.Live = false // the statement says what lives
	where, args := grantsWhere(query, "id")
	sql := fmt.Sprintf(sqlRevokeGrants, int(store.MaxTokenLife/time.Second), where, store.MaxDenials)
	rows, err := tx.conn.Query(tx.ctx, sql, args...)
	if err != nil {
		return err
	}
	grants, err := pgx.CollectRows(rows, scanGrant)
	if err != nil {
		return err
	}
	return tx.denyGrants(grants, func(*store.Grant) store.Actor { return actor }, change)
}

// denyGrants denies grants that this transaction has revoked, and adds that to the change.
func (tx *transaction) denyGrants(grants []store.Grant, actor func(*store.Grant) store.Actor, change *store.Change) error {
	if len(grants) == 0 {
		return nil
	}
	now := time.Time{}
	if err := tx.conn.QueryRow(tx.ctx, "select clock_timestamp()").Scan(&now); err != nil { // locks were waited for
		return err
	}
	denials := make([]store.Denial, len(grants))
	for i := range grants {
		denials[i] = grants[i].Denial(actor(&grants[i]), now)
	}
	var batch pgx.Batch
	queueDenials(&batch, denials, new(store.Change))
	change.Denials = append(change.Denials, denials...)
	return tx.conn.SendBatch(tx.ctx, &batch).Close()
}
