package storetest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"

	"oauth2-server/store"
)

func (s suite) tokens(t *testing.T) {
	s.rule(t, "FoundAsInserted", tokensFoundAsInserted)
	s.rule(t, "FoundByIndexAmongMissingAndExpired", tokensFoundByIndex)
	s.rule(t, "WrongExpiryFindsNothing", tokensWrongExpiry)
	s.rule(t, "NoKeysFindNothing", tokensNoKeys)
	s.rule(t, "DuplicateInBatchRefusesAll", tokensDuplicateInBatch)
	s.rule(t, "DuplicateOfStoredRefusesAll", tokensDuplicateOfStored)
	s.rule(t, "ConcurrentInsertersLoseNothing", tokensConcurrentInserters)
	s.rule(t, "MaintainKeepsTheLiving", tokensMaintain)
}

// tokenRows are n rows with records of random bytes, zeros among them.
func tokenRows(n int) []store.Token {
	rows := make([]store.Token, n)
	for i := range rows {
		record := make([]byte, 60+i%200)
		rand.Read(record[1:])
		rows[i] = store.Token{TokenKey: store.TokenKey{ID: newID(), Expires: inHours(1) + int64(i%5)*3600}, Record: record}
	}
	return rows
}

func tokenKeys(rows []store.Token) []store.TokenKey {
	keys := make([]store.TokenKey, len(rows))
	for i, row := range rows {
		keys[i] = row.TokenKey
	}
	return keys
}

// find returns the records by index, nil where there was none. It copies
// them, for they are valid only during the call.
func find(t testing.TB, db Store, keys []store.TokenKey) [][]byte {
	t.Helper()
	records := make([][]byte, len(keys))
	err := db.FindTokens(testContext(t), keys, func(i int, record []byte) {
		if records[i] != nil {
			t.Errorf("key %d was found twice", i)
		}
		records[i] = bytes.Clone(record)
	})
	must(t, err)
	return records
}

func wantFound(t testing.TB, db Store, rows []store.Token) {
	t.Helper()
	for i, record := range find(t, db, tokenKeys(rows)) {
		if !bytes.Equal(record, rows[i].Record) {
			t.Fatalf("token %d: got record %x, want %x", i, record, rows[i].Record)
		}
	}
}

func wantNotFound(t testing.TB, db Store, keys ...store.TokenKey) {
	t.Helper()
	for i, record := range find(t, db, keys) {
		if record != nil {
			t.Errorf("token %d was found, and should not be", i)
		}
	}
}

func tokensFoundAsInserted(t *testing.T, db Store) {
	for _, n := range []int{1, 3, 700} {
		rows := tokenRows(n)
		must(t, db.InsertTokens(testContext(t), rows))
		wantFound(t, db, rows)
	}
}

func tokensFoundByIndex(t *testing.T, db Store) {
	rows := tokenRows(4)
	must(t, db.InsertTokens(testContext(t), rows))
	missing := store.TokenKey{ID: newID(), Expires: inHours(1)}
	expired := store.TokenKey{ID: newID(), Expires: inHours(-72)}
	ancient := store.TokenKey{ID: newID(), Expires: 1}
	distant := store.TokenKey{ID: newID(), Expires: 1<<32 - 1}
	keys := []store.TokenKey{missing, rows[2].TokenKey, expired, rows[0].TokenKey, ancient, distant, rows[3].TokenKey, rows[1].TokenKey}
	want := [][]byte{nil, rows[2].Record, nil, rows[0].Record, nil, nil, rows[3].Record, rows[1].Record}
	for i, record := range find(t, db, keys) {
		if !bytes.Equal(record, want[i]) {
			t.Errorf("key %d: got record %x, want %x", i, record, want[i])
		}
	}
}

func tokensWrongExpiry(t *testing.T, db Store) {
	rows := tokenRows(2)
	must(t, db.InsertTokens(testContext(t), rows))
	for _, off := range []int64{-1, 1, 86400, -86400} {
		wantNotFound(t, db, store.TokenKey{ID: rows[0].ID, Expires: rows[0].Expires + off})
	}
	wantNotFound(t, db,
		store.TokenKey{ID: rows[0].ID, Expires: rows[1].Expires},
		store.TokenKey{ID: rows[1].ID, Expires: rows[0].Expires})
}

func tokensNoKeys(t *testing.T, db Store) {
	must(t, db.InsertTokens(testContext(t), nil))
	must(t, db.FindTokens(testContext(t), nil, func(int, []byte) { t.Error("found something for no key") }))
}

func tokensDuplicateInBatch(t *testing.T, db Store) {
	for _, at := range []int{1, 2, 9} {
		rows := tokenRows(10)
		rows[at].TokenKey = rows[0].TokenKey
		wantRefused(t, fmt.Sprintf("row %d twice", at), db.InsertTokens(testContext(t), rows))
		wantNotFound(t, db, tokenKeys(rows)...)
	}
}

func tokensDuplicateOfStored(t *testing.T, db Store) {
	stored := tokenRows(1)
	must(t, db.InsertTokens(testContext(t), stored))
	rows := tokenRows(5)
	rows[4].TokenKey = stored[0].TokenKey
	wantRefused(t, "a stored row again", db.InsertTokens(testContext(t), rows))
	wantNotFound(t, db, tokenKeys(rows[:4])...)
	wantFound(t, db, stored)
}

func tokensConcurrentInserters(t *testing.T, db Store) {
	batches := make([][]store.Token, 64)
	race(len(batches), func(i int) {
		batches[i] = tokenRows(1 + i%20)
		if err := db.InsertTokens(testContext(t), batches[i]); err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	})
	for _, rows := range batches {
		wantFound(t, db, rows)
	}
}

func tokensMaintain(t *testing.T, db Store) {
	rows := tokenRows(20)
	must(t, db.InsertTokens(testContext(t), rows))
	race(4, func(int) {
		if err := db.Maintain(testContext(t)); err != nil {
			t.Errorf("maintain: %v", err)
		}
	})
	wantFound(t, db, rows)
}
