package sqlite

import (
	"context"
	"fmt"

	"oauth2-server/store"
)

const (
	userSQL       = "select body from users where id = ?"
	userByNameSQL = "select body from users where username = ?"
	usersSQL      = "select body from users where username > ? order by username limit ?"

	otherOperatorSQL = "select exists (select 1 from users where body ->> 'role' = ? and not coalesce(body ->> 'disabled', false) and id <> ?)"
)

// ChangeUser stores what change makes of the user as the next version; nil deletes.
// A change that ends the user's sessions cuts the subject off. store.ErrLastOperator: nobody would be left to come in.
func (db *DB) ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error) {
	var result store.User
	err := db.write(ctx, "user", func(m *mutation) error {
		var denials []store.Denial
		before, after, err := alter(m, change, userSQL, id[:])
		if err == nil && before.Operates() && !after.Operates() {
			err = m.keepOperator(actor, id)
		}
		switch {
		case err != nil:
			return err
		case after == nil:
			result = *before
			if denials, err = m.forgetUser(actor, id); err != nil {
				return err
			}
			_, err = m.exec("delete from users where id = ?", id[:])
		default:
			result = after.Next(before, m.now)
			result.ID = id
			after = &result
			err = m.put("insert into users (body, id, username) values (?, ?, ?) on conflict (id) do update set body = excluded.body, username = excluded.username",
				after, id[:], result.Username)
		}
		if err != nil {
			return err
		}
		tells := store.ChangedUser(before, after, actor)
		tells.Denials = denials
		if err := m.publish(&tells); err != nil {
			return err
		}
		return m.audit(append(store.AuditDenials(m.now, denials), store.AuditUser(m.now, actor, action, before, after))...)
	})
	if err != nil {
		return store.User{}, told(err, "change user %s", id)
	}
	return result, nil
}

// keepOperator refuses to let the last operator go.
func (m *mutation) keepOperator(actor store.Actor, leaves store.ID) error {
	if actor.MayEndOperators() {
		return nil
	}
	var others bool
	err := m.tx.QueryRowContext(m.ctx, otherOperatorSQL, store.RoleAdmin, leaves[:]).Scan(&others)
	if err == nil && !others {
		return store.ErrLastOperator
	}
	return classify(err)
}

// User finds a user by id.
func (db *DB) User(ctx context.Context, id store.ID) (store.User, error) {
	user, err := find[store.User](ctx, db, userSQL, id[:])
	return user, told(err, "find user %s", id)
}

// UserByName finds a user by name, however it is typed.
func (db *DB) UserByName(ctx context.Context, username string) (store.User, error) {
	user, err := find[store.User](ctx, db, userByNameSQL, store.FoldUsername(username))
	return user, told(err, "find user by name")
}

// Users lists users by name, those after it.
func (db *DB) Users(ctx context.Context, after string, limit int) ([]store.User, error) {
	var all []store.User
	if err := db.query(ctx, usersSQL, scanInto(&all), after, limit); err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return all, nil
}
