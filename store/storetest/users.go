package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"oauth2-server/store"
)

func (s suite) users(t *testing.T) {
	s.rule(t, "StoredAsGivenAndFound", usersStored)
	s.rule(t, "UnknownIsNotFound", usersUnknown)
	s.rule(t, "ChangeMakesTheNextVersion", usersNext)
	s.rule(t, "TakenNameIsConflict", usersTaken)
	s.rule(t, "EndingSessionsCutsOffInTheSameChange", usersCut)
	s.rule(t, "OtherChangesCutNobodyOff", usersNoCut)
	s.rule(t, "DeletingCutsOffInTheSameChange", usersDelete)
	s.rule(t, "ErrorOfChangeIsReturnedAndNothingDone", usersError)
	s.rule(t, "ListedByName", usersListed)
	s.rule(t, "AuditedWithoutPassword", usersAudited)
	s.rule(t, "LastOperatorGoesAtTheCommandLineAlone", usersLastOperator)
}

func (s suite) userRaces(t *testing.T) {
	s.rule(t, "OneOfManyTakesAName", usersNameRace)
	s.rule(t, "NoChangeIsLost", usersChangeRace)
	s.rule(t, "OneOperatorIsLeftOfThoseWhoDisableEachOther", usersOperatorRace)
}

// newUser is a user with something in every field the store keeps.
func newUser(name string) store.User {
	return store.User{
		ID: newID(), Username: name, Email: name + "@example.com", Role: store.RoleAdmin,
		Password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$secret-" + name, Seed: "$argon2id$seed-" + name,
	}
}

// putUser makes user what the user of its id is.
func putUser(ctx context.Context, db Store, user store.User) (store.User, error) {
	return db.ChangeUser(ctx, actor, "user.put", user.ID, func(*store.User) (*store.User, error) { return &user, nil })
}

func makeUser(t testing.TB, db Store, name string) store.User {
	t.Helper()
	user, err := putUser(testContext(t), db, newUser(name))
	must(t, err)
	return user
}

// alterUser changes a user.
func alterUser(t testing.TB, db Store, id store.ID, change func(*store.User)) store.User {
	t.Helper()
	user, err := db.ChangeUser(testContext(t), actor, "user.update", id, func(old *store.User) (*store.User, error) {
		change(old)
		return old, nil
	})
	must(t, err)
	return user
}

// wantUser checks that the store has the user as it is given, by id and by name.
func wantUser(t testing.TB, db Store, want store.User) {
	t.Helper()
	got, err := db.User(testContext(t), want.ID)
	must(t, err)
	same(t, "user by id", got, want)
	got, err = db.UserByName(testContext(t), want.Username)
	must(t, err)
	same(t, "user by name", got, want)
}

// wantJSON checks that the JSON of a row says the same as want, nil for nothing.
func wantJSON(t testing.TB, what string, got []byte, want any) {
	t.Helper()
	if want == nil || got == nil {
		if want != nil || got != nil {
			t.Errorf("%s: got %s, want %v", what, got, want)
		}
		return
	}
	var a, b any
	text, err := json.Marshal(want)
	must(t, err)
	must(t, json.Unmarshal(got, &a))
	must(t, json.Unmarshal(text, &b))
	same(t, what, a, b)
}

func usersStored(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	given := newUser("alice")
	made, err := db.ChangeUser(ctx, actor, "user.create", given.ID, func(old *store.User) (*store.User, error) {
		same(t, "a user who is not there", old, nil)
		u := given
		u.ID = store.ID{} // the store sets it
		return &u, nil
	})
	must(t, err)
	if made.Version != 1 || made.Created.IsZero() || !made.Updated.Equal(made.Created) {
		t.Errorf("version %d, created %v, updated %v", made.Version, made.Created, made.Updated)
	}
	given.Version, given.Created, given.Updated = 1, made.Created, made.Updated
	same(t, "user returned", made, given)
	wantUser(t, db, made)
	typed, err := db.UserByName(ctx, "  ALICE ")
	must(t, err)
	same(t, "user by what was typed", typed, made)
	same(t, "change", since(t, ctx, db, cursor, 1)[0], store.Change{}) // replicas hold no users
}

func usersUnknown(t *testing.T, db Store) {
	ctx := testContext(t)
	cursor := position(t, ctx, db)
	_, err := db.User(ctx, newID())
	wantError(t, "User", err, store.ErrNotFound)
	_, err = db.UserByName(ctx, "nobody")
	wantError(t, "UserByName", err, store.ErrNotFound)
	_, err = db.ChangeUser(ctx, actor, "user.delete", newID(), func(*store.User) (*store.User, error) { return nil, nil })
	wantError(t, "deletion of nobody", err, store.ErrNotFound)
	since(t, ctx, db, cursor, 0)
}

