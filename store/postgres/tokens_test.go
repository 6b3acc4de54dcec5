package postgres

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestOneBadRowRefusesTheBatch(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 10*time.Second)
	first := token(time.Hour)
	if err := db.InsertTokens(ctx, []store.Token{first}); err != nil {
		t.Fatal(err)
	}
	f := func(name string, bad store.Token) {
		t.Helper()
		good := []store.Token{token(time.Hour), token(2 * time.Hour), token(time.Hour)}
		err := db.InsertTokens(ctx, append(good[:2:2], bad, good[2]))
		if err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want a refusal that is no fault", name, err)
		}
		for _, row := range good {
			err := db.FindTokens(ctx, []store.TokenKey{row.TokenKey}, func(int, []byte) {
				t.Errorf("%s: a row of the refused batch is there", name)
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	f("id taken", first)
	nameless := token(time.Hour)
	nameless.Record = nil
	f("no record", nameless)
}

func TestMissingPartitionIsAFaultThatSaysSo(t *testing.T) {
	db := openDB(t)
	err := db.InsertTokens(t.Context(), []store.Token{token(30 * 24 * time.Hour)})
	wantFault(t, "InsertTokens", err, store.StepSchema)
	if err == nil || !strings.Contains(err.Error(), "no partition") {
		t.Errorf("got %v, want the words %q", err, "no partition")
	}
}

// Repeating an insert whose outcome is unknown must find the rows that are
// there, and add those that are not.
func TestRepeatedInsertIsNoConflict(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 10*time.Second)
	rows := []store.Token{token(time.Hour), token(time.Hour)}
	if err := db.InsertTokens(ctx, rows[:1]); err != nil {
		t.Fatal(err)
	}
	a := new(arrays)
	a.begin(len(rows))
	for i := range rows {
		a.addKey(&rows[i].TokenKey)
		a.addRecord(rows[i].Record)
	}
	if _, err := db.insert(ctx, a, "insert_again", sqlInsertAgain); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := db.FindTokens(ctx, []store.TokenKey{rows[1].TokenKey, rows[0].TokenKey}, func(i int, record []byte) {
		n++
		if !bytes.Equal(record, rows[1-i].Record) {
			t.Errorf("key %d found %q", i, record)
		}
	})
	if err != nil || n != 2 {
		t.Errorf("found %d rows, %v, want 2", n, err)
	}
}

// The connection breaks once the statement was sent; InsertTokens repeats it.
func TestInsertIsRepeatedWhenItsConnectionBreaks(t *testing.T) {
	db := openDB(t)
	ctx := within(t, 20*time.Second)
	conn := sql(t, db.options.URL)
	run(t, conn, "begin")
	run(t, conn, "lock table tokens in exclusive mode")
	row := token(time.Hour)
	done := make(chan error)
	go func() { done <- db.InsertTokens(ctx, []store.Token{row}) }()
	watch := sql(t, db.options.URL)
	for !get[bool](t, watch, `select coalesce(bool_or(pg_terminate_backend(pid)), false) from pg_locks
		where relation = 'tokens'::regclass and not granted`) {
	}
	run(t, conn, "commit")
	if err := <-done; err != nil {
		t.Errorf("InsertTokens = %v, want the second try to succeed", err)
	}
	found := false
	if err := db.FindTokens(ctx, []store.TokenKey{row.TokenKey}, func(int, []byte) { found = true }); err != nil || !found {
		t.Errorf("FindTokens: %v, found %v", err, found)
	}
}

// Each key leads to one partition, also in a plan made for any key.
func TestFindTouchesOnlyTheKeysPartitions(t *testing.T) {
	db := openDB(t)
	conn := sql(t, db.options.URL)
	names := strings.Fields(due(t, conn))
	run(t, conn, "insert into tokens select gen_random_uuid(), clock_timestamp() + interval '1 day' * (i % 3), 'x' from generate_series(1, 3000) i")
	run(t, conn, "analyze tokens")
	run(t, conn, "prepare find (uuid[], timestamptz[]) as "+sqlFind)
	f := func(mode string) {
		t.Helper()
		run(t, conn, "set plan_cache_mode = "+mode)
		rows, err := conn.Query(t.Context(), `explain (analyze, costs off, timing off, summary off)
			execute find (array[gen_random_uuid(), gen_random_uuid()], array_fill(clock_timestamp() + interval '1 day', array[2]))`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		executed := map[string]bool{}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
			for _, name := range names {
				if strings.Contains(line, " on "+name) && !strings.Contains(line, "never executed") {
					executed[name] = true
					if strings.Contains(line, "Seq Scan") {
						t.Errorf("%s: a partition is read whole: %s", mode, line)
					}
				}
			}
		}
		if len(executed) != 1 || !executed[names[1]] {
			t.Errorf("%s: read %v, want only %s:\n%s", mode, executed, names[1], plan.String())
		}
	}
	f("force_custom_plan")
	f("force_generic_plan")
}
