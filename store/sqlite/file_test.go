package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

var tester = store.Actor{Kind: "cli", ID: "tester"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFault checks that err is a fault of the part.
func wantFault(t testing.TB, err error, part string) {
	t.Helper()
	fault, ok := errors.AsType[*store.Fault](err)
	if !ok || fault.Part != part || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got error %v, want a fault of part %q", err, part)
	}
}

func newToken(expires time.Time) store.Token {
	return store.Token{TokenKey: store.TokenKey{ID: store.NewID(time.Now()), Expires: expires.Unix()}, Record: []byte("record")}
}

// has reports which of the tokens have a row.
func has(t testing.TB, db *DB, keys ...store.TokenKey) []bool {
	t.Helper()
	there := make([]bool, len(keys))
	must(t, db.FindTokens(t.Context(), keys, func(i int, _ []byte) { there[i] = true }))
	return there
}

func TestOnlyCreateMakesAFile(t *testing.T) {
	path := newFile(t)
	_, err := Open(Options{Path: path})
	want := "no database at " + path + `: start "oauth2-server serve" or run "oauth2-server migrate" first`
	if !errors.Is(err, store.ErrNotFound) || err.Error() != want {
		t.Errorf("got error %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("a file was made: %v", left)
	}
	open(t, Options{Path: path, Create: true})
	open(t, Options{Path: path})
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true})
	_, err := db.CutOff(t.Context(), tester, store.CutAll, "")
	must(t, err)
	files, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(files) != 3 {
		t.Errorf("got %v, want the file and its two sidecars", files)
	}
	for _, file := range files {
		info, err := file.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", file.Name(), info.Mode())
		}
	}
}

func TestEveryConnectionIsDurable(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	var mode string
	var synchronous int
	must(t, db.writer.QueryRow("pragma journal_mode").Scan(&mode))
	must(t, db.writer.QueryRow("pragma synchronous").Scan(&synchronous))
	if mode != "wal" || synchronous != 2 {
		t.Errorf("journal_mode %s, synchronous %d, want wal and 2 (full)", mode, synchronous)
	}
}

func TestTwoProcessesOnOneFile(t *testing.T) {
	path := newFile(t)
	handles := []*DB{open(t, Options{Path: path, Create: true}), open(t, Options{Path: path})}
	before, err := handles[0].Load(t.Context(), func(*store.Change) error { return nil })
	must(t, err)
	const workers, each = 8, 10
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for j := range each {
				if _, err := handles[i%2].CutOff(t.Context(), tester, store.CutSubject, fmt.Sprint(i, "-", j)); err != nil {
					t.Errorf("cut off: %v", err)
				}
				if err := handles[i%2].InsertTokens(t.Context(), []store.Token{newToken(time.Now().Add(time.Hour))}); err != nil {
					t.Errorf("insert: %v", err)
				}
			}
		})
	}
	group.Wait()
	for i, db := range handles {
		n := 0
		_, err := db.Poll(t.Context(), before.Cursor, func(c *store.Change) error { n++; return nil })
		must(t, err)
		if n != workers*each {
			t.Errorf("handle %d sees %d changes, want %d", i, n, workers*each)
		}
	}
}

// lock makes another process hold the write lock until the function returned is called.
func lock(t *testing.T, path string) (unlock func()) {
	t.Helper()
	tx, err := open(t, Options{Path: path}).writer.BeginTx(t.Context(), nil)
	must(t, err)
	return func() { must(t, tx.Rollback()) }
}

func TestLockedIsUnavailableAfterTheWait(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true, Wait: 20 * time.Millisecond})
	unlock := lock(t, path)
	_, err := db.CutOff(t.Context(), tester, store.CutAll, "")
	wantFault(t, err, "query")
	_, err = db.Load(t.Context(), func(*store.Change) error { return nil })
	must(t, err) // readers wait for nobody
	unlock()
	_, err = db.CutOff(t.Context(), tester, store.CutAll, "")
	must(t, err)
}

func TestLockedIsUnavailableAtTheDeadline(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true, Wait: time.Hour}) // only the context can end the wait
	unlock := lock(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantFault(t, db.InsertTokens(ctx, []store.Token{newToken(time.Now().Add(time.Hour))}), "query")
	unlock()
	must(t, db.InsertTokens(t.Context(), []store.Token{newToken(time.Now().Add(time.Hour))}))
}

func TestLockedIsWaitedFor(t *testing.T) {
	path := newFile(t)
	db := open(t, Options{Path: path, Create: true})
	unlock := lock(t, path)
	done := make(chan error)
	go func() { done <- db.Deny(t.Context(), []store.Denial{{Kind: store.DenyToken, Expires: 1 << 40}}) }()
	for db.writer.Stats().InUse == 0 { // it has not begun to wait
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	unlock()
	must(t, <-done)
}

func TestAbandonedCallsKeepTheMemory(t *testing.T) {
	db := open(t, Options{Path: Memory})
	_, err := db.CutOff(t.Context(), tester, store.CutAll, "")
	must(t, err)
	ended := 0
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, err := db.CutOff(ctx, tester, store.CutSubject, fmt.Sprint(i))
		switch {
		case err == nil:
			ended++
		case !errors.Is(err, store.ErrUnavailable):
			t.Errorf("got error %v", err)
		}
		cancel()
	}
	all, err := db.Cutoffs(t.Context())
	must(t, err)
	if len(all) < 1+ended {
		t.Errorf("%d cut-offs are left of %d that were acknowledged", len(all), 1+ended)
	}
}
