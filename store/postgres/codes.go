package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// Codes, pushed requests and jtis are single rows written by single requests. They use the connections for reading: neither
// a revocation nor a batch waits for them.

const (
	sqlPutCode = `insert into codes (id, client, redirect, challenge, nonce, expires, grant_id, body, subject, session, offline)
		select $1::uuid, $2::text, $3::text, $4::bytea, $5::text, $6::timestamptz, $7::uuid, $8::jsonb, $9::text, $10::uuid, $11::boolean`
	// Two codes for one pushed request: the second waits for the first, and then finds nothing to delete.
	sqlPutPushedCode = `with spent as (delete from pushed where id = $12 and client = $2 and expires > clock_timestamp() returning id) ` +
		sqlPutCode + " from spent"

	// Spending and grant are one statement: nobody sees the one without the other. Of two redemptions the second waits for
	// the first, and then finds the code spent. Of a session that has ended only what outlives it is redeemed.
	sqlRedeem = `with code as (
			update codes set spent = clock_timestamp()
			where id = $1 and client = $2 and redirect = $3 and challenge = $4 and spent is null and expires > clock_timestamp()
				and (offline or not exists (select from denials where kind = $5 and denials.id = codes.session))
			returning nonce, expires, spent as now, body
		), made as (
			insert into grants (` + grantColumns + `, ends)
			select g.id, g.client, g.subject, g.scope, coalesce(g.audience, ''), g.session, g.auth_time, coalesce(g.acr, ''), coalesce(g.offline, false),
				coalesce(g.refresh, false), g.position, 1, g.key, now, now, date_trunc('minute', now), g.expires, false, g.expires
			from code, jsonb_to_record(code.body) as g (id uuid, client text, subject text, scope text, audience text, session uuid, auth_time bigint,
				acr text, offline boolean, refresh boolean, position bigint, key smallint, expires timestamptz)
			returning ` + grantColumns + `
		)
		select code.nonce, code.expires, made.* from code, made`

	// One that was revoked before it was redeemed has no grant.
	sqlRedeemed = `select grant_id from codes where id = $1 and client = $2 and redirect = $3 and challenge = $4 and spent is not null
		and exists (select from grants where grants.id = codes.grant_id)`

	// A redemption under way is waited for, and then its grant is there to be revoked. Rows are locked in the order of their ids, before
	// those of grants.
	sqlRevokeCodes = `update codes set spent = clock_timestamp()
		where id in (select id from codes where spent is null and expires > clock_timestamp() and %s order by id for update) and spent is null`

	sqlSpendJTI = `insert into jtis (hash, expires) values ($1, $2)
		on conflict (hash) do update set expires = excluded.expires where jtis.expires < clock_timestamp()`
)

// PutCode keeps a code, and spends the pushed request, if it is not zero, in the same statement. ErrSpent: it was spent before, or has expired.
func (db *DB) PutCode(ctx context.Context, code store.Code, pushed store.ID) error {
	g := &code.Grant
	sql, args := sqlPutCode, []any{
		[16]byte(code.ID), code.Client, code.Redirect, code.Challenge[:], code.Nonce, time.Unix(code.Expires, 0),
		[16]byte(g.ID), g, g.Subject, [16]byte(g.Session), g.Offline,
	}
	if !pushed.IsZero() {
		sql, args = sqlPutPushedCode, append(args, [16]byte(pushed))
	}
	return db.putOne(ctx, sql, args...)
}

// putOne runs a statement that writes one row, or none for store.ErrSpent.
func (db *DB) putOne(ctx context.Context, sql string, args ...any) error {
	return db.use(ctx, db.read, queryCode, func(ctx context.Context, conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, sql, args...)
		if err == nil && done.RowsAffected() == 0 {
			return store.ErrSpent
		}
		return err
	})
}

// RedeemCode spends the code and makes the row of its grant. ErrNotFound: not all is as the code has it, or it was revoked, or
// ended with its session. ErrReused: it was redeemed before, with all of it right; its grant is revoked.
func (db *DB) RedeemCode(ctx context.Context, r store.Redemption) (store.Code, error) {
	code := store.Code{ID: r.Code, Client: r.Client, Redirect: r.Redirect, Challenge: r.Challenge}
	var spent store.ID // the grant of the code, when it was redeemed before
	err := db.use(ctx, db.read, queryCode, func(ctx context.Context, conn *pgx.Conn) error {
		args := []any{[16]byte(r.Code), r.Client, r.Redirect, r.Challenge[:]}
		var expires time.Time
		err := conn.QueryRow(ctx, sqlRedeem, append(args, int16(store.DenySession))...).Scan(append([]any{&code.Nonce, &expires}, grantTargets(&code.Grant)...)...)
		code.Expires = expires.Unix()
		code.Grant.UTC()
		if errors.Is(err, pgx.ErrNoRows) {
			return conn.QueryRow(ctx, sqlRedeemed, args...).Scan((*[16]byte)(&spent))
		}
		return err
	})
	switch {
	case err != nil:
		return store.Code{}, err
	case spent.IsZero():
		return code, nil
	}
	if _, err := db.RevokeGrants(ctx, store.CodeReuse(r.Client), store.GrantQuery{ID: spent}); err != nil {
		return store.Code{}, err
	}
	return store.Code{}, store.ErrReused
}

// revokeCodes spends the codes of grants that match and have no row yet: who revokes a grant revokes what would become one.
func (tx *transaction) revokeCodes(query store.GrantQuery) error {
	query.Live = false
	where, args := grantsWhere(query, "grant_id")
	_, err := tx.conn.Exec(tx.ctx, fmt.Sprintf(sqlRevokeCodes, where), args...)
	return err
}

// PutPushed keeps an authorization request that was pushed.
func (db *DB) PutPushed(ctx context.Context, pushed store.Pushed) error {
	return db.putOne(ctx, "insert into pushed (id, client, params, expires) values ($1, $2, $3, $4)",
		[16]byte(pushed.ID), pushed.Client, pushed.Params, time.Unix(pushed.Expires, 0))
}

// Pushed finds a pushed request. ErrNotFound: also when it was spent or has expired.
func (db *DB) Pushed(ctx context.Context, id store.ID) (store.Pushed, error) {
	pushed := store.Pushed{ID: id}
	err := db.use(ctx, db.read, queryCode, func(ctx context.Context, conn *pgx.Conn) error {
		var expires time.Time
		err := conn.QueryRow(ctx, "select client, params, expires from pushed where id = $1 and expires > clock_timestamp()", [16]byte(id)).
			Scan(&pushed.Client, &pushed.Params, &expires)
		pushed.Expires = expires.Unix()
		return err
	})
	if err != nil {
		return store.Pushed{}, err
	}
	return pushed, nil
}

// SpendJTI remembers an assertion's jti until it expires. ErrSpent: it was there.
func (db *DB) SpendJTI(ctx context.Context, client, jti string, expires int64) error {
	hash := sha256.Sum256([]byte(client + "\x00" + jti)) // no id of a client has a NUL
	return db.putOne(ctx, sqlSpendJTI, hash[:], time.Unix(expires, 0))
}
