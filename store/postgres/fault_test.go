package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// ownServer is a server that the test may hurt, with a migrated store on it.
func ownServer(t testing.TB) (*private.Postgres, *DB) {
	t.Helper()
	server, database := private.TestOwnPostgres(t)
	return server, openURL(t, database)
}

// wantFault checks that err is a fault of the part.
func wantFault(t testing.TB, what string, err error, part string) {
	t.Helper()
	fault, ok := errors.AsType[*store.Fault](err)
	if !ok || !errors.Is(err, store.ErrUnavailable) || fault.Part != part {
		t.Errorf("%s: got %v, want a fault of part %q", what, err, part)
	}
}

func token(lives time.Duration) store.Token {
	now := time.Now()
	key := store.TokenKey{ID: store.NewID(now), Expires: now.Add(lives).Unix()}
	return store.Token{TokenKey: key, Record: []byte("record of " + key.ID.String())}
}

// calls is every method that waits for the database.
func calls(db *DB, f *follower) map[string]func(ctx context.Context) error {
	client := store.Client{ID: "web"}
	row := token(time.Hour)
	denials := []store.Denial{{Kind: store.DenyToken, ID: row.ID, Expires: row.Expires}}
	ignore := func(*store.Change) error { return nil }
	return map[string]func(ctx context.Context) error{
		"InsertTokens": func(ctx context.Context) error { return db.InsertTokens(ctx, []store.Token{row}) },
		"FindTokens": func(ctx context.Context) error {
			return db.FindTokens(ctx, []store.TokenKey{row.TokenKey}, func(int, []byte) {})
		},
		"Load":         func(ctx context.Context) error { _, err := db.Load(ctx, ignore); return err },
		"Poll":         func(ctx context.Context) error { _, err := db.Poll(ctx, f.cursor, ignore); return err },
		"Deny":         func(ctx context.Context) error { return db.Deny(ctx, denials) },
		"CutOff":       func(ctx context.Context) error { _, err := db.CutOff(ctx, tester, store.CutAll, ""); return err },
		"Rewrite":      func(ctx context.Context) error { return db.Rewrite(ctx, tester, 1, denials, nil) },
		"CreateClient": func(ctx context.Context) error { _, err := db.CreateClient(ctx, tester, client); return err },
		"UpdateClient": func(ctx context.Context) error {
			_, err := db.UpdateClient(ctx, tester, "web", func(*store.Client) error { return nil })
			return err
		},
		"DeleteClient": func(ctx context.Context) error { return db.DeleteClient(ctx, tester, "web", nil) },
		"Client":       func(ctx context.Context) error { _, err := db.Client(ctx, "web"); return err },
		"Clients":      func(ctx context.Context) error { _, err := db.Clients(ctx); return err },
		"ChangeKeys": func(ctx context.Context) error {
			return db.ChangeKeys(ctx, tester, "keys.add", func([]store.Key) ([]store.Key, error) { return nil, nil })
		},
		"FindToken": func(ctx context.Context) error { _, err := db.FindToken(ctx, row.ID); return err },
		"NewestTokens": func(ctx context.Context) error {
			return db.NewestTokens(ctx, store.ID{}, 10, func(store.Token) bool { return true })
		},
		"CountTokens": func(ctx context.Context) error { _, err := db.CountTokens(ctx); return err },
		"ChangeLimit": func(ctx context.Context) error {
			_, err := db.ChangeLimit(ctx, tester, "limit.delete", "one", func(*store.Limit) (*store.Limit, error) { return nil, nil })
			return err
		},
		"Limits": func(ctx context.Context) error { _, err := db.Limits(ctx); return err },
		"SaveLimitMinute": func(ctx context.Context) error {
			return db.SaveLimitMinute(ctx, store.LimitMinute{Replica: row.ID}, []store.RefusedKey{{Limit: "one"}})
		},
		"LimitMinutes": func(ctx context.Context) error { _, err := db.LimitMinutes(ctx, 0); return err },
		"NewlyRefused": func(ctx context.Context) error { _, err := db.NewlyRefused(ctx, "one", 1); return err },
		"ChangeUser": func(ctx context.Context) error {
			_, err := db.ChangeUser(ctx, tester, "user.delete", row.ID, func(*store.User) (*store.User, error) { return nil, nil })
			return err
		},
		"PutCode": func(ctx context.Context) error {
			return db.PutCode(ctx, store.Code{ID: row.ID, Expires: row.Expires}, store.ID{})
		},
		"RotateGrants": func(ctx context.Context) error {
			return db.RotateGrants(ctx, []store.Rotation{{Grant: row.ID}}, func(int, store.Rotated) {})
		},
		"SetKept": func(ctx context.Context) error {
			return db.SetKept(ctx, tester, store.KeptAudit, func(*store.Kept) error { return nil })
		},
		"Grant":           func(ctx context.Context) error { _, err := db.Grant(ctx, row.ID); return err },
		"FinishLogout":    func(ctx context.Context) error { return db.FinishLogout(ctx, row.ID) },
		"User":            func(ctx context.Context) error { _, err := db.User(ctx, row.ID); return err },
		"UserByName":      func(ctx context.Context) error { _, err := db.UserByName(ctx, "alice"); return err },
		"Users":           func(ctx context.Context) error { _, err := db.Users(ctx, "", 10); return err },
		"ResetKeys":       func(ctx context.Context) error { return db.ResetKeys(ctx, tester, nil) },
		"Keys":            func(ctx context.Context) error { _, err := db.Keys(ctx); return err },
		"Denied":          func(ctx context.Context) error { _, err := db.Denied(ctx, store.DenyToken, row.ID); return err },
		"Cutoffs":         func(ctx context.Context) error { _, err := db.Cutoffs(ctx); return err },
		"Audits":          func(ctx context.Context) error { _, err := db.Audits(ctx, store.AuditQuery{Limit: 1}); return err },
		"Register":        func(ctx context.Context) error { return db.Register(ctx, store.Replica{ID: row.ID}) },
		"Replicas":        func(ctx context.Context) error { _, err := db.Replicas(ctx); return err },
		"Census":          func(ctx context.Context) error { _, err := db.Census(ctx); return err },
		"Maintain":        db.Maintain,
		"Prune":           func(ctx context.Context) error { _, err := db.Prune(ctx); return err },
		"Kept":            func(ctx context.Context) error { _, err := db.Kept(ctx); return err },
		"Migrate":         func(ctx context.Context) error { _, err := db.Migrate(ctx); return err },
		"MigrationStatus": func(ctx context.Context) error { _, err := db.MigrationStatus(ctx); return err },
	}
}

