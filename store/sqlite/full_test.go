package sqlite

import (
	"errors"
	"testing"
	"time"

	"oauth2-server/store"
)

// A file that cannot grow is a fault, which passes; look-ups go on, and what was acknowledged is there.
func TestFullDiskIsAFaultThatPasses(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	if _, err := db.writer.Exec("pragma max_page_count = 1"); err != nil { // the pages there are, and no more
		t.Fatal(err)
	}
	var kept []store.TokenKey
	insert := func() error {
		row := newToken(time.Now().Add(time.Hour))
		row.Record = make([]byte, 2000)
		err := db.InsertTokens(t.Context(), []store.Token{row})
		if err == nil {
			kept = append(kept, row.TokenKey)
		}
		return err
	}
	err := insert()
	for err == nil {
		err = insert()
	}
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v on a full disk, want a fault", err)
	}
	if _, err := db.Clients(t.Context()); err != nil {
		t.Errorf("a look-up on a full disk: %v", err)
	}
	if _, err := db.writer.Exec("pragma max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := insert(); err != nil {
		t.Errorf("with space again: %v", err)
	}
	found := 0
	if err := db.FindTokens(t.Context(), kept, func(int, []byte) { found++ }); err != nil || found != len(kept) {
		t.Errorf("got %d of %d tokens, %v", found, len(kept), err)
	}
}
