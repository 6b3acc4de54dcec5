package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"oauth2-server/store"
)

// Deny adds denials in one change. What is denied already stays as it is.
func (db *DB) Deny(ctx context.Context, denials []store.Denial) error {
	if len(denials) == 0 {
		return nil
	}
	if len(denials) > store.MaxDenials {
		return fmt.Errorf("deny %d things: at most %d at once", len(denials), store.MaxDenials)
	}
	err := db.write(ctx, "deny", func(m *mutation) error {
		change, err := m.deny(denials)
		if err != nil || len(change.Denials) == 0 {
			return err
		}
		if err := m.publish(&change); err != nil {
			return err
		}
		return m.audit(store.AuditDenials(m.now, change.Denials)...)
	})
	if err != nil {
		return fmt.Errorf("deny %d things: %w", len(denials), err)
	}
	return nil
}

// deny inserts the denials and returns the change of those that are new.
func (m *mutation) deny(denials []store.Denial) (store.Change, error) {
	insert, err := m.prepare("insert into denials (kind, id, expires, actor, at) values (?, ?, ?, ?, ?) on conflict do nothing")
	if err != nil {
		return store.Change{}, err
	}
	var change store.Change
	for _, d := range denials {
		if d.At == 0 {
			d.At = m.now.Unix()
		}
		if err := m.endGrant(d); err != nil {
			return store.Change{}, err
		}
		added, err := insert(int64(d.Kind), d.ID[:], d.Expires, d.Actor, d.At)
		if err != nil {
			return store.Change{}, err
		}
		if added > 0 {
			change.Denials = append(change.Denials, d)
		}
	}
	return change, nil
}

// endGrant revokes the grant that a denial is of, if it is of one.
func (m *mutation) endGrant(d store.Denial) error {
	if d.Kind != store.DenyGrant {
		return nil
	}
	if err := m.revokeCodes(store.GrantQuery{ID: d.ID}); err != nil {
		return err
	}
	_, err := m.exec(denyGrantSQL, m.now.UnixMicro(), d.ID[:])
	return err
}

// Denied finds the denial of a thing.
func (db *DB) Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error) {
	var denial store.Denial
	found := false
	err := db.query(ctx, "select kind, id, expires, actor, at from denials where kind = ? and id = ?", func(row *sql.Rows) (err error) {
		found = true
		denial, err = scanDenial(row)
		return err
	}, int64(kind), id[:])
	if err := one(found, err); err != nil {
		return store.Denial{}, fmt.Errorf("find denial of %s %s: %w", kind, id, err)
	}
	return denial, nil
}

func scanDenial(row *sql.Rows) (store.Denial, error) {
	var d store.Denial
	var id sql.RawBytes
	if err := row.Scan(&d.Kind, &id, &d.Expires, &d.Actor, &d.At); err != nil {
		return store.Denial{}, classify(err)
	}
	copy(d.ID[:], id)
	return d, nil
}

// Rewrite writes back what a lost history knew: first an empty change that moves
// the numbers past last, then the cut-offs and denials that are not there.
func (db *DB) Rewrite(ctx context.Context, actor store.Actor, last store.Position, denials []store.Denial, cutoffs []store.Cutoff) error {
	err := db.write(ctx, "deny", func(m *mutation) error {
		if err := m.publishAfter(last, &store.Change{Cutoffs: cutoffs}); err != nil {
			return err
		}
		for start := 0; start < len(denials); start += store.MaxDenials {
			change, err := m.deny(denials[start:min(start+store.MaxDenials, len(denials))])
			if err != nil {
				return err
			}
			if err := m.publish(&change); err != nil {
				return err
			}
		}
		return m.audit(store.AuditRewrite(m.now, actor, last, len(denials), len(cutoffs)))
	})
	if err != nil {
		return fmt.Errorf("rewrite the feed past %d: %w", last, err)
	}
	return nil
}