func usersNext(t *testing.T, db Store) {
	made := makeUser(t, db, "alice")
	changed := alterUser(t, db, made.ID, func(u *store.User) {
		same(t, "user to change", *u, made)
		u.ID, u.Version, u.Created = newID(), 99, u.Created.Add(-1e9)
		u.Email, u.Username = "", "alicia"
	})
	want := made
	want.Email, want.Username, want.Version, want.Updated = "", "alicia", 2, changed.Updated
	same(t, "user returned", changed, want)
	wantUser(t, db, want)
	_, err := db.UserByName(testContext(t), "alice")
	wantError(t, "the name before", err, store.ErrNotFound)
	makeUser(t, db, "alice") // it is free again
}

func usersTaken(t *testing.T, db Store) {
	ctx := testContext(t)
	made, other := makeUser(t, db, "alice"), makeUser(t, db, "bob")
	cursor := position(t, ctx, db)
	rows := len(audits(t, ctx, db, 100))
	_, err := putUser(ctx, db, newUser("alice"))
	wantError(t, "a new user of a taken name", err, store.ErrConflict)
	other.Username = "alice"
	_, err = putUser(ctx, db, other)
	wantError(t, "a change to a taken name", err, store.ErrConflict)
	wantUser(t, db, made)
	since(t, ctx, db, cursor, 0)
	same(t, "rows of audit", len(audits(t, ctx, db, 100)), rows)
}

// wantSubjectCut checks that the one change since cursor cuts off the user and nothing else.
func wantSubjectCut(t testing.TB, db Store, what string, cursor store.Cursor, id store.ID) {
	t.Helper()
	change := since(t, testContext(t), db, cursor, 1)[0]
	if len(change.Cutoffs) != 1 {
		t.Fatalf("%s: got cut-offs %+v, want one", what, change.Cutoffs)
	}
	c := change.Cutoffs[0]
	same(t, what, []any{c.Kind, c.Name, c.Number, c.Actor}, []any{store.CutSubject, id.String(), change.Seq, actor.String()})
	all, err := db.Cutoffs(testContext(t))
	must(t, err)
	same(t, what+": stored cut-offs", all, change.Cutoffs)
}

func usersCut(t *testing.T, db Store) {
	ctx := testContext(t)
	made := makeUser(t, db, "alice")
	sessions := made.Sessions
	for _, step := range []struct {
		what   string
		change func(*store.User)
	}{
		{"disabled", func(u *store.User) { u.Disabled = true }},
		{"new password", func(u *store.User) { u.Password = "$argon2id$new" }},
		{"another role", func(u *store.User) { u.Role = store.RoleUser }},
	} {
		cursor := position(t, ctx, db)
		changed := alterUser(t, db, made.ID, step.change)
		sessions++
		same(t, step.what+": generation of sessions", changed.Sessions, sessions)
		wantUser(t, db, changed)
		wantSubjectCut(t, db, step.what, cursor, made.ID)
	}
}

func usersNoCut(t *testing.T, db Store) {
	ctx := testContext(t)
	made := makeUser(t, db, "alice")
	cursor := position(t, ctx, db)
	changed := alterUser(t, db, made.ID, func(u *store.User) { u.Email, u.Seed = "a@example.com", "other" })
	same(t, "generation of sessions", changed.Sessions, made.Sessions)
	same(t, "cut-offs", len(since(t, ctx, db, cursor, 1)[0].Cutoffs), 0)
}

func usersDelete(t *testing.T, db Store) {
	ctx := testContext(t)
	made := makeUser(t, db, "alice")
	cursor := position(t, ctx, db)
	gone, err := db.ChangeUser(ctx, actor, "user.delete", made.ID, func(*store.User) (*store.User, error) { return nil, nil })
	must(t, err)
	same(t, "the user who was", gone, made)
	_, err = db.User(ctx, made.ID)
	wantError(t, "a deleted user", err, store.ErrNotFound)
	wantSubjectCut(t, db, "deleted", cursor, made.ID)
	makeUser(t, db, "alice")
}

func usersError(t *testing.T, db Store) {
	ctx := testContext(t)
	made := makeUser(t, db, "alice")
	cursor := position(t, ctx, db)
	rows := len(audits(t, ctx, db, 100))
	mine := errors.New("mine")
	_, err := db.ChangeUser(ctx, actor, "user.update", made.ID, func(old *store.User) (*store.User, error) {
		old.Disabled = true
		return old, mine
	})
	if err != mine { //nolint:errorlint // not wrapped: as it is
		t.Errorf("got error %v, want the error of change as it is", err)
	}
	wantUser(t, db, made)
	since(t, ctx, db, cursor, 0)
	same(t, "rows of audit", len(audits(t, ctx, db, 100)), rows)
}

func usersListed(t *testing.T, db Store) {
	ctx := testContext(t)
	want := []string{"a", "b-1", "b.1", "b1", "_", "z"}
	for _, name := range want {
		makeUser(t, db, name)
	}
	slices.Sort(want) // by bytes: the order is the same on every database
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := db.Users(ctx, after, 4)
		must(t, err)
		for _, user := range page {
			got = append(got, user.Username)
			wantUser(t, db, user)
		}
		if len(page) < 4 {
			break
		}
	}
	same(t, "users, page by page", got, want)
}

