package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

// openStore is an embedded store with its schema.
func openStore(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "oauth2.db"), Create: true, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestGatherSeesTheStore(t *testing.T) {
	db := openStore(t)
	actor, now := store.Actor{Kind: "cli", ID: "test"}, time.Now()
	if err := db.Register(t.Context(), store.Replica{ID: id(1), Version: "v1", Started: now, Vitals: store.Vitals{Host: "pod-1", Ready: true}}); err != nil {
		t.Fatal(err)
	}
	root := store.User{ID: store.NewID(now), Username: "root", Role: store.RoleAdmin, Password: "x"}
	if _, err := db.ChangeUser(t.Context(), actor, "user.create", root.ID, func(*store.User) (*store.User, error) { return &root, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := db.CutOff(t.Context(), actor, store.CutClient, "billing"); err != nil {
		t.Fatal(err)
	}
	record := store.Record{ID: store.NewID(now), Issued: now.Unix(), Expires: now.Unix() + 3600, Client: []byte("billing")}
	token := store.Token{TokenKey: store.TokenKey{ID: record.ID, Expires: record.Expires}, Record: record.Append(nil)}
	if err := db.InsertTokens(t.Context(), []store.Token{token}); err != nil {
		t.Fatal(err)
	}

	f := Gather(t.Context(), Sources{Store: db})
	if len(f.Unseen) != 0 || f.DatabaseFault != nil {
		t.Errorf("got %v and %v unseen, want all seen", f.Unseen, f.DatabaseFault)
	}
	if f.Database == nil || f.Database.Kind != "sqlite" || f.Running() != 1 || f.Admins == nil || *f.Admins != 1 {
		t.Errorf("got %+v, %d replicas and %v operators", f.Database, f.Running(), f.Admins)
	}
	if len(f.Cutoffs) != 1 || f.Minting == nil || f.Minting.By["billing"] != 1 || len(f.Limits) == 0 || len(f.Kept) == 0 {
		t.Errorf("got cut-offs %v, tokens %+v, %d limits, %d kinds kept", f.Cutoffs, f.Minting, len(f.Limits), len(f.Kept))
	}
}

func TestDisabledOperatorIsNone(t *testing.T) {
	db := openStore(t)
	now := time.Now()
	for i, u := range []store.User{{Username: "gone", Role: store.RoleAdmin, Disabled: true}, {Username: "anna", Role: store.RoleUser}} {
		u.ID, u.Password = store.NewID(now.Add(time.Duration(i))), "x"
		if _, err := db.ChangeUser(t.Context(), store.Actor{Kind: "cli"}, "user.create", u.ID, func(*store.User) (*store.User, error) { return &u, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if f := Gather(t.Context(), Sources{Store: db}); f.Admins == nil || *f.Admins != 0 {
		t.Errorf("got %v operators, want 0", f.Admins)
	}
}

// brokenStore fails at everything, or hangs.
type brokenStore struct {
	Store
	fail func(ctx context.Context) error
}

func (s *brokenStore) Inspect(ctx context.Context) (store.Inspection, error) {
	return store.Inspection{}, s.fail(ctx)
}

func (s *brokenStore) ReplicasSince(ctx context.Context, _ time.Time) ([]store.Replica, error) {
	return nil, s.fail(ctx)
}

func (s *brokenStore) Kept(ctx context.Context) ([]store.Kept, error) { return nil, s.fail(ctx) }

func (s *brokenStore) Keys(ctx context.Context) ([]store.Key, error) { return nil, s.fail(ctx) }

func (s *brokenStore) Limits(ctx context.Context) ([]store.Limit, error) { return nil, s.fail(ctx) }

func (s *brokenStore) LimitMinutes(ctx context.Context, _ int64) ([]store.LimitMinute, error) {
	return nil, s.fail(ctx)
}

func (s *brokenStore) Cutoffs(ctx context.Context) ([]store.Cutoff, error) { return nil, s.fail(ctx) }

func (s *brokenStore) Users(ctx context.Context, _ string, _ int) ([]store.User, error) {
	return nil, s.fail(ctx)
}

func (s *brokenStore) NewestTokens(ctx context.Context, _ store.ID, _ int, _ func(store.Token) bool) error {
	return s.fail(ctx)
}

// What cannot be seen is told, and is no reason to call it healthy or to guess.
func TestDatabaseDown(t *testing.T) {
	fault := &store.Fault{Part: "authentication", Err: errors.New("password authentication failed")}
	f := Gather(t.Context(), Sources{Store: &brokenStore{fail: func(context.Context) error { return fault }}})
	got := found(f)
	if !slices.Equal(got, []string{"database.unreachable critical", "health.unseen warning"}) {
		t.Errorf("got %v, want the database and what was not seen", got)
	}
	for _, scenario := range Scenarios {
		if r := Judge(f, scenario); !r.Bad() {
			t.Errorf("%s: got %+v, want that the database cannot be reached", scenario, r)
		}
	}
	if text := Judge(f, Keys).Findings[1].Evidence; !strings.Contains(text, "keys, limits, replicas, retention, tokens, users: the database fails at the step authentication") {
		t.Errorf("got %q", text)
	}
}

// A store that does not even heed its deadline keeps nobody.
func TestHungDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		start := time.Now()
		f := Gather(t.Context(), Sources{Store: &brokenStore{fail: func(context.Context) error { <-forever; return store.ErrUnavailable }}})
		if took := time.Since(start); took > wholePatience {
			t.Errorf("took %s, want at most %s", took, wholePatience)
		}
		if f.Unseen["replicas"] != "no answer in time" || f.Unseen["database"] != "no answer in time" {
			t.Errorf("got %v, want no answer in time", f.Unseen)
		}
	})
}

func TestSlowPartIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		Gather(t.Context(), Sources{Store: &brokenStore{fail: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}})
		if took := time.Since(start); took != partPatience {
			t.Errorf("took %s, want %s", took, partPatience)
		}
	})
}

