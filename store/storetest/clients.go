package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"oauth2-server/store"
)

func (s suite) clients(t *testing.T) {
	s.rule(t, "CreatedAsGiven", clientsCreated)
	s.rule(t, "TakenIdIsConflict", clientsTaken)
	s.rule(t, "UnknownIsNotFound", clientsUnknown)
	s.rule(t, "ListedById", clientsListed)
	s.rule(t, "UpdateMakesTheNextVersion", clientsUpdate)
	s.rule(t, "UpdateCannotChangeWhatTheStoreSets", clientsUpdateLimits)
	s.rule(t, "ErrorOfChangeIsReturnedAndNothingDone", clientsUpdateError)
	s.rule(t, "DisablingCutsOffInTheSameChange", clientsDisable)
	s.rule(t, "EnablingLiftsNoCutoff", clientsEnable)
	s.rule(t, "DeletingCutsOffInTheSameChange", clientsDelete)
	s.rule(t, "ErrorOfDeletionsCheckIsReturnedAndNothingDone", clientsDeleteRefused)
}

func (s suite) clientRaces(t *testing.T) {
	s.rule(t, "OneOfManyCreatesOneId", clientsCreateRace)
	s.rule(t, "NoUpdateIsLost", clientsUpdateRace)
	s.rule(t, "OneOfManyDeletes", clientsDeleteRace)
	s.rule(t, "DeletionChecksWhatItDeletes", clientsDeleteCheckRace)
}

// newClient is a client with something in every field the store keeps.
func newClient(id string) store.Client {
	return store.Client{
		ID: id, Name: "Größe \"1\" \\ ☃ <&>",
		Secrets:    []store.SecretHash{sha256.Sum256([]byte("new " + id)), sha256.Sum256([]byte("old " + id))},
		AuthMethod: store.AuthBasic,
		Grants:     []string{"client_credentials"}, Scopes: []string{"read", "write"},
		Audiences: []string{"https://api.example"}, Resources: []string{"https://gateway.example"},
		TokenFormat: store.FormatJWT, Introspect: store.IntrospectAny, AccessTTL: 600,
		RedirectURIs: []string{"https://app.example/cb"}, Origins: []string{"https://app.example"},
	}
}

func create(t testing.TB, db Store, id string) store.Client {
	t.Helper()
	client, err := db.CreateClient(testContext(t), actor, newClient(id))
	must(t, err)
	return client
}

// update changes client web.
func update(t testing.TB, db Store, change func(*store.Client)) store.Client {
	t.Helper()
	client, err := db.UpdateClient(testContext(t), actor, "web", func(c *store.Client) error { change(c); return nil })
	must(t, err)
	return client
}

// wantClient checks that the store has the client as it is given.
func wantClient(t testing.TB, db Store, want store.Client) {
	t.Helper()
	got, err := db.Client(testContext(t), want.ID)
	must(t, err)
	same(t, "client "+want.ID, got, want)
}

func clientsCreated(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	made := create(t, db, "web")
	if made.Version != 1 || made.Created.IsZero() || !made.Updated.Equal(made.Created) {
		t.Errorf("version %d, created %v, updated %v", made.Version, made.Created, made.Updated)
	}
	given := newClient("web")
	given.Version, given.Created, given.Updated = made.Version, made.Created, made.Updated
	same(t, "client returned", made, given)
	wantClient(t, db, made)
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{Client: &made})
}

func clientsTaken(t *testing.T, db Store) {
	ctx := testContext(t)
	made := create(t, db, "web")
	cursor := position(t, ctx, db)
	other := newClient("web")
	other.Name = "other"
	_, err := db.CreateClient(ctx, actor, other)
	wantError(t, "a taken id", err, store.ErrConflict)
	wantClient(t, db, made)
	since(t, ctx, db, cursor, 0)
}

func clientsUnknown(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	cursor := position(t, ctx, db)
	_, err := db.Client(ctx, "WEB")
	wantError(t, "Client", err, store.ErrNotFound)
	_, err = db.UpdateClient(ctx, actor, "we", func(*store.Client) error { t.Error("change of nothing"); return nil })
	wantError(t, "UpdateClient", err, store.ErrNotFound)
	wantError(t, "DeleteClient", db.DeleteClient(ctx, actor, "webs", nil), store.ErrNotFound)
	since(t, ctx, db, cursor, 0)
}

