package postgres

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// farewell is what a client sends before it closes its connection (Terminate).
var farewell = []byte{'X', 0, 0, 0, 4}

// deafURL is a way to the database on which the server never learns that a client has gone: neither the farewell nor the end of a connection
// reaches it before the end of the test. What a session holds then is free only if it was given back.
func deafURL(t *testing.T, database string) string {
	t.Helper()
	at, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server := at.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { client.Close(); there.Close() })
			go func() { _, _ = io.Copy(client, there) }() // until one of them ends
			go sendButFarewell(there, client)
		}
	}()
	at.Host = listener.Addr().String()
	return at.String()
}

// sendButFarewell sends on what the client says until it goes.
func sendButFarewell(to io.Writer, client io.Reader) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := client.Read(chunk)
		if said := bytes.TrimSuffix(chunk[:n], farewell); len(said) > 0 {
			_, _ = to.Write(said) // the client sees that it is answered nothing
		}
		if err != nil {
			return
		}
	}
}

// Whoever runs right after a migration or another run, or after one that failed half way, is not told that another is at it: the lock is
// given back, not left to the server to find free.
func TestMaintenanceIsGivenBackAtOnce(t *testing.T) {
	database := private.TestDatabase(t)
	db, deaf := connectURL(t, database), connectURL(t, deafURL(t, database))
	ctx := within(t, 30*time.Second)
	free := func(after string) {
		t.Helper()
		if _, err := db.Prune(ctx, store.KeptDenials); err != nil {
			t.Errorf("after %s: %v", after, err)
		}
	}
	if _, err := deaf.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	free("a migration")
	if _, err := deaf.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	free("a run")

	conn, holder := sql(t, db.options.URL), sql(t, db.options.URL)
	run(t, holder, "begin")
	run(t, holder, "lock table codes in access exclusive mode")
	if _, err := deaf.Prune(ctx, store.KeptCodes); err == nil || !strings.Contains(err.Error(), "prune codes") {
		t.Errorf("beside a locked table: got %v, want a fault of codes", err)
	}
	free("a fault of a kind")

	run(t, holder, "rollback")
	run(t, conn, "alter table retention rename to elsewhere")
	if _, err := deaf.Prune(ctx); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("without settings: got %v, want a fault of them", err)
	}
	run(t, conn, "alter table elsewhere rename to retention")
	free("a run that could not begin")
}
