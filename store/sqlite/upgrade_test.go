package sqlite

import (
	"testing"

	"oauth2-server/store"
)

// A process of an older release has the file open while a newer one writes: it goes on
// over parts of changes that it does not know.
func TestUnknownPartsOfAChangeAreIgnored(t *testing.T) {
	db := open(t, Options{Path: Memory})
	beat, err := db.Load(t.Context(), func(*store.Change) error { return nil })
	must(t, err)
	_, err = db.writer.Exec(`insert into changes (seq, tag, at, body) values (?, 1, 0, '{"newer": {"a": [1]}, "gone": "web"}')`, beat.Cursor.Seq+1)
	must(t, err)
	var told []store.Change
	_, err = db.Poll(t.Context(), beat.Cursor, func(c *store.Change) error { told = append(told, *c); return nil })
	must(t, err)
	if len(told) != 1 || told[0].Gone != "web" {
		t.Errorf("told of %+v", told)
	}
}