func clientsListed(t *testing.T, db Store) {
	ctx := testContext(t)
	none, err := db.Clients(ctx)
	must(t, err)
	same(t, "clients of an empty store", len(none), 0)
	want := []string{"a", "B", "b-1", "b.1", "b1", "Z", "_", "é"}
	for _, id := range want {
		create(t, db, id)
	}
	slices.Sort(want) // by bytes: the order is the same on every database
	all, err := db.Clients(ctx)
	must(t, err)
	var got []string
	for _, c := range all {
		got = append(got, c.ID)
		wantClient(t, db, c)
	}
	same(t, "order", got, want)
}

func clientsUpdate(t *testing.T, db Store) {
	ctx := testContext(t)
	made := create(t, db, "web")
	cursor := position(t, ctx, db)
	changed := update(t, db, func(c *store.Client) {
		same(t, "client to change", *c, made)
		c.Name, c.Scopes, c.Secrets = "renamed", []string{"read"}, c.Secrets[:1]
	})
	want := made
	want.Name, want.Scopes, want.Secrets = "renamed", []string{"read"}, made.Secrets[:1]
	want.Version, want.Updated = 2, changed.Updated
	same(t, "client returned", changed, want)
	if changed.Updated.Before(made.Updated) {
		t.Errorf("updated at %v, before %v", changed.Updated, made.Updated)
	}
	wantClient(t, db, changed)
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{Client: &changed})
}

func clientsUpdateLimits(t *testing.T, db Store) {
	made := create(t, db, "web")
	changed := update(t, db, func(c *store.Client) {
		c.ID, c.Version, c.Created = "other", 99, c.Created.Add(-1e9)
	})
	same(t, "id, version, creation", []any{changed.ID, changed.Version, changed.Created}, []any{"web", 2, made.Created})
	wantClient(t, db, changed)
	_, err := db.Client(testContext(t), "other")
	wantError(t, "the id it tried to take", err, store.ErrNotFound)
}

func clientsUpdateError(t *testing.T, db Store) {
	ctx := testContext(t)
	made := create(t, db, "web")
	cursor := position(t, ctx, db)
	mine := errors.New("mine")
	_, err := db.UpdateClient(ctx, actor, "web", func(c *store.Client) error { c.Name = "half done"; return mine })
	if err != mine { //nolint:errorlint // not wrapped: as it is
		t.Errorf("got error %v, want the error of change as it is", err)
	}
	wantClient(t, db, made)
	since(t, ctx, db, cursor, 0)
	same(t, "version after it", update(t, db, func(*store.Client) {}).Version, 2)
}

func clientsDisable(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	cursor := position(t, ctx, db)
	disabled := update(t, db, func(c *store.Client) { c.Disabled = true })
	wantCutInSameChange(t, db, cursor, "web", func(c store.Change) { same(t, "client", c.Client, disabled) })
}

// wantCutInSameChange checks that the one change since cursor cuts off client id.
func wantCutInSameChange(t testing.TB, db Store, cursor store.Cursor, id string, check func(store.Change)) {
	t.Helper()
	ctx := testContext(t)
	change := since(t, ctx, db, cursor, 1)[0]
	check(change)
	if len(change.Cutoffs) != 1 {
		t.Fatalf("the change has %d cut-offs, want 1", len(change.Cutoffs))
	}
	off := change.Cutoffs[0]
	if off.Kind != store.CutClient || off.Name != id || off.Number != change.Seq || off.Actor != actor.String() || off.At == 0 {
		t.Errorf("change %d has cut-off %+v", change.Seq, off)
	}
	same(t, "cut-off of Load", load(t, ctx, db).Cutoffs["client "+id], off)
}

func clientsEnable(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	update(t, db, func(c *store.Client) { c.Disabled = true })
	before, err := db.Cutoffs(ctx)
	must(t, err)
	cursor := position(t, ctx, db)
	enabled := update(t, db, func(c *store.Client) { c.Disabled = false })
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{Client: &enabled})
	after, err := db.Cutoffs(ctx)
	must(t, err)
	same(t, "number of cut-offs", len(after), 1)
	same(t, "cut-offs", after, before)
}

