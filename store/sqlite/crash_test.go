package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// childFile names the file that this test binary, started once more, shall write to.
const childFile = "SQLITE_TEST_CHILD_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		insertUntilKilled(path)
	}
	os.Exit(m.Run())
}

// insertUntilKilled tells of each token and denial on stdout when it is acknowledged.
func insertUntilKilled(path string) {
	db, err := Open(Options{Path: path})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	tell := func(what string, id store.ID, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			fmt.Println(what, err)
			os.Exit(1)
		}
		fmt.Println(what, id)
	}
	for range 4 {
		go func() {
			for {
				token := newToken(time.Unix(1<<32-1, 0))
				tell("token", token.ID, db.InsertTokens(context.Background(), []store.Token{token}))
				id := store.NewID(time.Now())
				tell("denial", id, db.Deny(context.Background(), []store.Denial{{Kind: store.DenyToken, ID: id, Expires: 1<<32 - 1}}))
			}
		}()
	}
	select {}
}

func TestAcknowledgedSurvivesKill9(t *testing.T) {
	path := newFile(t)
	open(t, Options{Path: path, Create: true}).Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	acknowledged := map[string][]store.ID{}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		what, text, _ := strings.Cut(lines.Text(), " ")
		id, err := store.ParseID(text)
		if err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		acknowledged[what] = append(acknowledged[what], id)
		if n == 300 {
			must(t, child.Process.Kill())
		}
	}
	if child.Wait() == nil {
		t.Error("the child ended in peace")
	}
	wantAcknowledged(t, open(t, Options{Path: path}), acknowledged)
}

func wantAcknowledged(t *testing.T, db *DB, acknowledged map[string][]store.ID) {
	t.Helper()
	if len(acknowledged["token"]) < 50 || len(acknowledged["denial"]) < 50 {
		t.Fatalf("only %d tokens and %d denials", len(acknowledged["token"]), len(acknowledged["denial"]))
	}
	for _, id := range acknowledged["token"] {
		if !has(t, db, store.TokenKey{ID: id, Expires: 1<<32 - 1})[0] {
			t.Errorf("token %s is lost", id)
		}
	}
	for _, id := range acknowledged["denial"] {
		if _, err := db.Denied(t.Context(), store.DenyToken, id); err != nil {
			t.Errorf("denial: %v", err)
		}
	}
	var sound string
	must(t, db.reader.QueryRow("pragma integrity_check").Scan(&sound))
	if sound != "ok" {
		t.Errorf("integrity check: %s", sound)
	}
}
