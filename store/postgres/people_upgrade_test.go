package postgres

import (
	"testing"
	"time"

	"oauth2-server/store"
)

// A consent from before there were audiences says nothing of any, and a limit that an operator has made stays the operator's.
func TestPeopleOfAnOlderSchema(t *testing.T) {
	db := openDB(t)
	ctx, conn, user := within(t, 30*time.Second), sql(t, db.options.URL), store.NewID(time.Now())
	run(t, conn, "alter table consents drop column audiences")
	run(t, conn, "alter table replicas drop column body")
	run(t, conn, "drop table retention, sizes")
	run(t, conn, "drop index cutoffs_at")
	run(t, conn, "delete from limits where name in ('par.ip', 'par.client')")
	run(t, conn, "delete from flyway_schema_history where version::int >= 4")
	run(t, conn, `insert into limits (name, mode, version, updated, body) values ('par.ip', 'off', 7, now(), '{"name": "par.ip", "period": "1s", "version": 7}')`)
	run(t, conn, "insert into consents (user_id, client, scopes, at) values ($1, 'web', '{openid}', now())", [16]byte(user))
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	limits, err := db.Limits(ctx)
	for _, l := range limits {
		versions[l.Name] = l.Version
	}
	if err != nil || versions["par.ip"] != 7 || versions["par.client"] != 1 {
		t.Errorf("got %v, %v", versions, err)
	}
	all, err := db.Consents(ctx, user)
	if err != nil || len(all) != 1 || !all[0].Covers("openid", "") || all[0].Covers("openid", "files") {
		t.Errorf("got %+v, %v", all, err)
	}
	if err := db.SaveConsent(ctx, store.Consent{User: user, Client: "web", Audiences: []string{"files"}}); err != nil {
		t.Fatal(err)
	}
	if all, err = db.Consents(ctx, user); err != nil || !all[0].Covers("openid", "files") {
		t.Errorf("got %+v, %v", all, err)
	}
}