func clientsDelete(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	create(t, db, "other")
	cursor := position(t, ctx, db)
	must(t, db.DeleteClient(ctx, actor, "web", nil))
	wantCutInSameChange(t, db, cursor, "web", func(c store.Change) { same(t, "gone", c.Gone, "web") })
	_, err := db.Client(ctx, "web")
	wantError(t, "Client after it was deleted", err, store.ErrNotFound)
	wantError(t, "deleting it again", db.DeleteClient(ctx, actor, "web", nil), store.ErrNotFound)
	loaded := load(t, ctx, db)
	same(t, "clients of Load", len(loaded.Clients), 1)
	if again := create(t, db, "web"); again.Version != 1 {
		t.Errorf("a new client of the id has version %d", again.Version)
	}
	same(t, "cut-off after it was created again", load(t, ctx, db).Cutoffs["client web"], loaded.Cutoffs["client web"])
}

func clientsDeleteRefused(t *testing.T, db Store) {
	ctx := testContext(t)
	made := create(t, db, "web")
	cursor := position(t, ctx, db)
	errMine := errors.New("refused by the caller")
	err := db.DeleteClient(ctx, actor, "web", func(c *store.Client) error {
		same(t, "what is checked", *c, made)
		return errMine
	})
	same(t, "error", err, errMine) // as it is: not even wrapped
	wantClient(t, db, made)
	since(t, ctx, db, cursor, 0)
	same(t, "rows of the audit", len(audits(t, ctx, db, 100)), 1)
	err = db.DeleteClient(ctx, actor, "other", func(*store.Client) error { t.Error("checked what is not there"); return nil })
	wantError(t, "an unknown client", err, store.ErrNotFound)
}

func clientsCreateRace(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	var made atomic.Int32
	race(16, func(i int) {
		client := newClient("web")
		client.Name = fmt.Sprint(i)
		_, err := db.CreateClient(ctx, actor, client)
		if err == nil {
			made.Add(1)
			return
		}
		wantError(t, "the id was taken first", err, store.ErrConflict)
	})
	same(t, "successes", made.Load(), 1)
	change := since(t, ctx, db, cursor, 1)[0]
	wantClient(t, db, *change.Client)
}

func clientsUpdateRace(t *testing.T, db Store) {
	const updaters = 64
	ctx := testContext(t)
	client := newClient("web")
	client.AccessTTL = 0
	_, err := db.CreateClient(ctx, actor, client)
	must(t, err)
	cursor := position(t, ctx, db)
	race(updaters, func(int) {
		changed, err := db.UpdateClient(ctx, actor, "web", func(c *store.Client) error { c.AccessTTL++; return nil })
		if err != nil || changed.AccessTTL != changed.Version-1 {
			t.Errorf("version %d counts %d, error %v", changed.Version, changed.AccessTTL, err)
		}
	})
	got, err := db.Client(ctx, "web")
	must(t, err)
	same(t, "count and version", []int64{got.AccessTTL, got.Version}, []int64{updaters, updaters + 1})
	for i, change := range since(t, ctx, db, cursor, updaters) {
		same(t, "version in the feed", change.Client.Version, i+2)
	}
}

// clientsDeleteCheckRace: a change is either seen by the check, which refuses, or finds nothing any more.
func clientsDeleteCheckRace(t *testing.T, db Store) {
	ctx := testContext(t)
	for range 16 {
		create(t, db, "web")
		errStale := errors.New("another version")
		var deleted, changed error
		race(2, func(i int) {
			if i == 0 {
				deleted = db.DeleteClient(ctx, actor, "web", func(c *store.Client) error {
					if c.Version != 1 {
						return errStale
					}
					return nil
				})
				return
			}
			_, changed = db.UpdateClient(ctx, actor, "web", func(c *store.Client) error { c.Name = "renamed"; return nil })
		})
		if changed == nil {
			wantError(t, "deletion of version 1 after the change", deleted, errStale)
			must(t, db.DeleteClient(ctx, actor, "web", nil))
			continue
		}
		wantError(t, "change after the deletion", changed, store.ErrNotFound)
		must(t, deleted)
	}
}

func clientsDeleteRace(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	cursor := position(t, ctx, db)
	var gone atomic.Int32
	race(16, func(int) {
		err := db.DeleteClient(ctx, actor, "web", nil)
		if err == nil {
			gone.Add(1)
			return
		}
		wantError(t, "it was deleted first", err, store.ErrNotFound)
	})
	same(t, "successes", gone.Load(), 1)
	since(t, ctx, db, cursor, 1)
}
