package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"oauth2-server/store"
)

func (s suite) auditQueries(t *testing.T) {
	s.rule(t, "EachFieldSelects", auditSelects)
	s.rule(t, "PagesBeforeAnID", auditPages)
}

func (s suite) tokenLists(t *testing.T) {
	s.rule(t, "FoundByIdAlone", tokensByID)
	s.rule(t, "NewestFirstInPages", tokensNewest)
	s.rule(t, "FoundMayEndIt", tokensEnough)
	s.rule(t, "FewAreCounted", tokensCounted)
}

func auditSelects(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	create(t, db, "web2")
	update(t, db, func(c *store.Client) { c.Name = "renamed" })
	other := store.Actor{Kind: "admin", ID: "tester%", Address: "::1"}
	_, err := db.CutOff(ctx, other, store.CutSubject, "web")
	must(t, err)
	f := func(query store.AuditQuery, want ...string) {
		t.Helper()
		query.Limit = 10
		rows, err := db.Audits(ctx, query)
		must(t, err)
		var got []string
		for _, row := range rows {
			got = append(got, row.Action+" "+row.Object)
		}
		same(t, fmt.Sprintf("rows of %+v", query), got, want)
	}
	f(store.AuditQuery{}, "cutoff subject web", "client.update web", "client.create web2", "client.create web")
	f(store.AuditQuery{Object: "web"}, "client.update web", "client.create web")
	f(store.AuditQuery{Object: "WEB"})
	f(store.AuditQuery{Action: "client."}, "client.update web", "client.create web2", "client.create web")
	f(store.AuditQuery{Action: "client.c", Object: "web"}, "client.create web")
	f(store.AuditQuery{Action: "Client"})
	f(store.AuditQuery{Actor: "admin:tester%@"}, "cutoff subject web")
	f(store.AuditQuery{Actor: "%:"}) // a beginning, and no pattern
	f(store.AuditQuery{Actor: "cli:", Action: "client.update", Object: "web"}, "client.update web")
}

func auditPages(t *testing.T, db Store) {
	ctx := testContext(t)
	for i := range 10 {
		create(t, db, fmt.Sprint("web", i))
	}
	var got []string
	for before := int64(0); ; {
		rows, err := db.Audits(ctx, store.AuditQuery{Action: "client.", Before: before, Limit: 3})
		must(t, err)
		for _, row := range rows {
			if before != 0 && row.ID >= before || row.ID == 0 {
				t.Errorf("row %d stands before %d", row.ID, before)
			}
			before = row.ID
			got = append(got, row.Object)
		}
		if len(rows) < 3 {
			break
		}
	}
	same(t, "objects, page by page", got, []string{"web9", "web8", "web7", "web6", "web5", "web4", "web3", "web2", "web1", "web0"})
}

func tokensByID(t *testing.T, db Store) {
	ctx := testContext(t)
	rows := tokenRows(7)
	rows[3].Expires = inHours(30) // in another partition
	must(t, db.InsertTokens(ctx, rows))
	for _, row := range rows {
		got, err := db.FindToken(ctx, row.ID)
		must(t, err)
		same(t, "token", got, row)
	}
	_, err := db.FindToken(ctx, newID())
	wantError(t, "an unknown token", err, store.ErrNotFound)
}

// newestTokens is at most limit tokens before before. They stay what they were when they were told.
func newestTokens(t testing.TB, db Store, before store.ID, limit int) (all []store.Token) {
	t.Helper()
	must(t, db.NewestTokens(testContext(t), before, limit, func(token store.Token) bool {
		all = append(all, token)
		return true
	}))
	return all
}

func tokensNewest(t *testing.T, db Store) {
	rows := tokenRows(523)
	for i := range rows {
		rows[i].Expires += int64(i%3) * 15 * 3600 // in several partitions
	}
	must(t, db.InsertTokens(testContext(t), rows))
	slices.SortFunc(rows, func(a, b store.Token) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	f := func(before store.ID, limit int, want []store.Token) {
		t.Helper()
		same(t, fmt.Sprintf("%d before %s", limit, before), newestTokens(t, db, before, limit), want)
	}
	f(store.ID{}, 1000, rows)
	f(store.ID{}, 523, rows)
	f(store.ID{}, 250, rows[:250])
	f(store.ID{}, 100, rows[:100])
	f(store.ID{}, 1, rows[:1])
	f(rows[99].ID, 200, rows[100:300])
	f(rows[522].ID, 200, nil)
	f(store.ID{}, 0, nil)
}

func tokensEnough(t *testing.T, db Store) {
	must(t, db.InsertTokens(testContext(t), tokenRows(300)))
	for _, enough := range []int{1, 100, 101} {
		n := 0
		must(t, db.NewestTokens(testContext(t), store.ID{}, 300, func(store.Token) bool { n++; return n < enough }))
		same(t, "rows told", n, enough)
	}
}

func tokensCounted(t *testing.T, db Store) {
	total := 0
	for _, more := range []int{0, 1, 699} {
		must(t, db.InsertTokens(testContext(t), tokenRows(more)))
		total += more
		n, err := db.CountTokens(testContext(t))
		must(t, err)
		same(t, "tokens", n, total)
	}
}
