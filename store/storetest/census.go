package storetest

import "testing"

func (s suite) census(t *testing.T) {
	s.rule(t, "CountsEveryRow", func(t *testing.T, db Store) {
		ctx := testContext(t)
		before, err := db.Census(ctx)
		must(t, err)
		_, err = db.CreateClient(ctx, actor, newClient("web"))
		must(t, err)
		must(t, db.InsertTokens(ctx, tokenRows(7)))
		after, err := db.Census(ctx)
		must(t, err)
		total := int64(0)
		for table, n := range after.Rows {
			total += n - before.Rows[table]
		}
		// A client, its change and its audit row, and the tokens, in whichever tables they are.
		if total != 3+7 || after.Rows["clients"] != 1 || after.Position <= before.Position {
			t.Errorf("got %v at %d, before %v at %d", after.Rows, after.Position, before.Rows, before.Position)
		}
	})
}