func usersAudited(t *testing.T, db Store) {
	ctx := testContext(t)
	made := makeUser(t, db, "alice")
	object := "user " + made.ID.String()
	row := newest(t, ctx, db, "user.put", object)
	wantJSON(t, "before", row.Before, nil)
	wantJSON(t, "after", row.After, made.Masked())
	changed := alterUser(t, db, made.ID, func(u *store.User) { u.Password = "$argon2id$secret-new" })
	row = newest(t, ctx, db, "user.update", object)
	wantJSON(t, "before", row.Before, made.Masked())
	wantJSON(t, "after", row.After, changed.Masked())
	_, err := db.ChangeUser(ctx, actor, "user.delete", made.ID, func(*store.User) (*store.User, error) { return nil, nil })
	must(t, err)
	row = newest(t, ctx, db, "user.delete", object)
	wantJSON(t, "before", row.Before, changed.Masked())
	wantJSON(t, "after", row.After, nil)
	for _, row := range audits(t, ctx, db, 100) {
		if bytes.Contains(slices.Concat(row.Before, row.After), []byte("argon2id")) {
			t.Errorf("%s: the row holds a hashed password", row.Action)
		}
	}
}

func usersNameRace(t *testing.T, db Store) {
	ctx := testContext(t)
	made := make([]bool, 16)
	race(len(made), func(i int) {
		_, err := putUser(ctx, db, newUser("alice"))
		made[i] = err == nil
		if err != nil {
			wantError(t, "another was first", err, store.ErrConflict)
		}
	})
	same(t, "users of the name", count(made), 1)
	all, err := db.Users(ctx, "", 100)
	must(t, err)
	same(t, "users", len(all), 1)
}

func usersChangeRace(t *testing.T, db Store) {
	made := makeUser(t, db, "alice")
	race(32, func(i int) {
		_, err := db.ChangeUser(testContext(t), actor, "user.update", made.ID, func(old *store.User) (*store.User, error) {
			old.Password = fmt.Sprint(old.Version)
			return old, nil
		})
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	})
	got, err := db.User(testContext(t), made.ID)
	must(t, err)
	same(t, "version, generation, the last change", []any{got.Version, got.Sessions, got.Password}, []any{33, 32, "32"})
}

// shutOut are the ways in which an operator stops being one.
var shutOut = []func(*store.User) *store.User{
	func(u *store.User) *store.User { u.Disabled = true; return u },
	func(u *store.User) *store.User { u.Role = store.RoleUser; return u },
	func(*store.User) *store.User { return nil },
}

// leave lets one operator go by the hand of another.
func leave(t testing.TB, db Store, who store.Actor, id store.ID, how func(*store.User) *store.User) error {
	t.Helper()
	_, err := db.ChangeUser(testContext(t), who, "user.update", id, func(old *store.User) (*store.User, error) { return how(old), nil })
	return err
}

func usersLastOperator(t *testing.T, db Store) {
	last := makeUser(t, db, "alice")
	person, disabled := newUser("bob"), newUser("carol")
	person.Role, disabled.Disabled = store.RoleUser, true
	for _, user := range []store.User{person, disabled} { // neither counts
		_, err := putUser(testContext(t), db, user)
		must(t, err)
	}
	cursor := position(t, testContext(t), db)
	for _, kind := range []string{"admin", "client"} {
		for i, how := range shutOut {
			wantError(t, fmt.Sprintf("%s, way %d", kind, i), leave(t, db, store.Actor{Kind: kind, ID: "eve"}, last.ID, how), store.ErrLastOperator)
		}
	}
	wantUser(t, db, last)
	since(t, testContext(t), db, cursor, 0)
	must(t, leave(t, db, store.Actor{Kind: "admin", ID: "alice"}, disabled.ID, shutOut[2])) // who is no operator is not kept
	must(t, leave(t, db, actor, last.ID, shutOut[0]))                                       // the command line is the way back in
}

func usersOperatorRace(t *testing.T, db Store) {
	const n = 8
	for _, how := range shutOut {
		var all [n]store.User
		for i := range all {
			all[i] = makeUser(t, db, fmt.Sprint("operator-", i))
		}
		refused := make([]bool, n)
		race(n, func(i int) {
			err := leave(t, db, store.Actor{Kind: "admin", ID: all[i].Username}, all[(i+1)%n].ID, how)
			if refused[i] = err != nil; refused[i] {
				wantError(t, "the last one", err, store.ErrLastOperator)
			}
		})
		same(t, "operators who are left", count(refused), 1)
		for i := range all {
			err := leave(t, db, actor, all[i].ID, shutOut[2])
			if !errors.Is(err, store.ErrNotFound) {
				must(t, err)
			}
		}
	}
}
