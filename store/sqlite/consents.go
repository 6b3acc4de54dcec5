package sqlite

import (
	"context"
	"errors"
	"fmt"

	"oauth2-server/store"
)

// SaveConsent adds scopes and audiences to what the user has allowed the client.
func (db *DB) SaveConsent(ctx context.Context, consent store.Consent) error {
	err := db.write(ctx, "grant", func(m *mutation) error {
		var old store.Consent
		err := m.body(&old, "select body from consents where user_id = ? and client = ?", consent.User[:], consent.Client)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		added := consent.Join(&old, m.now)
		return m.put("insert into consents (body, user_id, client) values (?, ?, ?) on conflict do update set body = excluded.body",
			added, consent.User[:], consent.Client)
	})
	return told(err, "save a consent to client %q", consent.Client)
}

// Consents lists what the user has allowed, by client.
func (db *DB) Consents(ctx context.Context, user store.ID) ([]store.Consent, error) {
	var all []store.Consent
	if err := db.query(ctx, "select body from consents where user_id = ? order by client", scanInto(&all), user[:]); err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	return all, nil
}

// WithdrawConsent forgets the consent and revokes the user's grants to the client, in one transaction.
func (db *DB) WithdrawConsent(ctx context.Context, actor store.Actor, user store.ID, client string) error {
	query := store.GrantQuery{Subject: user.String(), Client: client}
	n := 0
	err := db.write(ctx, "grant", func(m *mutation) error {
		var before store.Consent
		err := m.body(&before, "delete from consents where user_id = ? and client = ? returning body", user[:], client)
		there := err == nil
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		change, err := m.revoke(actor, query)
		if err != nil {
			return err
		}
		n = len(change.Denials)
		if err := m.publishDenials(change); err != nil || !there {
			return err
		}
		return m.audit(store.AuditConsent(m.now, actor, &before))
	})
	for err == nil && n == store.MaxDenials { // more than one change holds
		n, err = db.RevokeGrants(ctx, actor, query)
	}
	return told(err, "withdraw the consent to client %q", client)
}

// forgetUser deletes what is the user's beside the user, after denying grants that live. Those beyond store.MaxDenials are dead
// by the cut-off in the same change.
func (m *mutation) forgetUser(actor store.Actor, user store.ID) ([]store.Denial, error) {
	change, err := m.revoke(actor, store.GrantQuery{Subject: user.String()})
	if err != nil {
		return nil, err
	}
	for text, arg := range map[string]any{
		"delete from consents where user_id = ?": user[:],
		"delete from codes where subject = ?":    user.String(),
		"delete from grants where subject = ?":   user.String(),
		"delete from logouts where subject = ?":  user.String(),
	} {
		if _, err := m.exec(text, arg); err != nil {
			return nil, err
		}
	}
	return change.Denials, nil
}

// forgetClient deletes the consents of a client that is being deleted, and spends its codes. Its grants, which may be many, are dead by
// the cut-off in the same change; [DB.Maintain] deletes them and the rest.
func (m *mutation) forgetClient(id string) error {
	if _, err := m.exec("delete from consents where client = ?", id); err != nil {
		return err
	}
	return m.revokeCodes(store.GrantQuery{Client: id})
}
