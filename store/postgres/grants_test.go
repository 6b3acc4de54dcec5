package postgres

import (
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestGrantsAreFoundByIndex(t *testing.T) {
	db := openDB(t)
	ids := seedGrants(t, db, 20_000)
	f := func(query store.GrantQuery, index string) {
		t.Helper()
		where, args := grantsWhere(query, "id")
		for i, arg := range args {
			if id, ok := arg.([16]byte); ok {
				args[i] = store.ID(id)
			}
		}
		got := plan(t, db, "select id from grants where "+where+" order by id desc limit 50", args...)
		if !strings.Contains(got, " "+index+" ") || strings.Contains(got, "Seq Scan") {
			t.Errorf("%+v is found by\n%s", query, got)
		}
	}
	f(store.GrantQuery{ID: ids[7]}, "grants_pkey")
	f(store.GrantQuery{Subject: "user 7", Live: true}, "grants_subject")
	f(store.GrantQuery{Session: ids[7]}, "grants_session")
	f(store.GrantQuery{Client: "other"}, "grants_client")
}

// A rotation touches no index: it stays on the row's page.
func TestRotationsTouchNoIndex(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	id := seedGrants(t, db, 1)[0]
	for generation := uint32(1); generation <= 20; generation++ {
		err := db.RotateGrants(within(t, 10*time.Second), []store.Rotation{{Grant: id, Client: "web", Generation: generation}}, func(int, store.Rotated) {})
		if err != nil {
			t.Fatal(err)
		}
	}
	if page := get[string](t, conn, "select (ctid::text::point)[0]::text from grants"); page != "0" {
		t.Errorf("after 20 rotations the row is on page %s, want its first", page)
	}
}

func TestMaintainForgetsWhatPeopleLeft(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	seedGrants(t, db, 4)
	run(t, conn, "update grants set ends = now() - interval '7 days 1 minute' where id < '01900000-0000-7000-8000-000000000003'")
	run(t, conn, "update grants set ends = now() - interval '6 days' where id = '01900000-0000-7000-8000-000000000003'")
	if _, err := db.CreateClient(t.Context(), store.Actor{}, store.Client{ID: "web"}); err != nil {
		t.Fatal(err)
	}
	run(t, conn, `insert into codes select gen_random_uuid(), 'web', '', gen_random_uuid(), false, '','', '', now() - i * interval '50 minutes', null, gen_random_uuid(), '{}' from generate_series(1, 2) i`)
	run(t, conn, "insert into pushed select gen_random_uuid(), 'web', '', now() + i * interval '1 hour' from unnest(array[-1, 1]) i")
	run(t, conn, "insert into jtis select i::text::bytea, now() + i * interval '1 hour' from unnest(array[-1, 1]) i")
	run(t, conn, "insert into logouts select gen_random_uuid(), 'web', '', gen_random_uuid(), 0, now() + i * interval '1 hour' from unnest(array[-25, -23]) i")
	if err := db.Maintain(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"grants": 2, "codes": 1, "pushed": 1, "jtis": 1, "logouts": 1} {
		if n := get[int](t, conn, "select count(*) from "+table); n != want {
			t.Errorf("%d rows of %s are left, want %d", n, table, want)
		}
	}
}
