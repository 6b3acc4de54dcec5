package postgres

import (
	"testing"
	"time"

	"oauth2-server/store"
)

// A replica of an older release runs beside one that has migrated: it goes on
// with tables and with parts of changes that it does not know.
func TestOlderReplicaGoesOnBesideANewerSchema(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	old := connectURL(t, db.options.URL)
	old.steps = old.steps[:1]
	f := follow1(t, old)
	run(t, conn, `insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		values (99, '99', 'newer', 'SQL', 'V99__newer.sql', 1, 'x', 0, true)`)
	run(t, conn, `insert into changes (seq, body) values (nextval('changes_seq') + 1000, '{"newer": {"a": [1]}, "gone": "web", "cutoffs": null}')`)
	if err := f.poll(within(t, 10*time.Second)); err != nil || len(f.seen) != 1 {
		t.Errorf("Poll over a change with unknown parts: %v, saw %v", err, f.seen)
	}
	if _, err := old.Load(within(t, 10*time.Second), func(*store.Change) error { return nil }); err != nil {
		t.Errorf("Load beside a newer schema: %v", err)
	}
}
