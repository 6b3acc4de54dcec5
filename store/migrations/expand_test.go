package migrations

import (
	"regexp"
	"strings"
	"testing"
)

// What the version before cannot live with. A step that contracts says so, "-- contract: why", on a line before the statement: by then
// no version that needs it is rolled back to.
var contracting = []*regexp.Regexp{
	regexp.MustCompile(`\bdrop\s+(table|column|schema|sequence|type|view)\b`),
	regexp.MustCompile(`\balter\s+table\b.*\bdrop\b`), // the word column may be left out
	regexp.MustCompile(`\brename\b`),
	regexp.MustCompile(`\balter\s+(column\s+)?\S+\s+(set\s+data\s+)?type\b`),
	regexp.MustCompile(`\bset\s+not\s+null\b`),
	regexp.MustCompile(`\btruncate\b`),
	regexp.MustCompile(`\badd\s+(constraint|check|unique|primary|foreign)\b`), // rows of the version before may break it
}

var (
	addsColumn  = regexp.MustCompile(`\badd\s+(column\s+)?`)
	needsValue  = regexp.MustCompile(`\bnot\s+null\b`)
	hasDefault  = regexp.MustCompile(`\bdefault\b`)
	ownTable    = regexp.MustCompile(`^create\s+table\b`)
	ownUnique   = regexp.MustCompile(`^create\s+unique\s+index\s.*?\son\s+(\w+)`)
	made        = regexp.MustCompile(`^create\s+table\s+(?:if\s+not\s+exists\s+)?(\w+)`)
	lineComment = regexp.MustCompile(`--[^\n]*`)
	text        = regexp.MustCompile(`'[^']*'`)
)

// breaks is what is wrong with a step for the version before it.
func breaks(step string) (wrong []string) {
	own := map[string]bool{} // tables that the step makes: nobody knew them
	for _, statement := range strings.Split(text.ReplaceAllStringFunc(step, func(s string) string { return strings.ReplaceAll(s, ";", "") }), ";") {
		if strings.Contains(statement, "-- contract: ") {
			continue
		}
		sql := strings.Join(strings.Fields(strings.ToLower(text.ReplaceAllString(lineComment.ReplaceAllString(statement, ""), "''"))), " ")
		if found := made.FindStringSubmatch(sql); found != nil {
			own[found[1]] = true
		}
		if ownTable.MatchString(sql) || strings.HasPrefix(sql, "insert ") {
			continue
		}
		bad := addsColumn.MatchString(sql) && needsValue.MatchString(sql) && !hasDefault.MatchString(sql)
		if found := ownUnique.FindStringSubmatch(sql); found != nil && !own[found[1]] {
			bad = true
		}
		for _, pattern := range contracting {
			bad = bad || pattern.MatchString(sql)
		}
		if bad {
			wrong = append(wrong, sql)
		}
	}
	return wrong
}

// Migrations are applied while the version before serves, and it may be rolled back to: a step only adds.
func TestStepsOnlyExpand(t *testing.T) {
	for _, database := range []string{Postgres, SQLite} {
		steps, err := Load(database)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps[1:] {
			for _, sql := range breaks(step.SQL) {
				t.Errorf("%s/%s: the version before cannot live with %q: add first, and remove in a later release (-- contract: why)", database, step.Script, sql)
			}
		}
	}
}

func TestContractionsAreRecognised(t *testing.T) {
	f := func(sql string, want bool) {
		t.Helper()
		if got := len(breaks(sql)) > 0; got != want {
			t.Errorf("%q: got %v, want %v", sql, got, want)
		}
	}
	f("create table a (b int not null);\ncreate unique index a_b on a (b);", false)
	f("create unique index users_mail on users (mail);", true)
	f("alter table a add column b int not null default 1;", false)
	f("alter table a add column b int;", false)
	f("alter table a add column b int not null;", true)
	f("alter table a\n  add b int not null;", true)
	f("DROP TABLE a;", true)
	f("alter table a drop b;", true)
	f("alter table a rename column b to c;", true)
	f("alter table a alter column b type bigint;", true)
	f("alter table a alter b set data type bigint;", true)
	f("alter table a alter column b set not null;", true)
	f("alter table a add constraint c check (b > 0);", true)
	f("truncate a;", true)
	f("-- contract: no version since 1.4 reads it\ndrop table a;", false)
	f("-- contract: no version since 1.4 reads it\ndrop table a;\ndrop table b;", true)
	f("-- drop table a\ncreate index a_b on a (b);", false)
	f("insert into a values ('drop table x; drop column');", false)
}
