package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestSeedWritesIntoThePastAndTheFuture(t *testing.T) {
	db := openDB(t)
	now := time.Now()
	rows := []store.Token{token(-72 * time.Hour), token(time.Hour), token(40 * time.Hour)}
	left := rows
	err := db.Seed(t.Context(), now.Add(-72*time.Hour), now.Add(40*time.Hour), func() (row store.Token, ok bool) {
		if len(left) == 0 {
			return row, false
		}
		row, left = left[0], left[1:]
		return row, true
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, found := make([]store.TokenKey, len(rows)), 0
	for i, row := range rows {
		keys[i] = row.TokenKey
	}
	err = db.FindTokens(t.Context(), keys, func(i int, record []byte) {
		if string(record) == string(rows[i].Record) {
			found++
		}
	})
	if err != nil || found != len(rows) {
		t.Errorf("got %d of %d rows, %v", found, len(rows), err)
	}
}

// The partition of a seeding that is under way is past, and would be dropped below it.
func TestSeedKeepsMaintenanceWaiting(t *testing.T) {
	db := openDB(t)
	past := time.Now().Add(-72 * time.Hour)
	written := 0
	err := db.Seed(t.Context(), past, past, func() (row store.Token, ok bool) {
		if written++; written > 1 {
			return row, false
		}
		if err := db.Maintain(within(t, 10*time.Second)); err != nil {
			t.Error(err)
		}
		return token(-72 * time.Hour), true
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := db.Partitions(t.Context())
	if err != nil || !strings.Contains(strings.Join(names, " "), past.UTC().Format("tokens_"+partitionTag)) {
		t.Errorf("got partitions %v, %v, want that of the rows", names, err)
	}
}

func TestSeedEndsWithItsContext(t *testing.T) {
	db := openDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	now := time.Now()
	err := db.Seed(ctx, now, now, func() (store.Token, bool) {
		cancel()
		return token(0), true // for ever
	})
	if !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want it canceled", err)
	}
}
