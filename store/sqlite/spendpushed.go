package sqlite

import (
	"context"

	"oauth2-server/store"
)

// SpendPushed spends a pushed request of which nothing comes. store.ErrSpent: it was spent before, or has expired.
func (db *DB) SpendPushed(ctx context.Context, id store.ID) error {
	err := db.write(ctx, "code", func(m *mutation) error {
		return m.spend("delete from pushed where id = ? and expires > ?", id[:], m.now.Unix())
	})
	return told(err, "spend pushed request %s", id)
}
