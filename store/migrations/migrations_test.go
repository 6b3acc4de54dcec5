package migrations

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The CRC-32 of "123456789" is the check value 0xCBF43926 of every catalogue of
// CRCs; as a Java int it is -873187034. Flyway sums lines without their ends.
func TestChecksumIsFlyways(t *testing.T) {
	f := func(text string, want int32) {
		t.Helper()
		if got := Checksum(text); got != want {
			t.Errorf("Checksum(%q) = %d, want %d", text, got, want)
		}
	}
	const check = -873187034
	f("123456789", check)
	f("1234\n56789\n", check)
	f("1234\r\n56789\r\n", check)
	f("1234\r56789", check)
	f("\n\n123456789\n\n", check)
	f("\ufeff123456789", check)
	f("", 0)
	f("a", -390611389) // 0xE8B7BE43
}

func TestLoadReadsNamesAndOrder(t *testing.T) {
	folder := fstest.MapFS{
		"x/V10__ten.sql":        {Data: []byte("select 10;\n")},
		"x/V2__two_more_it.sql": {Data: []byte("select 2;\n")},
	}
	steps, err := load(folder, "x")
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[0].Version != 2 || steps[1].Version != 10 {
		t.Fatalf("got %v, want versions 2 and 10 in this order", steps)
	}
	want := Migration{Version: 2, Description: "two more it", Script: "V2__two_more_it.sql", Checksum: Checksum("select 2;"), SQL: "select 2;\n"}
	if steps[0] != want {
		t.Errorf("got %+v, want %+v", steps[0], want)
	}
}

func TestLoadRefusesNamesAndTwins(t *testing.T) {
	f := func(names ...string) {
		t.Helper()
		folder := fstest.MapFS{}
		for _, name := range names {
			folder["x/"+name] = &fstest.MapFile{}
		}
		if steps, err := load(folder, "x"); err == nil {
			t.Errorf("load of %v = %v, want an error", names, steps)
		}
	}
	f("V1_one.sql")
	f("V01__one.sql")
	f("V1.1__one.sql")
	f("R__views.sql")
	f("one.sql")
	f("V99999999999999999999__x.sql")
	f("V1__one.sql", "V1__two.sql")
}

func TestLoadHasStepsForEachDatabase(t *testing.T) {
	names := map[string][]string{}
	for _, database := range []string{Postgres, SQLite} {
		steps, err := Load(database)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			names[database] = append(names[database], step.Script)
		}
	}
	if len(names[Postgres]) == 0 || !slices.Equal(names[Postgres], names[SQLite]) {
		t.Errorf("got %v, want the same file names for both", names)
	}
}

func step(version int, script string) Migration {
	return Migration{Version: version, Script: script, Checksum: int32(version)}
}

func row(rank int, version, script string, checksum int32) Applied {
	return Applied{Rank: rank, Version: &version, Script: script, Checksum: &checksum, Success: true}
}

var known = []Migration{step(1, "V1__a.sql"), step(2, "V2__b.sql"), step(3, "V3__c.sql")}

func TestCompareNamesEachState(t *testing.T) {
	f := func(want string, rows ...Applied) {
		t.Helper()
		all, err := Compare(known, rows)
		if err != nil {
			t.Errorf("Compare = %v, want %s", err, want)
			return
		}
		var got []string
		for _, s := range all {
			got = append(got, s.Script+" "+s.State)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	marker := Applied{Rank: 0, Script: `"public"`, Success: true}
	f("V1__a.sql pending, V2__b.sql pending, V3__c.sql pending")
	f("V1__a.sql pending, V2__b.sql pending, V3__c.sql pending", marker)
	f("V1__a.sql applied, V2__b.sql pending, V3__c.sql pending", marker, row(1, "1", "V1__a.sql", 1))
	f("V1__a.sql applied, V2__b.sql applied, V3__c.sql applied, V4__d.sql newer, V5__e.sql newer",
		row(1, "1", "V1__a.sql", 1), row(2, "2", "V2__b.sql", 2), row(3, "3", "V3__c.sql", 3),
		row(4, "5", "V5__e.sql", 9), row(5, "4", "V4__d.sql", 9))
}

func TestCompareRefusesWhatCannotBeContinued(t *testing.T) {
	f := func(want string, rows ...Applied) {
		t.Helper()
		if _, err := Compare(known, rows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compare = %v, want an error with %q", err, want)
		}
	}
	failed := row(2, "2", "V2__b.sql", 2)
	failed.Success = false
	f("changed after it was applied", row(1, "1", "V1__a.sql", 7))
	f("failed", row(1, "1", "V1__a.sql", 1), failed)
	f("left out", row(1, "1", "V1__a.sql", 1), row(2, "3", "V3__c.sql", 3))
	f("left out", row(1, "1", "V1__a.sql", 1), row(2, "9", "V9__z.sql", 3))
	f("no whole number", row(1, "1.5", "V1_5__a.sql", 1))

	gap := []Migration{known[0], known[2]}
	rows := []Applied{row(1, "1", "V1__a.sql", 1), row(2, "2", "V2__b.sql", 2), row(3, "3", "V3__c.sql", 3)}
	if _, err := Compare(gap, rows); err == nil || !strings.Contains(err.Error(), "does not know it") {
		t.Errorf("Compare with an unknown migration = %v, want a refusal", err)
	}
}

// memory is a history that breaks at one version.
type memory struct {
	rows    []Applied
	breakAt int
}

var errBroken = errors.New("broken")

func (m *memory) Applied(context.Context) ([]Applied, error) { return m.rows, nil }

func (m *memory) Apply(_ context.Context, rank int, step Migration) error {
	if step.Version == m.breakAt {
		return errBroken
	}
	version := string(rune('0' + step.Version))
	m.rows = append(m.rows, row(rank, version, step.Script, step.Checksum))
	return nil
}

func TestRunStopsAtAFailureAndContinuesThere(t *testing.T) {
	history := &memory{breakAt: 3}
	done, err := Run(t.Context(), known, history)
	if !errors.Is(err, errBroken) || len(done) != 2 {
		t.Fatalf("Run = %v, %v, want two steps and the failure", done, err)
	}
	history.breakAt = 0
	done, err = Run(t.Context(), known, history)
	if err != nil || len(done) != 1 || done[0].Version != 3 {
		t.Fatalf("second Run = %v, %v, want step 3", done, err)
	}
	if last := history.rows[2]; last.Rank != 3 {
		t.Errorf("rank is %d, want 3", last.Rank)
	}
	if done, err = Run(t.Context(), known, history); err != nil || len(done) != 0 {
		t.Errorf("third Run = %v, %v, want nothing to do", done, err)
	}
}
