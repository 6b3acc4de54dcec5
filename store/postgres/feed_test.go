package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

var tester = store.Actor{Kind: "cli", ID: "tester"}

// follower is what a replica does with the feed.
type follower struct {
	db     *DB
	cursor store.Cursor
	seen   []store.Position
}

func follow1(t testing.TB, db *DB) *follower {
	t.Helper()
	beat, err := db.Load(within(t, 10*time.Second), func(*store.Change) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return &follower{db: db, cursor: beat.Cursor}
}

func (f *follower) poll(ctx context.Context) error {
	beat, err := f.db.Poll(ctx, f.cursor, func(c *store.Change) error {
		f.seen = append(f.seen, c.Seq)
		return nil
	})
	if err == nil {
		f.cursor = beat.Cursor
	}
	return err
}

// until polls until the feed has reached seq.
func (f *follower) until(ctx context.Context, seq store.Position) error {
	for f.cursor.Seq < seq {
		if err := f.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sql is a connection of the test's own.
func sql(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t, 10*time.Second), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func run(t testing.TB, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(within(t, 10*time.Second), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func get[T any](t testing.TB, conn *pgx.Conn, query string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(within(t, 10*time.Second), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// A transaction that has drawn its number and commits late must not be passed
// by another: a follower would step over its change for ever.
func TestSlowWriterIsNotPassed(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 30*time.Second)
	f := follow1(t, db)
	conn := sql(t, db.options.URL)
	slow, err := begin(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.draw(); err != nil {
		t.Fatal(err)
	}

	passing := make(chan store.Cutoff, 1)
	go func() {
		cut, err := db.CutOff(ctx, tester, store.CutSubject, "bob")
		if err != nil {
			t.Error(err)
		}
		passing <- cut
	}()
	watch := sql(t, db.options.URL)
	for get[int](t, watch, "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())") == 0 {
		if len(passing) > 0 {
			t.Error("a second writer drew its number while the first held the lock")
			break
		}
	}
	if err := f.poll(ctx); err != nil {
		t.Fatal(err)
	}
	if err := slow.publish(&story{audit: noAudit}); err != nil {
		t.Fatal(err)
	}
	cut := <-passing
	if err := f.until(ctx, cut.Number); err != nil {
		t.Fatal(err)
	}
	if want := []store.Position{slow.seq, cut.Number}; !slices.Equal(f.seen, want) {
		t.Errorf("the follower saw %v, want %v", f.seen, want)
	}
}

func TestFollowersSeeOneOrder(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 60*time.Second)
	var followers [3]*follower
	for i := range followers {
		followers[i] = follow1(t, connectURL(t, db.options.URL))
	}
	done := make(chan struct{})
	var following, writing sync.WaitGroup
	for _, f := range followers {
		following.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := f.poll(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 64 {
		writing.Go(func() {
			if err := mutateSomehow(ctx, db, i); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	close(done)
	following.Wait()

	rows, _ := sql(t, db.options.URL).Query(ctx, "select seq from changes order by seq offset 1")
	want, err := pgx.CollectRows(rows, pgx.RowTo[store.Position])
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 64 {
		t.Errorf("the feed has %d changes, want 64", len(want))
	}
	for i, f := range followers {
		if err := f.until(ctx, want[len(want)-1]); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.seen, want) {
			t.Errorf("follower %d saw %v, want %v", i, f.seen, want)
		}
	}
}

func mutateSomehow(ctx context.Context, db *DB, i int) error {
	switch i % 3 {
	case 0:
		_, err := db.CutOff(ctx, tester, store.CutSubject, fmt.Sprint("subject", i%6))
		return err
	case 1:
		_, err := db.CreateClient(ctx, tester, store.Client{ID: fmt.Sprint("client", i)})
		return err
	default:
		expires := time.Now().Add(time.Hour).Unix()
		return db.Deny(ctx, []store.Denial{{Kind: store.DenyToken, ID: store.NewID(time.Now()), Expires: expires}})
	}
}

func TestForgedHistoryIsNotFollowed(t *testing.T) {
	f := func(name, forge string) {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			if _, err := db.CutOff(t.Context(), tester, store.CutAll, ""); err != nil {
				t.Fatal(err)
			}
			f := follow1(t, db)
			if err := f.poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			run(t, sql(t, db.options.URL), forge)
			if err := f.poll(t.Context()); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Poll = %v, want %v", err, store.ErrNotFound)
			}
			if again := follow1(t, db); again.poll(t.Context()) != nil {
				t.Error("after a new Load the feed cannot be followed")
			}
		})
	}
	f("row at the cursor is gone", "delete from changes where seq = (select max(seq) from changes)")
	f("row has another tag", "update changes set tag = tag + 1")
	f("restored and continued", "delete from changes where seq > 1; select setval('changes_seq', 1); insert into changes (seq, body) values (nextval('changes_seq'), '{}'), (nextval('changes_seq'), '{}')")
}

func TestErrorOfCallerComesBackAsItIs(t *testing.T) {
	db := openDB(t)
	ctx := t.Context()
	mine := errors.New("mine")
	fail := func(*store.Change) error { return mine }
	start := follow1(t, db).cursor
	if _, err := db.CreateClient(ctx, tester, store.Client{ID: "web"}); err != nil {
		t.Fatal(err)
	}
	f := func(what string, err error) {
		t.Helper()
		if err != mine { //nolint:errorlint // as it is, not wrapped
			t.Errorf("%s = %v, want the caller's error", what, err)
		}
	}
	_, err := db.Poll(ctx, start, fail)
	f("Poll", err)
	_, err = db.Load(ctx, fail)
	f("Load", err)
	_, err = db.UpdateClient(ctx, tester, "web", func(*store.Client) error { return mine })
	f("UpdateClient", err)
}

// Load streams: what it holds must not grow with the denials.
func TestLoadHandsOutDenialsInBoundedChanges(t *testing.T) {
	db := openDB(t)
	run(t, sql(t, db.options.URL), `insert into denials select 1, gen_random_uuid(), now() + interval '1 hour' * (i % 2 * 2 - 1), 'x', now() from generate_series(1, 7001) i`)
	total := 0
	_, err := db.Load(t.Context(), func(c *store.Change) error {
		if len(c.Denials) > store.MaxDenials {
			t.Errorf("a change has %d denials", len(c.Denials))
		}
		total += len(c.Denials)
		return nil
	})
	if err != nil || total != 3501 {
		t.Errorf("Load handed out %d denials, %v, want the 3501 that have not expired", total, err)
	}
}
