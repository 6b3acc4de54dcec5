package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"oauth2-server/store"
)

const (
	putCodeSQL = `insert into codes (body, id, client, redirect, challenge, nonce, expires, grant_id, subject, session, offline)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	spendPushedSQL = "delete from pushed where id = ? and client = ? and expires > ?"
	// Not when the session has ended, unless the grant outlives it.
	spendCodeSQL = `update codes set spent = ?1
		where id = ?2 and client = ?3 and redirect = ?4 and challenge = ?5 and spent is null and expires > ?1
		and (offline or not exists (select 1 from denials where kind = ?6 and denials.id = codes.session))`
	// One that was revoked before it was redeemed has no grant.
	spentCodeSQL = `select grant_id from codes where id = ? and client = ? and redirect = ? and challenge = ? and spent is not null
		and exists (select 1 from grants where grants.id = codes.grant_id)`
	revokeCodesSQL = "update codes set spent = ? where spent is null and expires > ? and "
	spendJTISQL    = "insert into jtis (hash, expires) values (?1, ?2) on conflict do update set expires = excluded.expires where expires < ?3"
)

// PutCode keeps a code, and spends the pushed request if it is not zero. store.ErrSpent: it was spent before, or has expired.
func (db *DB) PutCode(ctx context.Context, code store.Code, pushed store.ID) error {
	err := db.write(ctx, "code", func(m *mutation) error {
		if !pushed.IsZero() {
			if err := m.spend(spendPushedSQL, pushed[:], code.Client, m.now.Unix()); err != nil {
				return err
			}
		}
		g := &code.Grant
		return m.put(putCodeSQL, g, code.ID[:], code.Client, code.Redirect, code.Challenge[:], code.Nonce, code.Expires, g.ID[:],
			g.Subject, g.Session[:], g.Offline)
	})
	return told(err, "keep a code")
}

// spend runs a statement that changes one row, or none for store.ErrSpent.
func (m *mutation) spend(text string, args ...any) error {
	n, err := m.exec(text, args...)
	if err == nil && n == 0 {
		return store.ErrSpent
	}
	return err
}

// RedeemCode spends the code and makes the row of its grant. store.ErrNotFound: not all is as the code has it, or it was revoked, or
// ended with its session. store.ErrReused: it was redeemed before, with all of it right; its grant is revoked.
func (db *DB) RedeemCode(ctx context.Context, r store.Redemption) (store.Code, error) {
	code := store.Code{ID: r.Code, Client: r.Client, Redirect: r.Redirect, Challenge: r.Challenge}
	reused := false // an outcome and no error: what it did is to be committed
	err := db.write(ctx, "code", func(m *mutation) (err error) {
		err = m.spend(spendCodeSQL, m.now.Unix(), r.Code[:], r.Client, r.Redirect, r.Challenge[:], int64(store.DenySession))
		if errors.Is(err, store.ErrSpent) {
			reused = true
			return m.revokeReused(&r)
		}
		if err != nil {
			return err
		}
		return m.makeGrant(&code)
	})
	switch {
	case err != nil:
		return store.Code{}, fmt.Errorf("redeem a code: %w", err)
	case reused:
		return store.Code{}, fmt.Errorf("redeem a code: %w", store.ErrReused)
	}
	return code, nil
}

// makeGrant makes the row of the grant of a code that was spent.
func (m *mutation) makeGrant(code *store.Code) error {
	var body []byte
	err := m.tx.QueryRowContext(m.ctx, "select nonce, expires, body from codes where id = ?", code.ID[:]).Scan(&code.Nonce, &code.Expires, &body)
	if err != nil {
		return classify(err)
	}
	if err := unmarshal(body, &code.Grant); err != nil {
		return err
	}
	code.Grant = code.Grant.Redeemed(m.now)
	g := &code.Grant
	return m.put("insert into grants (body, id, client, subject, session, offline, revoked, ends) values (?, ?, ?, ?, ?, ?, false, ?)",
		g, g.ID[:], g.Client, g.Subject, g.Session[:], g.Offline, g.Expires.UnixMicro())
}

// revokeReused revokes the grant of a code that was redeemed before with the same. store.ErrNotFound: it was not.
func (m *mutation) revokeReused(r *store.Redemption) error {
	var id []byte
	err := m.tx.QueryRowContext(m.ctx, spentCodeSQL, r.Code[:], r.Client, r.Redirect, r.Challenge[:]).Scan(&id)
	if err != nil {
		return classify(err)
	}
	change, err := m.revoke(store.CodeReuse(r.Client), store.GrantQuery{ID: store.ID(id)})
	if err != nil {
		return err
	}
	return m.publishDenials(change)
}

// revokeCodes spends the codes of grants that match and have no row yet: who revokes a grant revokes what would become one.
func (m *mutation) revokeCodes(query store.GrantQuery) error {
	query.Live = false
	where, args := grantsWhere(query, "grant_id", 0)
	_, err := m.exec(revokeCodesSQL+where, append([]any{m.now.Unix(), m.now.Unix()}, args...)...)
	return err
}

// PutPushed keeps an authorization request that was pushed.
func (db *DB) PutPushed(ctx context.Context, pushed store.Pushed) error {
	err := db.write(ctx, "code", func(m *mutation) error {
		_, err := m.exec("insert into pushed (id, client, params, expires) values (?, ?, ?, ?)", pushed.ID[:], pushed.Client, pushed.Params, pushed.Expires)
		return err
	})
	return told(err, "keep a pushed request")
}

// Pushed finds a pushed request. store.ErrNotFound: also when it was spent or has expired.
func (db *DB) Pushed(ctx context.Context, id store.ID) (store.Pushed, error) {
	pushed := store.Pushed{ID: id}
	found := false
	err := db.query(ctx, "select client, params, expires from pushed where id = ? and expires > ?", func(row *sql.Rows) error {
		found = true
		return classify(row.Scan(&pushed.Client, &pushed.Params, &pushed.Expires))
	}, id[:], db.now().Unix())
	if err := one(found, err); err != nil {
		return store.Pushed{}, fmt.Errorf("find pushed request %s: %w", id, err)
	}
	return pushed, nil
}

// SpendJTI remembers an assertion's jti until it expires. store.ErrSpent: it was there.
func (db *DB) SpendJTI(ctx context.Context, client, jti string, expires int64) error {
	hash := sha256.Sum256([]byte(client + "\x00" + jti)) // no id of a client has a NUL
	err := db.write(ctx, "code", func(m *mutation) error { return m.spend(spendJTISQL, hash[:], expires, m.now.Unix()) })
	return told(err, "spend a jti of client %q", client)
}
