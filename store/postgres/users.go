package postgres

import (
	"context"
	"time"

	"oauth2-server/store"
)

const (
	sqlLockUser = "select body, body from users where id = $1 for update"
	sqlPutUser  = `insert into users (id, username, role, disabled, version, updated, body) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (id) do update set username = excluded.username, role = excluded.role, disabled = excluded.disabled,
			version = excluded.version, updated = excluded.updated, body = excluded.body`
	sqlOtherOperator = "select exists (select from users where role = $2 and not disabled and id <> $1)"
)

// ChangeUser is [DB.ChangeLimit] for a user. ErrConflict: the user name is taken. ErrLastOperator: nobody would be left to come in.
// A change that ends the user's sessions, or deletes the user, cuts the subject off in the same transaction.
func (db *DB) ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error) {
	var result store.User
	_, err := db.mutate(ctx, queryUser, func(tx *transaction) (story, error) {
		before, after, err := alter(tx, row{userRow, string(id[:]), sqlLockUser, [16]byte(id)}, change)
		if err == nil && before.Operates() && !after.Operates() {
			err = tx.keepOperator(actor, id)
		}
		switch {
		case err != nil:
			return story{}, err
		case after == nil:
			result = *before
			told := story{store.ChangedUser(before, nil, actor), func(now time.Time, change *store.Change) []store.Audit {
				return append(auditDenials(now, change), store.AuditUser(now, actor, action, before, nil))
			}}
			if err := tx.forgetUser(actor, id, &told.change); err != nil {
				return story{}, err
			}
			_, err = tx.conn.Exec(tx.ctx, "delete from users where id = $1", [16]byte(id))
			return told, err
		default:
			result = after.Next(before, tx.now)
			result.ID = id
			after = &result
			_, err = tx.conn.Exec(tx.ctx, sqlPutUser, [16]byte(id), result.Username, result.Role, result.Disabled,
				result.Version, result.Updated, result)
		}
		return story{store.ChangedUser(before, after, actor), func(now time.Time, _ *store.Change) []store.Audit {
			return []store.Audit{store.AuditUser(now, actor, action, before, after)}
		}}, err
	})
	if err != nil {
		return store.User{}, err
	}
	return result, nil
}

// keepOperator refuses to let the last operator go. Of several who go at once each waits for the one before, and is counted without.
func (tx *transaction) keepOperator(actor store.Actor, leaves store.ID) error {
	if _, err := tx.conn.Exec(tx.ctx, sqlLockRow, int32(operatorRow), 0); err != nil || actor.MayEndOperators() {
		return err
	}
	var others bool // a statement of its own: it sees what was waited for
	err := tx.conn.QueryRow(tx.ctx, sqlOtherOperator, [16]byte(leaves), store.RoleAdmin).Scan(&others)
	if err == nil && !others {
		return store.ErrLastOperator
	}
	return err
}

// User finds a user. ErrNotFound.
func (db *DB) User(ctx context.Context, id store.ID) (store.User, error) {
	return body[store.User](ctx, db, "select body from users where id = $1", [16]byte(id))
}

// UserByName finds a user by name, however it is typed. ErrNotFound.
func (db *DB) UserByName(ctx context.Context, username string) (store.User, error) {
	return body[store.User](ctx, db, "select body from users where username = $1", store.FoldUsername(username))
}

// Users lists the users by name, those after it.
func (db *DB) Users(ctx context.Context, after string, limit int) ([]store.User, error) {
	return bodies[store.User](ctx, db, "select body from users where username > $1 order by username limit $2", after, limit)
}