// The pool of a replica has four connections, and requests need them most when the database is slow: the doctor takes one of them.
func TestGatherReadsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		f := Gather(t.Context(), Sources{Store: &pooledStore{brokenStore{fail: func(ctx context.Context) error {
			defer now.Add(-1)
			most.Store(max(most.Load(), now.Add(1)))
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return ctx.Err()
		}}}})
		if n := most.Load(); n != 1 {
			t.Errorf("took %d connections at once, want 1", n)
		}
		if f.Unseen["replicas"] != "" || f.Unseen["tokens"] != "no answer in time" {
			t.Errorf("got %v, want what was not reached, and no more", f.Unseen)
		}
	})
}

// pooledStore inspects with a connection of its own.
type pooledStore struct{ brokenStore }

func (s *pooledStore) Inspect(context.Context) (store.Inspection, error) {
	return store.Inspection{}, nil
}

func TestSharedGathersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared Shared
		gathered := atomic.Int32{}
		look := func(context.Context) *Facts {
			gathered.Add(1)
			time.Sleep(time.Second)
			return &Facts{}
		}
		ask := func(n int) {
			var group sync.WaitGroup
			for range n {
				group.Go(func() {
					if f, err := shared.Facts(t.Context(), look); f == nil || err != nil {
						t.Errorf("got %v, %v", f, err)
					}
				})
			}
			group.Wait()
		}
		ask(50)
		ask(50) // within five seconds
		if n := gathered.Load(); n != 1 {
			t.Errorf("gathered %d times for 100 who asked, want once", n)
		}
		time.Sleep(sharedFor)
		ask(1)
		if n := gathered.Load(); n != 2 {
			t.Errorf("gathered %d times, want anew after %s", n, sharedFor)
		}
	})
}

// Who leaves takes nothing from those who wait for the same.
func TestSharedOutlivesWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared Shared
		look := func(ctx context.Context) *Facts {
			time.Sleep(time.Second)
			if ctx.Err() != nil {
				t.Error("the look ended with who asked first")
			}
			return &Facts{}
		}
		ctx, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := shared.Facts(ctx, look); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want canceled", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if f, err := shared.Facts(t.Context(), look); f == nil || err != nil {
				t.Errorf("got %v, %v, want the facts", f, err)
			}
		})
		leave()
		group.Wait()
	})
}

func lookAt(t *testing.T, url string) *Public {
	t.Helper()
	s := Sources{URL: url}
	put, err := s.lookAtPublic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := new(Facts)
	put(f)
	return f.Public
}

func TestPublicURL(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"issuer":"https://a"}`) })
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[{"kid":"k1"},{"kid":"k2"}]}`) })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	p := lookAt(t, plain.URL+"/")
	if p.Fault != nil || p.Issuer != "https://a" || !slices.Equal(p.Keys, []string{"k1", "k2"}) {
		t.Errorf("got %+v", p)
	}
	if p := lookAt(t, secure.URL); p.Fault == nil || p.Fault.Step != store.StepTLS {
		t.Errorf("got %v, want a certificate that is not believed", p.Fault)
	}
}

// Each step of the way is told apart, and nobody is followed elsewhere.
func TestPublicURLFails(t *testing.T) {
	f := func(handler http.HandlerFunc, step, text string) {
		t.Helper()
		server := httptest.NewServer(handler)
		defer server.Close()
		if p := lookAt(t, server.URL); p.Fault == nil || p.Fault.Step != step || !strings.Contains(p.Fault.Text, text) {
			t.Errorf("got %v, want %s: …%s…", p.Fault, step, text)
		}
	}
	f(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, stepHTTP, "answers 503")
	f(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, stepHTTP, "answers 302")
	f(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, stepHTTP, "no JSON")
	closed := httptest.NewServer(nil)
	closed.Close()
	if p := lookAt(t, closed.URL); p.Fault == nil || p.Fault.Step != store.StepTCP {
		t.Errorf("got %v, want tcp", p.Fault)
	}
	if p := lookAt(t, "http://nowhere.invalid"); p.Fault == nil || p.Fault.Step != store.StepName {
		t.Errorf("got %v, want name", p.Fault)
	}
}
