package postgres

import (
	"context"
	"net/url"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// A database so slow that no caller can wait for a connection is reached all the same: the attempt outlives the caller.
func TestSlowDatabaseIsReachedByCallersWhoCannotWait(t *testing.T) {
	address, err := url.Parse(private.TestDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := private.StartProxy(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	address.Host = proxy.Addr()
	db, err := Open(Options{URL: address.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.SetDelay(100 * time.Millisecond)
	keys := []store.TokenKey{{ID: store.NewID(time.Now()), Expires: time.Now().Unix() + 60}}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond) // time for two trips, and not for those of a connection before them
		err = db.FindTokens(ctx, keys, func(int, []byte) {})
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("ten callers were not enough: %v", err)
}
