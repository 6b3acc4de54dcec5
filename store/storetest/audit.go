package storetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"oauth2-server/store"
)

func (s suite) audit(t *testing.T) {
	s.rule(t, "ClientChanges", auditClients)
	s.rule(t, "RingChanges", auditKeys)
	s.rule(t, "CutoffsAndDenials", auditDenials)
	s.rule(t, "FailedChangesLeaveNone", auditFailed)
	s.rule(t, "NewestFirstUpToLimit", auditOrder)
	s.rule(t, "HoldsNoSecret", auditSecrets)
}

func audits(t testing.TB, ctx context.Context, db Store, limit int) []store.Audit {
	t.Helper()
	rows, err := db.Audits(ctx, store.AuditQuery{Limit: limit})
	must(t, err)
	return rows
}

// newest is the newest row, checked to be of our actor.
func newest(t testing.TB, ctx context.Context, db Store, action, object string) store.Audit {
	t.Helper()
	rows := audits(t, ctx, db, 1)
	if len(rows) != 1 {
		t.Fatalf("%s: got %d rows of audit, want 1", action, len(rows))
	}
	row := rows[0]
	same(t, "row", []string{row.Actor, row.Action, row.Object}, []string{actor.String(), action, object})
	if row.At.IsZero() {
		t.Errorf("%s: the row has no time", action)
	}
	return row
}

// wantMasked compares the JSON of a row with a client without its secrets.
func wantMasked(t testing.TB, what string, got []byte, want *store.Client) {
	t.Helper()
	if want == nil {
		if got != nil {
			t.Errorf("%s: got %s, want nothing", what, got)
		}
		return
	}
	var client store.Client
	must(t, json.Unmarshal(got, &client))
	same(t, what, client, want.Masked())
}

func auditClients(t *testing.T, db Store) {
	ctx := testContext(t)
	made := create(t, db, "web")
	row := newest(t, ctx, db, "client.create", "web")
	wantMasked(t, "before", row.Before, nil)
	wantMasked(t, "after", row.After, &made)
	changed := update(t, db, func(c *store.Client) { c.Disabled, c.Name = true, "renamed" })
	row = newest(t, ctx, db, "client.update", "web")
	wantMasked(t, "before", row.Before, &made)
	wantMasked(t, "after", row.After, &changed)
	must(t, db.DeleteClient(ctx, actor, "web", nil))
	row = newest(t, ctx, db, "client.delete", "web")
	wantMasked(t, "before", row.Before, &changed)
	wantMasked(t, "after", row.After, nil)
	same(t, "rows", len(audits(t, ctx, db, 100)), 3)
}

func auditKeys(t *testing.T, db Store) {
	ctx := testContext(t)
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	row := newest(t, ctx, db, "keys.add", "ring")
	if row.Before != nil || !bytes.Contains(row.After, []byte(ring[0].ID.String())) {
		t.Errorf("keys.add: before %s, after %s", row.Before, row.After)
	}
	must(t, sealKey(ctx, db, ring[0].ID, "second", []byte("sealed")))
	newest(t, ctx, db, "keys.seal", ring[0].ID.String())
	again := newRing()
	must(t, db.ResetKeys(ctx, actor, again))
	row = newest(t, ctx, db, "keys.reset", "ring")
	if !bytes.Contains(row.Before, []byte(ring[0].ID.String())) || !bytes.Contains(row.After, []byte(again[0].ID.String())) {
		t.Errorf("keys.reset: before %s, after %s", row.Before, row.After)
	}
}

func auditDenials(t *testing.T, db Store) {
	ctx := testContext(t)
	made := cut(t, ctx, db, "bob")
	row := newest(t, ctx, db, "cutoff", "subject bob")
	var told store.Cutoff
	must(t, json.Unmarshal(row.After, &told))
	same(t, "cut-off in the audit", told, made)
	d := newDenial(1)
	must(t, db.Deny(ctx, []store.Denial{d}))
	newest(t, ctx, db, "deny", "token "+d.ID.String())
	own := newDenial(1)
	own.Actor = "client:web"
	must(t, db.Deny(ctx, []store.Denial{d, own})) // one is denied already, one is a client's own token
	same(t, "rows", len(audits(t, ctx, db, 100)), 2)
	must(t, db.Rewrite(ctx, actor, 1, newDenials(2), nil))
	newest(t, ctx, db, "rewrite", "feed")
}

func auditFailed(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	must(t, addKeys(ctx, db, newRing()))
	before := len(audits(t, ctx, db, 100))
	_, err := db.CreateClient(ctx, actor, newClient("web"))
	wantError(t, "a taken id", err, store.ErrConflict)
	wantError(t, "a second ring", addKeys(ctx, db, newRing()), store.ErrConflict)
	wantError(t, "an unknown client", db.DeleteClient(ctx, actor, "other", nil), store.ErrNotFound)
	same(t, "rows", len(audits(t, ctx, db, 100)), before)
}

func auditOrder(t *testing.T, db Store) {
	ctx := testContext(t)
	for i := range 10 {
		create(t, db, fmt.Sprint("web", i))
	}
	rows := audits(t, ctx, db, 4)
	var got []string
	for _, row := range rows {
		got = append(got, row.Object)
	}
	same(t, "newest rows", got, []string{"web9", "web8", "web7", "web6"})
	same(t, "all rows", len(audits(t, ctx, db, 100)), 10)
}

func auditSecrets(t *testing.T, db Store) {
	ctx := testContext(t)
	client := create(t, db, "web")
	update(t, db, func(c *store.Client) { c.Secrets = c.Secrets[:1] })
	must(t, db.DeleteClient(ctx, actor, "web", nil))
	ring := newRing()
	must(t, addKeys(ctx, db, ring))
	must(t, sealKey(ctx, db, ring[0].ID, "second", ring[1].Seals["fingerprint"]))
	must(t, db.ResetKeys(ctx, actor, newRing()))
	secrets := [][]byte{client.Secrets[0][:], client.Secrets[1][:]}
	for _, key := range ring {
		secrets = append(secrets, key.Seals["fingerprint"])
	}
	rows := audits(t, ctx, db, 100)
	same(t, "rows", len(rows), 6)
	for _, row := range rows {
		text := slices.Concat([]byte(row.Object), row.Before, row.After)
		for _, secret := range secrets {
			for _, form := range [][]byte{secret, hex.AppendEncode(nil, secret), base64.StdEncoding.AppendEncode(nil, secret)} {
				if bytes.Contains(text, form) {
					t.Errorf("%s: the row holds a secret", row.Action)
				}
			}
		}
	}
}
