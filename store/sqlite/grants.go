package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oauth2-server/store"
)

const (
	grantSQL    = "select body from grants where id = ?"
	putGrantSQL = "update grants set body = ?, revoked = ?, ends = ? where id = ?"
	// A grant that is denied is revoked: nothing of it comes back when the denial expires.
	denyGrantSQL = "update grants set body = json_set(body, '$.revoked', json('true')), revoked = true, ends = ? where id = ? and not revoked"
)

// grantsWhere is the conditions of a query, only those that it has: see [auditSQL]. id is the column of a grant's id: codes have
// the others by the same names. now is in Unix microseconds.
func grantsWhere(query store.GrantQuery, id string, now int64) (conditions string, args []any) {
	all := []string{"true"}
	where := func(given bool, condition string, value any) {
		if given {
			all, args = append(all, condition), append(args, value)
		}
	}
	where(!query.ID.IsZero(), id+" = ?", query.ID[:])
	where(query.Subject != "", "subject = ?", query.Subject)
	where(query.Client != "", "client = ?", query.Client)
	where(!query.Session.IsZero(), "session = ? and not offline", query.Session[:])
	where(!query.Before.IsZero(), id+" < ?", query.Before[:])
	where(query.Live, "not revoked and ends > ?", now)
	return strings.Join(all, " and "), args
}

// Grant finds a grant.
func (db *DB) Grant(ctx context.Context, id store.ID) (store.Grant, error) {
	grant, err := find[store.Grant](ctx, db, grantSQL, id[:])
	return grant, told(err, "find grant %s", id)
}

// Grants lists grants by id, the newest first.
func (db *DB) Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error) {
	var all []store.Grant
	where, args := grantsWhere(query, "id", db.now().UnixMicro())
	err := db.query(ctx, "select body from grants where "+where+" order by id desc limit ?", scanInto(&all), append(args, query.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	return all, nil
}

// RevokeGrants revokes and denies what matches and lives, or expired so lately that what was made from it may live, at most
// store.MaxDenials, and returns how many that were. Codes that would become such grants are spent.
func (db *DB) RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (n int, err error) {
	err = db.write(ctx, "grant", func(m *mutation) error {
		change, err := m.revoke(actor, query)
		n = len(change.Denials)
		if err != nil {
			return err
		}
		return m.publishDenials(change)
	})
	if err != nil {
		return 0, fmt.Errorf("revoke grants: %w", err)
	}
	return n, nil
}

// revoke does what [DB.RevokeGrants] says. The change tells of each, also of one that was denied before.
func (m *mutation) revoke(actor store.Actor, query store.GrantQuery) (change store.Change, err error) {
	if err := m.revokeCodes(query); err != nil {
		return change, err
	}
	var grants []store.Grant
	query.Live = true
	where, args := grantsWhere(query, "id", m.now.Add(-store.MaxTokenLife).UnixMicro())
	found, err := m.tx.QueryContext(m.ctx, "select body from grants where "+where+" limit ?", append(args, store.MaxDenials)...)
	if err := rows(found, err, scanInto(&grants)); err != nil {
		return change, err
	}
	for i := range grants {
		g := &grants[i]
		g.Revoked = true
		if err := m.putGrant(g); err != nil {
			return change, err
		}
		change.Denials = append(change.Denials, g.Denial(actor, m.now))
	}
	_, err = m.deny(change.Denials)
	return change, err
}

// putGrant stores a grant that was rotated or revoked.
func (m *mutation) putGrant(g *store.Grant) error {
	ends := g.Expires
	if g.Revoked {
		ends = m.now
	}
	return m.put(putGrantSQL, g, g.Revoked, ends.UnixMicro(), g.ID[:])
}

// publishDenials tells of denials, if there are any.
func (m *mutation) publishDenials(change store.Change) error {
	if len(change.Denials) == 0 {
		return nil
	}
	if err := m.publish(&change); err != nil {
		return err
	}
	return m.audit(store.AuditDenials(m.now, change.Denials)...)
}

// RotateGrants does rotations one after another in one transaction.
func (db *DB) RotateGrants(ctx context.Context, rotations []store.Rotation, done func(i int, r store.Rotated)) error {
	outcomes := make([]store.Rotated, len(rotations))
	err := db.write(ctx, "rotate_grants", func(m *mutation) error {
		var change store.Change
		for i := range rotations {
			if err := m.rotate(&rotations[i], &outcomes[i], &change); err != nil {
				return err
			}
		}
		if _, err := m.deny(change.Denials); err != nil {
			return err
		}
		return m.publishDenials(change)
	})
	if err != nil {
		return fmt.Errorf("rotate %d grants: %w", len(rotations), err)
	}
	for i, outcome := range outcomes {
		done(i, outcome)
	}
	return nil
}

func (m *mutation) rotate(r *store.Rotation, outcome *store.Rotated, change *store.Change) error {
	var g store.Grant
	err := m.body(&g, grantSQL, r.Grant[:])
	if errors.Is(err, store.ErrNotFound) {
		return nil // refused
	}
	if err != nil {
		return err
	}
	switch outcome.Outcome = g.Rotate(r, m.now); outcome.Outcome {
	case store.RotationRefused:
		return nil
	case store.RotationReused:
		change.Denials = append(change.Denials, g.Denial(store.RefreshReuse(g.Client), m.now))
		err = m.putGrant(&g)
	case store.RotationDone:
		err = m.putGrant(&g)
	}
	outcome.Grant = g
	return err
}