// A stopped server keeps its connections open and answers nothing. Each call must end with its
// deadline, on connections used before and on new ones, and after the
// server continues the next call must work.
func TestStoppedServerEndsEachCallByItsDeadline(t *testing.T) {
	server, db := ownServer(t)
	f := follow1(t, db)
	all := calls(db, f)
	for _, call := range all { // warm: connections and statements are there, whatever the answer
		_ = call(within(t, 10*time.Second))
	}
	server.Stop()
	for range 2 {
		var group sync.WaitGroup
		for name, call := range all {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				err := call(ctx)
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s on a stopped server: got %v, want %v", name, err, store.ErrUnavailable)
				}
			})
		}
		group.Wait() // returns while the server is stopped, or the test hangs
		for _, stats := range db.Stats() {
			if stats.Acquired != 0 {
				t.Errorf("pool %s waits for connections that it gave up: %+v", stats.Name, stats)
			}
		}
	}
	server.Continue()
	if err := f.poll(within(t, 10*time.Second)); err != nil {
		t.Errorf("Poll after the server continued: %v", err)
	}
	if err := db.InsertTokens(within(t, 10*time.Second), []store.Token{token(time.Hour)}); err != nil {
		t.Errorf("InsertTokens after the server continued: %v", err)
	}
}

// The server stops while a transaction is open: its rollback has the deadline too.
func TestServerStoppedWithinATransaction(t *testing.T) {
	server, db := ownServer(t)
	if _, err := db.CreateClient(within(t, 10*time.Second), tester, store.Client{ID: "web"}); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	_, err := db.UpdateClient(within(t, 3*time.Second), tester, "web", func(*store.Client) error {
		server.Stop()
		return mine
	})
	if err != mine { //nolint:errorlint // as it is, not wrapped
		t.Errorf("UpdateClient = %v, want the error of change", err)
	}
	server.Continue()
	client, err := db.UpdateClient(within(t, 10*time.Second), tester, "web", func(c *store.Client) error { return nil })
	if err != nil || client.Version != 2 {
		t.Errorf("UpdateClient afterwards = %v, version %d, want 2", err, client.Version)
	}
}

