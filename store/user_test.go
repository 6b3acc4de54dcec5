package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func goodUser() User {
	return User{ID: NewID(time.Now()), Username: "alice", Email: "alice@example.com", Role: RoleAdmin, Password: "$argon2id$x", Seed: "$argon2id$y"}
}

func TestValidateRefusesAUser(t *testing.T) {
	if u := goodUser(); u.Validate() != nil {
		t.Errorf("a good user: %v", u.Validate())
	}
	for name, test := range map[string]struct {
		spoil func(u *User)
		field string
	}{
		"no name":            {func(u *User) { u.Username = "" }, "username"},
		"long name":          {func(u *User) { u.Username = strings.Repeat("a", 129) }, "username"},
		"name with a space":  {func(u *User) { u.Username = "a b" }, "username"},
		"name in upper case": {func(u *User) { u.Username = "Alice" }, "username"},
		"name with a colon":  {func(u *User) { u.Username = "client:a" }, "username"},
		"name beyond ASCII":  {func(u *User) { u.Username = "älice" }, "username"},
		"name with a NUL":    {func(u *User) { u.Username = "a\x00" }, "username"},
		"mail without at":    {func(u *User) { u.Email = "example.com" }, "email"},
		"mail with two":      {func(u *User) { u.Email = "a@b@c" }, "email"},
		"mail with a break":  {func(u *User) { u.Email = "a@b\nc" }, "email"},
		"unknown role":       {func(u *User) { u.Role = "root" }, "role"},
		"no password":        {func(u *User) { u.Password = "" }, "password"},
	} {
		t.Run(name, func(t *testing.T) {
			u := goodUser()
			test.spoil(&u)
			if fault, ok := errors.AsType[*FieldError](u.Validate()); !ok || fault.Field != test.field {
				t.Errorf("got %v, want a fault of %s", u.Validate(), test.field)
			}
		})
	}
}

func TestOnlyWhatEndsSessionsCutsOff(t *testing.T) {
	old := goodUser()
	old.Sessions = 4
	f := func(what string, cuts bool, change func(u *User)) {
		t.Helper()
		u := old
		change(&u)
		u = u.Next(&old, time.Now())
		told := ChangedUser(&old, &u, Actor{Kind: "cli", ID: "x"})
		if got := len(told.Cutoffs) == 1 && told.Cutoffs[0].Name == old.ID.String(); got != cuts || u.Sessions > 4 != cuts {
			t.Errorf("%s: told %+v, sessions %d, want a cut-off: %v", what, told, u.Sessions, cuts)
		}
	}
	f("disabled", true, func(u *User) { u.Disabled = true })
	f("password", true, func(u *User) { u.Password = "$argon2id$z" })
	f("role", true, func(u *User) { u.Role = RoleUser })
	f("mail and seed", false, func(u *User) { u.Email, u.Seed = "", "" })
	f("an older generation", false, func(u *User) { u.Sessions = 1 })
	old.Disabled = true
	f("enabled", false, func(u *User) { u.Disabled = false })
}

func TestAuditOfAUserHasNoPassword(t *testing.T) {
	before, after := goodUser(), goodUser()
	row := AuditUser(time.Now(), Actor{Kind: "cli", ID: "x"}, "user.update", &before, &after)
	if bytes.Contains(row.Before, []byte("argon2id")) || bytes.Contains(row.After, []byte("argon2id")) || len(row.Before) == 0 {
		t.Errorf("the row holds %s and %s", row.Before, row.After)
	}
}
