package main

import (
	"errors"
	"strings"
	"testing"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

const (
	testPassword  = "purple lantern ferries oblique mustard"
	otherPassword = "staple battery horse correct"
)

// user is the user of the name in the store.
func (c *console) user(name string) store.User {
	c.t.Helper()
	user, err := c.open().UserByName(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return user
}

// createUser is a user who was created with testPassword.
func (c *console) createUser(name string, args ...string) store.User {
	c.t.Helper()
	out := c.must(append([]string{"user", "create", "--json", "--username", name, "--password", testPassword}, args...)...)
	return decodeJSON[store.User](c.t, out)
}

// wantPassword: the user signs in with it.
func (c *console) wantPassword(name, password string) {
	c.t.Helper()
	same, err := login.NewHasher().Verify(c.t.Context(), c.user(name).Password, password)
	if err != nil || !same {
		c.t.Errorf("the password of %s is another one (%v)", name, err)
	}
}

func TestUserCreate(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.createUser("Anna", "--email", "anna@example.com", "--role", "admin")
		c.wantAudit("user.create")
		kept := c.user("anna")
		if made.Username != "anna" || made.Email != "anna@example.com" || made.Role != store.RoleAdmin || made.Version != 1 || made.ID != kept.ID {
			t.Errorf("got %+v, want anna as she is kept", made)
		}
		if made.Password != "" || made.Seed != "" || kept.Seed != "" {
			t.Error("what belongs to the password is shown, or remembered as a variable's")
		}
		c.wantPassword("anna", testPassword)
		want(t, c.refused("user", "create", "--username", " ANNA", "--password", testPassword), `there is a user "anna" already`)
		out := c.must("user", "create", "--username", "ben", "--password", testPassword)
		want(t, out, "ben", "role      user", "enabled", c.user("ben").ID.String())
	})
}

func TestUserPasswordFromStandardInput(t *testing.T) {
	c := newConsole(t)
	if status, _, errOut := c.run(testPassword+"\n", "user", "create", "--username", "anna", "--password", "-"); status != 0 {
		t.Fatal(errOut)
	}
	c.wantPassword("anna", testPassword)
	if status, _, errOut := c.run(otherPassword+"\r\n", "user", "set-password", "anna", "--password", "-"); status != 0 {
		t.Fatal(errOut)
	}
	c.wantPassword("anna", otherPassword)
	want(t, c.refused("user", "create", "--username", "ben"), "--password -")
	want(t, c.refused("user", "set-password", "anna"), "--password -")
}

func TestUserTellsAllFaultsByFlag(t *testing.T) {
	c := newConsole(t)
	errOut := c.refused("user", "create", "--username", "a b", "--email", "nowhere", "--role", "root", "--password", "password1234")
	want(t, errOut, "the user is refused:\n", "  --username: ", "  --email: ", "  --role: ", "  --password: is well known")
	if strings.Contains(errOut, "password1234") {
		t.Error("the password is repeated")
	}
	want(t, c.refused("user", "create", "--password", testPassword), "--username: must have")
	c.createUser("anna")
	want(t, c.refused("user", "set-password", "anna", "--password", "short"), "--password: has fewer than 12")
	want(t, c.refused("user", "create", "anna", "--password", testPassword), "unknown command")
	want(t, c.refused("user", "disable"), "name or the id of one user")
	if version := c.user("anna").Version; version != 1 {
		t.Errorf("got version %d, want 1: nothing was changed", version)
	}
}

// The way back in: every session of before is ended.
func TestUserSetPassword(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.createUser("anna")
		want(t, c.must("user", "set-password", "ANNA", "--password", otherPassword), `"anna" is given a new password`, "sessions are ended", "(change ")
		c.wantAudit("user.password")
		c.wantPassword("anna", otherPassword)
		if now := c.user("anna"); now.Sessions != made.Sessions+1 || now.ID != made.ID {
			t.Errorf("got sessions %d, want %d", now.Sessions, made.Sessions+1)
		}
		c.must("user", "set-password", made.ID.String(), "--password", testPassword)
		c.wantPassword("anna", testPassword)
		want(t, c.refused("user", "set-password", "ben", "--password", testPassword), `there is no user "ben"`)
	})
}

