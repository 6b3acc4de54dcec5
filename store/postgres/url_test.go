package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func TestTryURLRefuses(t *testing.T) {
	good := private.TestDatabase(t)
	db, err := Open(Options{URL: good})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	f := func(elsewhere bool, change func(u *url.URL)) {
		t.Helper()
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		take, err := db.TryURL(t.Context(), u.String())
		if take != nil || err == nil || errors.Is(err, errElsewhere) != elsewhere {
			t.Errorf("%s: got %v", u, err)
		}
	}
	f(true, func(u *url.URL) { u.Path = "/postgres" })
	f(true, func(u *url.URL) { u.Host = "127.0.0.1:1" })
	f(true, func(u *url.URL) { u.Host = "localhost:" + u.Port() })
	f(true, func(u *url.URL) { u.Host += ",127.0.0.2:" + u.Port() })
	f(false, func(u *url.URL) { u.User = url.User("nobody_of_this_name") })
	take, err := db.TryURL(t.Context(), good+"&application_name=other")
	if err != nil || take == nil {
		t.Errorf("got %v", err)
	}
}

// Between the change of a password in the database and here a connection whose time is over goes on; once the new URL is in force,
// another takes over.
func TestConnectionsOutliveAPassword(t *testing.T) {
	good := private.TestDatabase(t)
	db, err := Open(Options{URL: good, ReadConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	find := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		keys := []store.TokenKey{{ID: store.NewID(time.Now()), Expires: time.Now().Unix() + 60}}
		if err := db.FindTokens(ctx, keys, func(int, []byte) {}); err != nil {
			t.Error(err)
		}
	}
	overdue := func() uint32 {
		t.Helper()
		place := <-db.read.places
		defer func() { db.read.places <- place }()
		place.expires = time.Now().Add(-time.Second)
		return place.conn.PgConn().PID()
	}
	find()
	before := overdue()
	refused := db.config.Load().Copy()
	refused.User = "nobody_of_this_name"
	db.config.Store(refused)
	find()
	if now := overdue(); now != before {
		t.Errorf("connection %d, want the old one, %d", now, before)
	}
	take, err := db.TryURL(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	take()
	patience := within(t, 10*time.Second)
	for overdue() == before { // the next one is made while this goes on
		if find(); t.Failed() || patience.Err() != nil {
			t.Fatal("no new connection takes over")
		}
	}
	if got := db.read.stats().Total; got != 1 {
		t.Errorf("%d connections are counted, want 1", got)
	}
}

// A way on which no connection comes about costs nobody time while the old connection is sound. Close does not wait for it either.
func TestHangingDialKeepsNobodyFromTheOldConnection(t *testing.T) {
	db, err := Open(Options{URL: private.TestDatabase(t), ReadConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	keys := []store.TokenKey{{ID: store.NewID(time.Now()), Expires: time.Now().Unix() + 60}}
	find := func() {
		t.Helper()
		if err := db.FindTokens(within(t, 10*time.Second), keys, func(int, []byte) {}); err != nil {
			t.Fatal(err)
		}
	}
	find()
	hangs, dialled := db.config.Load().Copy(), make(chan struct{}, 100)
	hangs.ConnectTimeout = time.Hour
	hangs.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialled <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	db.config.Store(hangs)
	place := <-db.read.places
	place.expires = time.Now().Add(-time.Second)
	before := place.conn.PgConn().PID()
	db.read.places <- place
	find()
	<-dialled
	find() // the attempt is under way
	place = <-db.read.places
	if place.next == nil || place.conn.PgConn().PID() != before {
		t.Error("somebody waited for the attempt to end, or gave up the old connection")
	}
	db.read.places <- place
}
