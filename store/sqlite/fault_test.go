package sqlite

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestFullDiskIsUnavailableAndNothingDone(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	_, err := db.writer.Exec("pragma max_page_count = 1") // not below what is used: the file cannot grow
	must(t, err)
	big := newToken(time.Now().Add(time.Hour))
	big.Record = make([]byte, 1<<20)
	small := newToken(time.Now().Add(time.Hour))
	wantFault(t, db.InsertTokens(t.Context(), []store.Token{small, big}), "query")
	if got := has(t, db, small.TokenKey, big.TokenKey); slices.Contains(got, true) {
		t.Errorf("rows of a batch that failed: %v", got)
	}
	_, err = db.writer.Exec("pragma max_page_count = 1000000")
	must(t, err)
	must(t, db.InsertTokens(t.Context(), []store.Token{small, big}))
}

func TestReadOnlyIsUnavailable(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	_, err := db.writer.Exec("pragma query_only = 1")
	must(t, err)
	_, err = db.CreateClient(t.Context(), tester, store.Client{ID: "web"})
	wantFault(t, err, "query")
	_, err = db.Clients(t.Context())
	must(t, err)
}

func TestWhatIsNoDatabaseDoesNotOpen(t *testing.T) {
	path := newFile(t)
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	_, err := Open(Options{Path: path})
	wantFault(t, err, "file")
	_, err = Open(Options{Path: t.TempDir(), Create: true})
	wantFault(t, err, "file")
	_, err = Open(Options{Path: path + "/below/a.db", Create: true})
	wantFault(t, err, "file")
}

func TestMissingTablesAreAFaultOfTheSchema(t *testing.T) {
	db, err := Open(Options{Path: newFile(t), Create: true})
	must(t, err)
	t.Cleanup(db.Close)
	_, err = db.Client(t.Context(), "web")
	wantFault(t, err, "schema")
	_, err = db.Poll(t.Context(), store.Cursor{Seq: 1}, func(*store.Change) error { return nil })
	wantFault(t, err, "schema")
	wantFault(t, db.InsertTokens(t.Context(), []store.Token{newToken(time.Now())}), "schema")
	_, err = db.Migrate(t.Context())
	must(t, err)
	_, err = db.Poll(t.Context(), store.Cursor{Seq: 1}, func(*store.Change) error { return nil })
	if !errors.Is(err, store.ErrNotFound) { // the statement is prepared now
		t.Errorf("got error %v, want %v", err, store.ErrNotFound)
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	db := open(t, Options{Path: newFile(t), Create: true})
	db.Close()
	_, err := db.CutOff(t.Context(), tester, store.CutAll, "")
	wantFault(t, err, "query")
	_, err = db.Clients(t.Context())
	wantFault(t, err, "query")
}

func TestObserveIsToldOfEachCall(t *testing.T) {
	var mu sync.Mutex
	told := map[string]error{}
	db := open(t, Options{Path: Memory, Observe: func(query string, d time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		if d <= 0 {
			t.Errorf("%s took %v", query, d)
		}
		told[query] = err
	}})
	ctx := t.Context()
	ignore := func(*store.Change) error { return nil }
	beat, err := db.Load(ctx, ignore)
	must(t, err)
	must(t, db.InsertTokens(ctx, []store.Token{newToken(time.Now())}))
	has(t, db, store.TokenKey{})
	must(t, db.Deny(ctx, []store.Denial{{Kind: store.DenyToken}}))
	_, err = db.CutOff(ctx, tester, store.CutAll, "")
	must(t, err)
	_, err = db.CreateClient(ctx, tester, store.Client{ID: "web"})
	must(t, err)
	must(t, db.ResetKeys(ctx, tester, nil))
	must(t, db.Register(ctx, store.Replica{}))
	must(t, db.SaveLimitMinute(ctx, store.LimitMinute{}, nil))
	_, err = db.ChangeLimit(ctx, tester, "limit.create", "one", func(*store.Limit) (*store.Limit, error) { return &store.Limit{}, nil })
	must(t, err)
	_, err = db.ChangeUser(ctx, tester, "user.create", store.ID{1}, func(*store.User) (*store.User, error) { return &store.User{}, nil })
	must(t, err)
	must(t, db.Maintain(ctx))
	if _, err := db.Poll(ctx, store.Cursor{Seq: beat.Cursor.Seq, Tag: beat.Cursor.Tag + 1}, ignore); err == nil {
		t.Error("poll with a wrong tag: no error")
	}
	for _, query := range []string{"load", "insert_tokens", "find_tokens", "deny", "cutoff", "client", "keys", "limit", "limit_minute", "user", "register", "maintain", "migrate"} {
		if err, ok := told[query]; !ok || err != nil {
			t.Errorf("%s: told %v, error %v", query, ok, err)
		}
	}
	if !errors.Is(told["poll"], store.ErrNotFound) {
		t.Errorf("poll: told of error %v, want %v", told["poll"], store.ErrNotFound)
	}
}
