package login

import (
	"context"
	"errors"
	"sync"
	"testing"

	"oauth2-server/store"
)

// A nursery seeds over a store, and looks at what came of it.
type nursery struct {
	t      *testing.T
	db     SeedStore
	hasher *Hasher
}

func onEachNursery(t *testing.T, test func(t *testing.T, n *nursery)) {
	onEachStore(t, func(t *testing.T, open func() SeedStore) {
		hasher, _ := cheap()
		test(t, &nursery{t, open(), hasher})
	})
}

const otherPassword = "staple battery horse correct"

// seed is a start with a password in the variable; action is what it should do.
func (n *nursery) seed(password, action string) Seeded {
	n.t.Helper()
	done, err := Seed(n.t.Context(), n.db, n.hasher, testActor, Operator{" Admin", "admin@example.com", password})
	if err != nil || done.Action != action || done.Username != "admin" || (done.Password != "" && password != "") {
		n.t.Errorf("got %+v, %v, want %q", done, err, action)
	}
	return done
}

// admin is the operator, whose password should be this.
func (n *nursery) admin(password string) store.User {
	n.t.Helper()
	user, err := n.db.UserByName(n.t.Context(), "admin")
	if err != nil {
		n.t.Fatal(err)
	}
	if same, err := n.hasher.Verify(n.t.Context(), user.Password, password); !same || err != nil {
		n.t.Errorf("the password is another one (%v)", err)
	}
	return user
}

func TestSeedCreatesTheFirstOperator(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		n.seed(goodPassword, "user.create")
		user := n.admin(goodPassword)
		if user.Role != store.RoleAdmin || user.Disabled || user.Email != "admin@example.com" || user.Version != 1 || user.ID.IsZero() {
			t.Errorf("got %+v", user.Masked())
		}
		n.seed(goodPassword, "")
		if again := n.admin(goodPassword); again != user {
			t.Errorf("got %+v, want it as it was", again.Masked())
		}
	})
}

// What operators change stays, as long as the variable does not.
func TestSeedLeavesChangesAlone(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		n.seed(goodPassword, "user.create")
		kept, err := n.hasher.Hash(t.Context(), otherPassword)
		if err != nil {
			t.Fatal(err)
		}
		changed(t, n.db, n.admin(goodPassword).ID, func(u *store.User) {
			u.Password, u.Disabled, u.Role, u.Email = kept, true, store.RoleUser, "root@example.com"
		})
		was := n.admin(otherPassword)
		n.seed(goodPassword, "")
		if user := n.admin(otherPassword); user != was {
			t.Errorf("got %+v, want %+v", user.Masked(), was.Masked())
		}
	})
}

// A changed variable lets people in again, whatever has become of the operator.
func TestSeedSetsAChangedVariableAnew(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		n.seed(goodPassword, "user.create")
		was := changed(t, n.db, n.admin(goodPassword).ID, func(u *store.User) { u.Disabled, u.Role, u.Email = true, store.RoleUser, "root@example.com" })
		session := NewSession(&was, testNow)
		n.seed(otherPassword, "user.seed")
		user := n.admin(otherPassword)
		if user.Disabled || user.Role != store.RoleAdmin || user.ID != was.ID || user.Email != "root@example.com" {
			t.Errorf("got %+v, want an enabled operator", user.Masked())
		}
		if session.Valid(&user, "") {
			t.Error("a session of before is valid")
		}
		n.seed(otherPassword, "")
		n.seed(goodPassword, "user.seed") // and back
		n.admin(goodPassword)
	})
}

// A user who was created by hand takes the variable's password when there is one for the first time.
func TestSeedTakesOverAUserOfTheName(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		was := enrolled(t, n.db, n.hasher, store.User{Username: "admin", Role: store.RoleUser})
		n.seed(otherPassword, "user.seed")
		if user := n.admin(otherPassword); user.ID != was.ID || user.Role != store.RoleAdmin {
			t.Errorf("got %+v, want the same user as operator", user.Masked())
		}
		n.seed(otherPassword, "")
	})
}

func TestSeedMendsADamagedMemory(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		n.seed(goodPassword, "user.create")
		changed(t, n.db, n.admin(goodPassword).ID, func(u *store.User) { u.Seed = "damaged" })
		n.seed(goodPassword, "user.seed")
		n.seed(goodPassword, "")
	})
}