func TestCallWithoutDeadlineGetsOne(t *testing.T) {
	server, db := ownServer(t)
	quick, err := Open(Options{URL: db.options.URL, ReadConns: 1, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer quick.Close()
	if _, err := quick.Clients(context.Background()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	_, err = quick.Clients(context.Background()) // returns while the server is stopped, or the test hangs
	wantFault(t, "Clients", err, store.StepQuery)
	server.Continue()
}

// What InsertTokens acknowledged is there after the server and all its processes were killed.
func TestAcknowledgedTokensSurviveKill(t *testing.T) {
	server, db := ownServer(t)
	var (
		mu    sync.Mutex
		acked []store.TokenKey
		group sync.WaitGroup
	)
	enough := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for {
				rows := []store.Token{token(time.Hour), token(25 * time.Hour)}
				if err := db.InsertTokens(within(t, 2*time.Second), rows); err != nil {
					if !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("InsertTokens = %v, want %v", err, store.ErrUnavailable)
					}
					return
				}
				mu.Lock()
				acked = append(acked, rows[0].TokenKey, rows[1].TokenKey)
				if len(acked) == 200 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	server.Kill()
	group.Wait()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	found := 0
	for chunk := range slices.Chunk(acked, 1000) {
		err := db.FindTokens(within(t, 10*time.Second), chunk, func(int, []byte) { found++ })
		if err != nil { // one refusal for each connection that died with the server
			err = db.FindTokens(within(t, 10*time.Second), chunk, func(int, []byte) { found++ })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if found != len(acked) {
		t.Errorf("found %d of %d acknowledged tokens", found, len(acked))
	}
}

func TestFaultsNameTheirPart(t *testing.T) {
	good := private.TestDatabase(t)
	change := func(edit func(*url.URL)) string {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		edit(u)
		return u.String()
	}
	f := func(part, address string) {
		t.Helper()
		db := connectURL(t, address)
		_, err := db.Load(within(t, 5*time.Second), func(*store.Change) error { return nil })
		wantFault(t, "Load", err, part)
		if way := Reach(t.Context(), address); len(way) != 1 || way[0].Step != part {
			t.Errorf("Reach = %+v, want the step %s", way, part)
		}
		wantFault(t, "InsertTokens", db.InsertTokens(within(t, 5*time.Second), []store.Token{token(time.Hour)}), part)
	}
	f(store.StepName, change(func(u *url.URL) { u.Host = "no-such-host.invalid:5432" }))
	f(store.StepTCP, change(func(u *url.URL) { u.Host = "127.0.0.1:1" }))
	f(store.StepDatabase, change(func(u *url.URL) { u.Path = "/nosuch" }))
	f(store.StepAuthentication, change(func(u *url.URL) { u.User = url.User("nobody_of_this_name") }))
	f(store.StepSchema, good) // not migrated
}

func TestStandbyIsNotThePrimary(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	server, err := private.StartPostgres(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	db := openURL(t, server.URL("postgres"))
	f := follow1(t, db)
	server.Kill()
	folders, err := filepath.Glob(filepath.Join(dir, "*", "data"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("data folder: %v, %v", folders, err)
	}
	if err := os.WriteFile(filepath.Join(folders[0], "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	db = connectURL(t, server.URL("postgres"))
	f.db = db
	wantFault(t, "Poll", f.poll(within(t, 10*time.Second)), store.StepPrimary)
	_, err = db.Load(within(t, 10*time.Second), func(*store.Change) error { return nil })
	wantFault(t, "Load", err, store.StepPrimary)
	_, err = db.CutOff(within(t, 10*time.Second), tester, store.CutAll, "")
	wantFault(t, "CutOff", err, store.StepPrimary)
	wantFault(t, "InsertTokens", db.InsertTokens(within(t, 10*time.Second), []store.Token{token(time.Hour)}), store.StepPrimary)
}

// One pool full of waiting calls must not delay another.
func TestPoolsAreApart(t *testing.T) {
	db := openDB(t)
	f := follow1(t, db)
	blocker := sql(t, db.options.URL)
	run(t, blocker, "begin")
	run(t, blocker, "lock table tokens in access exclusive mode")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _ = db.InsertTokens(ctx, []store.Token{token(time.Hour)}) })
		group.Go(func() { _ = db.FindTokens(ctx, []store.TokenKey{token(time.Hour).TokenKey}, func(int, []byte) {}) })
	}
	for busy := false; !busy; {
		stats := db.Stats()
		runtime.Gosched()
		busy = stats[2].Acquired == stats[2].Limit && stats[3].Acquired == stats[3].Limit
	}
	short, cancelShort := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancelShort()
	wantFault(t, "a full pool", db.InsertTokens(short, []store.Token{token(time.Hour)}), store.StepQuery)
	if _, err := db.CutOff(within(t, 2*time.Second), tester, store.CutAll, ""); err != nil {
		t.Errorf("CutOff beside full pools: %v", err)
	}
	if err := f.poll(within(t, 2*time.Second)); err != nil || len(f.seen) != 1 {
		t.Errorf("Poll beside full pools: %v, saw %v", err, f.seen)
	}
	if waits := db.Stats()[2].Waits; waits == 0 {
		t.Error("no wait was counted on a full pool")
	}
	run(t, blocker, "rollback")
	cancel()
	group.Wait()
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	db, err := Open(Options{URL: private.TestDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = db.Keys(t.Context())
		wantFault(t, "Keys without a schema", err, store.StepSchema)
	}
	if stats := db.Stats()[3]; stats.Name != "read" || stats.Total == 0 || stats.Idle != stats.Total || stats.Acquired != 0 {
		t.Errorf("before Close the pool is %+v", stats)
	}
	db.Close()
	_, err = db.Keys(t.Context())
	wantFault(t, "Keys", err, store.StepQuery)
	for _, stats := range db.Stats() {
		if stats.Total != 0 {
			t.Errorf("pool %s has %d connections after Close", stats.Name, stats.Total)
		}
	}
}

func TestObserveNamesAreTheClosedSet(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	address := private.TestDatabase(t)
	db, err := Open(Options{URL: address, Observe: func(query string, _ time.Duration, _ error) {
		mu.Lock()
		defer mu.Unlock()
		seen[query]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls(db, follow1(t, db)) {
		_ = call(within(t, 10*time.Second))
	}
	for name := range seen {
		if !slices.Contains(Queries[:], name) {
			t.Errorf("Observe was called with %q, which Queries lacks", name)
		}
	}
	for _, name := range Queries {
		if seen[name] == 0 {
			t.Errorf("Observe was never called with %q", name)
		}
	}
}

func TestOpenRefusesBadURLsWithoutShowingThem(t *testing.T) {
	f := func(address string) {
		t.Helper()
		db, err := Open(Options{URL: address})
		if err == nil {
			db.Close()
			t.Errorf("Open took a bad URL")
		} else if text := fmt.Sprint(err); strings.Contains(text, "hunter2") {
			t.Errorf("the error shows the password: %s", text)
		}
	}
	f("postgres://user:hunter2@host:notaport/db")
	f("postgres://user:hunter2@host/db?sslmode=wrong")
	f("host=x password=hunter2 port=abc")
	f("postgres://user:hunter2@host/db?default_query_exec_mode=simple_protocol")
	f("postgres://user:hunter2@%zz/db")
}
