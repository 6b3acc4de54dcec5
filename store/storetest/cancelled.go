package storetest

import (
	"context"
	"testing"

	"oauth2-server/store"
)

// cancelled proves that whoever stops waiting gets ErrUnavailable, from every method.
func (s suite) cancelled(t *testing.T) {
	db := s.open(t)
	web := create(t, db, "web")
	ring := newRing()
	must(t, addKeys(testContext(t), db, ring))
	cursor := position(t, testContext(t), db)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, call := range calls(db, web, ring[0], cursor) {
		t.Run(name, func(t *testing.T) { wantError(t, name, call(ctx), store.ErrUnavailable) })
	}
	update(t, db, func(c *store.Client) { c.Name = "works as before" })
	rows := tokenRows(1)
	must(t, db.InsertTokens(testContext(t), rows))
	wantFound(t, db, rows)
}

// calls are all methods that take a context.
func calls(db Store, client store.Client, key store.Key, cursor store.Cursor) map[string]func(context.Context) error {
	row := tokenRows(1)
	return map[string]func(context.Context) error{
		"InsertTokens": func(ctx context.Context) error { return db.InsertTokens(ctx, row) },
		"FindTokens":   func(ctx context.Context) error { return db.FindTokens(ctx, tokenKeys(row), func(int, []byte) {}) },
		"Load":         func(ctx context.Context) error { _, err := db.Load(ctx, ignore); return err },
		"Poll":         func(ctx context.Context) error { _, err := db.Poll(ctx, cursor, ignore); return err },
		"Deny":         func(ctx context.Context) error { return db.Deny(ctx, newDenials(1)) },
		"CutOff":       func(ctx context.Context) error { _, err := db.CutOff(ctx, actor, store.CutAll, ""); return err },
		"Rewrite":      func(ctx context.Context) error { return db.Rewrite(ctx, actor, 1, newDenials(1), nil) },
		"CreateClient": func(ctx context.Context) error { _, err := db.CreateClient(ctx, actor, newClient("new")); return err },
		"UpdateClient": func(ctx context.Context) error {
			_, err := db.UpdateClient(ctx, actor, client.ID, func(*store.Client) error { return nil })
			return err
		},
		"DeleteClient": func(ctx context.Context) error { return db.DeleteClient(ctx, actor, client.ID, nil) },
		"Client":       func(ctx context.Context) error { _, err := db.Client(ctx, client.ID); return err },
		"Clients":      func(ctx context.Context) error { _, err := db.Clients(ctx); return err },
		"ChangeKeys":   func(ctx context.Context) error { return sealKey(ctx, db, key.ID, "x", []byte{1}) },
		"ResetKeys":    func(ctx context.Context) error { return db.ResetKeys(ctx, actor, newRing()) },
		"Keys":         func(ctx context.Context) error { _, err := db.Keys(ctx); return err },
		"Denied":       func(ctx context.Context) error { _, err := db.Denied(ctx, store.DenyKey, key.ID); return err },
		"Cutoffs":      func(ctx context.Context) error { _, err := db.Cutoffs(ctx); return err },
		"Audits":       func(ctx context.Context) error { _, err := db.Audits(ctx, store.AuditQuery{Limit: 1}); return err },
		"FindToken":    func(ctx context.Context) error { _, err := db.FindToken(ctx, row[0].ID); return err },
		"NewestTokens": func(ctx context.Context) error {
			return db.NewestTokens(ctx, store.ID{}, 1, func(store.Token) bool { return true })
		},
		"CountTokens": func(ctx context.Context) error { _, err := db.CountTokens(ctx); return err },
		"ChangeLimit": func(ctx context.Context) error { _, err := putLimit(ctx, db, newLimit("new")); return err },
		"Limits":      func(ctx context.Context) error { _, err := db.Limits(ctx); return err },
		"SaveLimitMinute": func(ctx context.Context) error {
			return db.SaveLimitMinute(ctx, newMinute(newID(), 0), newRefused("new", 1, 3))
		},
		"LimitMinutes": func(ctx context.Context) error { _, err := db.LimitMinutes(ctx, 0); return err },
		"NewlyRefused": func(ctx context.Context) error { _, err := db.NewlyRefused(ctx, "new", 1); return err },
		"ChangeUser":   func(ctx context.Context) error { _, err := putUser(ctx, db, newUser("new")); return err },
		"User":         func(ctx context.Context) error { _, err := db.User(ctx, newID()); return err },
		"UserByName":   func(ctx context.Context) error { _, err := db.UserByName(ctx, "new"); return err },
		"Users":        func(ctx context.Context) error { _, err := db.Users(ctx, "", 1); return err },
		"PutCode":      func(ctx context.Context) error { return db.PutCode(ctx, newCode(newID()), newID()) },
		"RedeemCode":   func(ctx context.Context) error { _, err := db.RedeemCode(ctx, store.Redemption{}); return err },
		"RotateGrants": func(ctx context.Context) error {
			return db.RotateGrants(ctx, make([]store.Rotation, 1), func(int, store.Rotated) {})
		},
		"SetKept": func(ctx context.Context) error {
			return db.SetKept(ctx, actor, store.KeptAudit, func(*store.Kept) error { return nil })
		},
		"Grant":           func(ctx context.Context) error { _, err := db.Grant(ctx, newID()); return err },
		"Grants":          func(ctx context.Context) error { _, err := db.Grants(ctx, store.GrantQuery{Limit: 1}); return err },
		"RevokeGrants":    func(ctx context.Context) error { _, err := db.RevokeGrants(ctx, actor, store.GrantQuery{}); return err },
		"PutPushed":       func(ctx context.Context) error { return db.PutPushed(ctx, store.Pushed{}) },
		"Pushed":          func(ctx context.Context) error { _, err := db.Pushed(ctx, newID()); return err },
		"SpendPushed":     func(ctx context.Context) error { return db.SpendPushed(ctx, newID()) },
		"SaveConsent":     func(ctx context.Context) error { return db.SaveConsent(ctx, store.Consent{}) },
		"Consents":        func(ctx context.Context) error { _, err := db.Consents(ctx, newID()); return err },
		"WithdrawConsent": func(ctx context.Context) error { return db.WithdrawConsent(ctx, actor, newID(), "web") },
		"SpendJTI":        func(ctx context.Context) error { return db.SpendJTI(ctx, "web", "a", 1) },
		"QueueLogouts":    func(ctx context.Context) error { return db.QueueLogouts(ctx, []store.Logout{newLogout(newID())}) },
		"ClaimLogouts":    func(ctx context.Context) error { _, err := db.ClaimLogouts(ctx, 1, 0); return err },
		"FinishLogout":    func(ctx context.Context) error { return db.FinishLogout(ctx, newID()) },
		"RetryLogout":     func(ctx context.Context) error { return db.RetryLogout(ctx, newID(), now()) },
		"Register":        func(ctx context.Context) error { return db.Register(ctx, newReplica()) },
		"Replicas":        func(ctx context.Context) error { _, err := db.Replicas(ctx); return err },
		"Census":          func(ctx context.Context) error { _, err := db.Census(ctx); return err },
		"Maintain":        func(ctx context.Context) error { return db.Maintain(ctx) },
		"Prune":           func(ctx context.Context) error { _, err := db.Prune(ctx); return err },
		"Kept":            func(ctx context.Context) error { _, err := db.Kept(ctx); return err },
	}
}
