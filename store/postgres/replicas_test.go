package postgres

import (
	"testing"
	"time"

	"oauth2-server/store"
)

// Rows of other versions are listed: the one before has no vitals, and one to come may mean another thing by a name.
func TestReplicasOfOtherVersions(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	for _, body := range []string{"{}", `{"ready": "in part", "host": "pod-1"}`, `[1]`} {
		run(t, conn, `insert into replicas (id, version, started, public, admin, fence_ms, position, seen, body)
			values (gen_random_uuid(), 'v9', clock_timestamp(), '10.0.0.1:8080', '', 1, 2, clock_timestamp(), '`+body+`')`)
	}
	all, err := db.Replicas(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("got %+v, %v", all, err)
	}
	for _, r := range all {
		if r.Version != "v9" || r.Vitals.Ready || r.Vitals.Memory != 0 {
			t.Errorf("got %+v", r)
		}
	}
}

func TestReplicasSinceListsTheGone(t *testing.T) {
	db := openDB(t)
	r := store.Replica{ID: store.NewID(time.Now()), Started: time.Now(), Vitals: store.Vitals{Host: "pod-1"}}
	if err := db.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	run(t, sql(t, db.options.URL), "update replicas set seen = clock_timestamp() - interval '1 hour'")
	f := func(ago time.Duration, want int) {
		t.Helper()
		all, err := db.ReplicasSince(t.Context(), time.Now().Add(-ago))
		if err != nil || len(all) != want || want > 0 && all[0].Vitals.Host != "pod-1" {
			t.Errorf("since %s: got %+v, %v, want %d", ago, all, err, want)
		}
	}
	f(2*time.Hour, 1)
	f(time.Minute, 0)
	if all, err := db.Replicas(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("alive: got %+v, %v", all, err)
	}
}

// A crash loop leaves many rows: the list has the newest of them.
func TestReplicasSinceIsBounded(t *testing.T) {
	db := openDB(t)
	run(t, sql(t, db.options.URL), `insert into replicas (id, version, started, public, admin, fence_ms, position, seen)
		select gen_random_uuid(), 'v9', clock_timestamp() - i * interval '1 s', '', '', 0, i, clock_timestamp() from generate_series(1, 1200) i`)
	all, err := db.ReplicasSince(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || len(all) != store.MaxReplicas || all[0].Position != 1 || all[len(all)-1].Position != store.MaxReplicas {
		t.Errorf("got %d, %v", len(all), err)
	}
}
