package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// sqlUnion is the words of an array, each once, in order.
func sqlUnion(array string) string {
	return `(select coalesce(array_agg(distinct s order by s), '{}') from unnest((` + array + `) collate "C") as s)`
}

var sqlSaveConsent = `insert into consents (user_id, client, scopes, audiences, at)
	select $1, $2, ` + sqlUnion("$3::text[]") + ", " + sqlUnion("$4::text[]") + `, clock_timestamp()
	on conflict (user_id, client) do update set at = excluded.at, scopes = ` + sqlUnion("consents.scopes || excluded.scopes") + `,
		audiences = ` + sqlUnion("consents.audiences || excluded.audiences")

const (
	sqlConsents       = `select user_id, client, scopes, audiences, at from consents where user_id = $1 order by client collate "C"`
	sqlDeleteConsent  = "delete from consents where user_id = $1 and client = $2 returning user_id, client, scopes, audiences, at"
	sqlDeleteConsents = "delete from consents where user_id = $1"
)

// SaveConsent adds scopes and audiences to what the user has allowed the client.
func (db *DB) SaveConsent(ctx context.Context, consent store.Consent) error {
	return db.use(ctx, db.read, queryGrant, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sqlSaveConsent, [16]byte(consent.User), consent.Client, consent.Scopes, consent.Audiences)
		return err
	})
}

// Consents lists what the user has allowed, by client.
func (db *DB) Consents(ctx context.Context, user store.ID) (all []store.Consent, err error) {
	err = db.use(ctx, db.read, queryGrant, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sqlConsents, [16]byte(user))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanConsent)
		return err
	})
	return all, err
}

func scanConsent(row pgx.CollectableRow) (c store.Consent, err error) {
	err = row.Scan((*[16]byte)(&c.User), &c.Client, &c.Scopes, &c.Audiences, &c.At)
	c.At = c.At.UTC()
	return c, err
}

// WithdrawConsent forgets the consent and revokes the user's grants to the client, in one transaction.
func (db *DB) WithdrawConsent(ctx context.Context, actor store.Actor, user store.ID, client string) error {
	query := store.GrantQuery{Subject: user.String(), Client: client}
	change, err := db.mutate(ctx, queryGrant, func(tx *transaction) (told story, err error) {
		rows, err := tx.conn.Query(tx.ctx, sqlDeleteConsent, [16]byte(user), client)
		if err != nil {
			return told, err
		}
		before, err := pgx.CollectExactlyOneRow(rows, scanConsent)
		there := err == nil
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return told, err
		}
		if err := tx.revoke(actor, query, &told.change); err != nil || !there && len(told.change.Denials) == 0 {
			return told, err
		}
		told.audit = func(now time.Time, change *store.Change) []store.Audit {
			rows := auditDenials(now, change)
			if there {
				rows = append(rows, store.AuditConsent(now, actor, &before))
			}
			return rows
		}
		return told, nil
	})
	for n := len(change.Denials); err == nil && n == store.MaxDenials; { // more than one change holds
		n, err = db.RevokeGrants(ctx, actor, query)
	}
	return err
}

// forgetUser deletes what is the user's beside the user, after denying grants that live. Those beyond store.MaxDenials are dead by the
// cut-off in the same change.
func (tx *transaction) forgetUser(actor store.Actor, user store.ID, change *store.Change) error {
	if _, err := tx.conn.Exec(tx.ctx, sqlDeleteConsents, [16]byte(user)); err != nil {
		return err
	}
	if err := tx.revoke(actor, store.GrantQuery{Subject: user.String()}, change); err != nil {
		return err
	}
	var batch pgx.Batch
	batch.Queue("delete from codes where subject = $1", user.String())
	batch.Queue("delete from grants where subject = $1", user.String())
	batch.Queue("delete from logouts where subject = $1", user.String())
	return tx.conn.SendBatch(tx.ctx, &batch).Close()
}

// forgetClient deletes the consents of a client that is being deleted, and spends its codes. Its grants, which may be many, are dead by
// the cut-off in the same change; [DB.Maintain] deletes them and the rest.
func (tx *transaction) forgetClient(id string) error {
	if _, err := tx.conn.Exec(tx.ctx, "delete from consents where client = $1", id); err != nil {
		return err
	}
	return tx.revokeCodes(store.GrantQuery{Client: id})
}
