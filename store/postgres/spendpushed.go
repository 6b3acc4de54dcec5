package postgres

import (
	"context"

	"oauth2-server/store"
)

// SpendPushed spends a pushed request of which nothing comes. ErrSpent: it was spent before, or has expired.
func (db *DB) SpendPushed(ctx context.Context, id store.ID) error {
	return db.putOne(ctx, "delete from pushed where id = $1 and expires > clock_timestamp()", [16]byte(id))
}
