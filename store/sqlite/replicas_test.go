package sqlite

import (
	"testing"
	"time"

	"oauth2-server/store"
)

func TestReplicasSinceListsTheGone(t *testing.T) {
	db, c := openWithClock(t)
	var want []store.ID
	for range 2 {
		c.at = c.at.Add(time.Hour)
		r := store.Replica{ID: store.NewID(c.at), Started: c.at, Vitals: store.Vitals{Host: "pod-1"}}
		if err := db.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want = append(want, r.ID)
	}
	f := func(ago time.Duration, want ...store.ID) {
		t.Helper()
		all, err := db.ReplicasSince(t.Context(), c.at.Add(-ago))
		if err != nil || len(all) != len(want) {
			t.Fatalf("since %s: got %+v, %v, want %d", ago, all, err, len(want))
		}
		for i, r := range all {
			if r.ID != want[i] || r.Vitals.Host != "pod-1" {
				t.Errorf("since %s: got %+v in place %d, want %s", ago, r, i, want[i])
			}
		}
	}
	f(2*time.Hour, want[1], want[0])
	f(time.Minute, want[1])
	if all, err := db.Replicas(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("alive: got %+v, %v", all, err)
	}
}