func TestUserDisableEnableDelete(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		made := c.createUser("anna")
		outcome := decodeJSON[userOutcome](t, c.must("user", "disable", "anna", "--json"))
		c.wantAudit("user.update")
		cuts, err := c.open().Cutoffs(t.Context())
		if err != nil || len(cuts) != 1 || cuts[0].Name != made.ID.String() || outcome.Cutoff == nil || outcome.Cutoff.Number != cuts[0].Number || outcome.Done != "disabled" {
			t.Errorf("got %+v, want the cut-off %+v (%v)", outcome, cuts, err)
		}
		if now := c.user("anna"); !now.Disabled || now.Sessions != made.Sessions+1 {
			t.Errorf("got %+v, want a disabled user whose sessions are ended", now.Masked())
		}
		want(t, c.must("user", "disable", "anna"), "already")
		want(t, c.must("user", "show", "anna"), "disabled")
		want(t, c.must("user", "enable", made.ID.String()), `"anna" is enabled`, "stays ended")
		if now := c.user("anna"); now.Disabled || now.Sessions != made.Sessions+1 {
			t.Errorf("got %+v, want an enabled user whose sessions stay ended", now.Masked())
		}
		want(t, c.must("user", "delete", "anna"), `"anna" is deleted`, "(change ")
		c.wantAudit("user.delete")
		if _, err := c.open().User(t.Context(), made.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want the user gone", err)
		}
		for _, command := range []string{"disable", "enable", "delete", "show"} {
			want(t, c.refused("user", command, "anna"), `there is no user "anna"`)
		}
	})
}

// Who is called like somebody's id is not taken for him.
func TestUserIsFoundByIDFirst(t *testing.T) {
	c := newConsole(t)
	anna := c.createUser("anna")
	c.createUser(anna.ID.String())
	c.must("user", "disable", anna.ID.String())
	if !c.user("anna").Disabled || c.user(anna.ID.String()).Disabled {
		t.Error("the user of the name was disabled, not the one of the id")
	}
}

func TestUserListAndShow(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		want(t, c.must("user", "list"), "user create")
		want(t, c.must("user", "list", "--json"), "[]")
		c.createUser("ben", "--email", "ben@example.com")
		c.createUser("anna", "--role", "admin")
		all := decodeJSON[[]store.User](t, c.must("user", "list", "--json"))
		if len(all) != 2 || all[0].Username != "anna" || all[1].Email != "ben@example.com" {
			t.Errorf("got %+v, want anna and ben", all)
		}
		want(t, c.must("user", "list"), "NAME", "anna", "admin", "enabled", "ben@example.com", all[0].ID.String())
		want(t, c.must("user", "show", "ben"), "ben@example.com", "version   1")
		if one := decodeJSON[store.User](t, c.must("user", "show", all[0].ID.String(), "--json")); one != all[0] {
			t.Errorf("got %+v, want %+v", one, all[0])
		}
	})
}

// Neither a password nor what is kept of it is ever printed.
func TestUserCommandsPrintNoPassword(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.createUser("anna")
		hashes := []string{c.user("anna").Password}
		for _, line := range []string{"user list", "user list --json", "user show anna", "user show anna --json", "user disable anna --json", "user enable anna --json"} {
			c.must(strings.Fields(line)...)
		}
		c.must("user", "set-password", "anna", "--json", "--password", otherPassword)
		hashes = append(hashes, c.user("anna").Password)
		c.must("user", "delete", "anna", "--json")
		for _, secret := range append(hashes, testPassword, otherPassword, "$argon2id") {
			if strings.Contains(c.printed.String(), secret) {
				t.Errorf("%.12s… was printed", secret)
			}
		}
		if c.printed.Len() < 1000 {
			t.Errorf("only %d bytes were printed: the test looks at nothing", c.printed.Len())
		}
	})
}

// TestSetPasswordTellsOfTheLimit: a new password alone lets nobody in who is locked out.
func TestSetPasswordTellsOfTheLimit(t *testing.T) {
	want(t, newConsole(t).must("user", "set-password", "--help"), "oauth2-server limits override login.username NAME --exempt")
}
