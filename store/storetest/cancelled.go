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
	must(t, db.AddKeys(testContext(t), actor, ring))
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
		"DeleteClient": func(ctx context.Context) error { return db.DeleteClient(ctx, actor, client.ID) },
		"Client":       func(ctx context.Context) error { _, err := db.Client(ctx, client.ID); return err },
		"Clients":      func(ctx context.Context) error { _, err := db.Clients(ctx); return err },
		"AddKeys":      func(ctx context.Context) error { return db.AddKeys(ctx, actor, newRing()) },
		"SealKey":      func(ctx context.Context) error { return db.SealKey(ctx, actor, key.ID, "x", []byte{1}) },
		"ResetKeys":    func(ctx context.Context) error { return db.ResetKeys(ctx, actor, newRing()) },
		"Keys":         func(ctx context.Context) error { _, err := db.Keys(ctx); return err },
		"Denied":       func(ctx context.Context) error { _, err := db.Denied(ctx, store.DenyKey, key.ID); return err },
		"Cutoffs":      func(ctx context.Context) error { _, err := db.Cutoffs(ctx); return err },
		"Audits":       func(ctx context.Context) error { _, err := db.Audits(ctx, 1); return err },
		"Register":     func(ctx context.Context) error { return db.Register(ctx, newReplica()) },
		"Replicas":     func(ctx context.Context) error { _, err := db.Replicas(ctx); return err },
		"Maintain":     func(ctx context.Context) error { return db.Maintain(ctx) },
	}
}