func TestSeedMakesAPasswordOnceWhereNoneIsConfigured(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		made := n.seed("", "user.create").Password
		if len(made) != 24 || CheckPassword(made) != nil {
			t.Errorf("got a password of %d characters: %v", len(made), CheckPassword(made))
		}
		user := n.admin(made)
		if user.Role != store.RoleAdmin || user.Seed != "" {
			t.Errorf("got %+v", user.Masked())
		}
		if again := n.seed("", ""); again.Password != "" {
			t.Error("a second password was made")
		}
		n.seed(goodPassword, "user.seed") // the variable, at last
		n.admin(goodPassword)
	})
}

// Without a variable nobody becomes an operator unasked, and a deleted one does not come back beside another.
func TestSeedMakesNoSecondOperatorUnasked(t *testing.T) {
	onEachNursery(t, func(t *testing.T, n *nursery) {
		enrolled(t, n.db, n.hasher, store.User{Username: "admin", Role: store.RoleUser})
		user := n.admin(goodPassword)
		n.seed("", "")
		if now := n.admin(goodPassword); now != user {
			t.Errorf("got %+v, want the user as it was", now.Masked())
		}
		if _, err := n.db.ChangeUser(t.Context(), testActor, "user.delete", user.ID, func(*store.User) (*store.User, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		enrolled(t, n.db, n.hasher, store.User{Username: "zoe", Role: store.RoleAdmin})
		n.seed("", "")
		if _, err := n.db.UserByName(t.Context(), "admin"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want no operator of the name", err)
		}
	})
}

// pages is a store of many users, operator last.
type pages struct{ SeedStore }

func (pages) UserByName(context.Context, string) (store.User, error) {
	return store.User{}, store.ErrNotFound
}

func (pages) Users(_ context.Context, after string, limit int) ([]store.User, error) {
	users := make([]store.User, limit)
	for i := range users {
		users[i] = store.User{Username: after + "a", Role: store.RoleUser}
	}
	if len(after) == 3 {
		return []store.User{{Username: "z", Role: store.RoleAdmin}}, nil
	}
	return users, nil
}

func TestSeedLooksForAnOperatorOnEveryPage(t *testing.T) {
	hasher, _ := cheap()
	if done, err := Seed(t.Context(), pages{}, hasher, testActor, Operator{Username: "admin"}); err != nil || done.Action != "" {
		t.Errorf("got %+v, %v, want nothing done", done.Action, err)
	}
}

// Replicas that start at once agree: one acts, and all have the same operator.
func TestSeedAtOnceIsDoneOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func() SeedStore) {
		const replicas = 3
		hasher, _ := cheap()
		var dbs [replicas]SeedStore
		for i := range dbs {
			dbs[i] = open()
		}
		n := &nursery{t, dbs[0], hasher}
		round := func(password, action string, times int) {
			t.Helper()
			var group sync.WaitGroup
			var done [replicas]Seeded
			for i, db := range dbs {
				group.Go(func() {
					var err error
					if done[i], err = Seed(t.Context(), db, hasher, testActor, Operator{Username: "admin", Password: password}); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			acted := 0
			for _, one := range done {
				if one.Action == action {
					acted++
				} else if one.Action != "" {
					t.Errorf("got %q, want %q or nothing", one.Action, action)
				}
			}
			if acted != times {
				t.Errorf("%q was done %d times, want %d", action, acted, times)
			}
		}
		round(goodPassword, "user.create", 1)
		first := n.admin(goodPassword)
		round(goodPassword, "user.seed", 0)
		round(otherPassword, "user.seed", 1)
		if now := n.admin(otherPassword); now.Version != first.Version+1 || now.ID != first.ID {
			t.Errorf("got %+v, want the next version of %+v", now.Masked(), first.Masked())
		}
	})
}

func TestSeedTellsFaults(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func() SeedStore) {
		hasher, _ := cheap()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if done, err := Seed(ctx, open(), hasher, testActor, Operator{Username: "admin", Password: goodPassword}); err == nil || done != (Seeded{}) {
			t.Errorf("got %+v, %v, want an error", done, err)
		}
	})
	hasher, _ := cheap()
	if _, err := Seed(t.Context(), rival{}, hasher, testActor, Operator{Username: "admin", Password: goodPassword}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want an end to conflicts", err)
	}
}

// rival is always faster.
type rival struct{ SeedStore }

func (rival) UserByName(context.Context, string) (store.User, error) {
	return store.User{}, store.ErrNotFound
}

func (rival) ChangeUser(context.Context, store.Actor, string, store.ID, func(*store.User) (*store.User, error)) (store.User, error) {
	return store.User{}, store.ErrConflict
}
