package postgres

import (
	"fmt"
	"testing"
	"time"

	"oauth2-server/store"
)

// seedGrants makes n live grants of the client web, and returns their ids.
func seedGrants(t testing.TB, db *DB, n int) []store.ID {
	t.Helper()
	conn := sql(t, db.options.URL)
	run(t, conn, fmt.Sprintf(`insert into grants (%s, ends) select ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'web', 'user ' || i %% 1000, 'openid', '',
		gen_random_uuid(), 0, '', true, true, 0, 1, 1, now(), now(), now(), now() + interval '1 day', false, now() + interval '1 day' from generate_series(1, %d) i`, grantColumns, n))
	run(t, conn, "vacuum analyze grants")
	ids := make([]store.ID, n)
	for i := range ids {
		var err error
		if ids[i], err = store.ParseID(fmt.Sprintf("01900000-0000-7000-8000-%012x", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// BenchmarkRotateGrants is batches of 64 rotations of 20,000 grants, one batch after another.
func BenchmarkRotateGrants(b *testing.B) {
	db := openDB(b)
	ids := seedGrants(b, db, 20_000)
	generations := make([]uint32, len(ids))
	rotations := make([]store.Rotation, 64)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i := range rotations {
			at := (n*7919 + i*331) % len(ids)
			generations[at]++
			rotations[i] = store.Rotation{Grant: ids[at], Client: "web", Generation: generations[at], Key: 1, Grace: time.Minute}
		}
		n++
		err := db.RotateGrants(b.Context(), rotations, func(i int, r store.Rotated) {
			if r.Outcome != store.RotationDone {
				b.Errorf("rotation %d: %+v", i, r)
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*len(rotations))/b.Elapsed().Seconds(), "rotations/s")
}
