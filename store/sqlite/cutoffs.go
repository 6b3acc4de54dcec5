package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"oauth2-server/store"
)

const cutoffsSQL = "select kind, name, number, actor, at from cutoffs order by kind, name"

// CutOff kills what is below the number it returns.
func (db *DB) CutOff(ctx context.Context, actor store.Actor, kind store.CutoffKind, name string) (store.Cutoff, error) {
	change := store.Change{Cutoffs: []store.Cutoff{{Kind: kind, Name: name, Actor: actor.String()}}}
	err := db.write(ctx, "cutoff", func(m *mutation) error {
		if err := m.publish(&change); err != nil {
			return err
		}
		return m.audit(store.AuditCutoff(m.now, actor, change.Cutoffs[0]))
	})
	if err != nil {
		return store.Cutoff{}, fmt.Errorf("cut off %s %q: %w", kind, name, err)
	}
	return change.Cutoffs[0], nil
}

// Cutoffs lists the cut-offs.
func (db *DB) Cutoffs(ctx context.Context) ([]store.Cutoff, error) {
	var all []store.Cutoff
	if err := db.query(ctx, cutoffsSQL, scanCutoffs(&all)); err != nil {
		return nil, fmt.Errorf("list cut-offs: %w", err)
	}
	return all, nil
}

func scanCutoffs(list *[]store.Cutoff) func(*sql.Rows) error {
	return func(row *sql.Rows) error {
		var c store.Cutoff
		if err := row.Scan(&c.Kind, &c.Name, &c.Number, &c.Actor, &c.At); err != nil {
			return classify(err)
		}
		*list = append(*list, c)
		return nil
	}
}
