package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Roles of a [User].
const (
	RoleAdmin = "admin" // may use the listener for operators
	RoleUser  = "user"
)

// A User is a person. It never changes in place: a change is a new value with the next version.
type User struct {
	ID       ID        `json:"id"`       // the subject of the user's tokens
	Username string    `json:"username"` // unique, folded by [FoldUsername]
	Email    string    `json:"email,omitempty"`
	Role     string    `json:"role"`
	Disabled bool      `json:"disabled,omitempty"`
	Password string    `json:"password,omitempty"` // argon2id, in the PHC format
	Seed     string    `json:"seed,omitempty"`     // of the variable that last set the password, likewise; "": none did
	Sessions int64     `json:"sessions"`           // generation: sessions of an older one are ended
	Version  int64     `json:"version"`            // set by the store, from 1
	Created  time.Time `json:"created"`            // set by the store
	Updated  time.Time `json:"updated"`            // set by the store
}

// Bounds of a user.
const (
	maxUsername = 128 // bytes
	maxEmail    = 254 // bytes, RFC 5321
)

// FoldUsername is the one spelling of a user name: without space around it and in lower case. What was typed is
// counted and looked up under it.
func FoldUsername(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }

// Validate says all that is wrong with a user, as joined errors of type [*FieldError].
func (u *User) Validate() error {
	var faults []error
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, &FieldError{field, fmt.Sprintf(format, args...)})
		}
	}
	refuse(len(u.Username) == 0 || len(u.Username) > maxUsername, "username", "must have 1 to %d characters", maxUsername)
	// The audit writes a client that acts for an operator as client:ID.
	refuse(!isWord(u.Username, ":"), "username", "must be of visible ASCII without spaces and colons")
	refuse(u.Username != FoldUsername(u.Username), "username", "must be in lower case")
	refuse(u.Email != "" && !isEmail(u.Email), "email", "is no address like name@example.com")
	refuse(!slices.Contains([]string{RoleAdmin, RoleUser}, u.Role), "role", "must be %s or %s", RoleAdmin, RoleUser)
	refuse(u.Password == "", "password", "must not be empty")
	return errors.Join(faults...)
}

// isEmail is a bound, not a grammar: only a mail that arrives proves an address.
func isEmail(text string) bool {
	local, domain, found := strings.Cut(text, "@")
	return found && len(text) <= maxEmail && local != "" && domain != "" && !strings.Contains(domain, "@") && isWord(text, `"\<>`)
}

// Masked is the user as it may be shown and audited: without what belongs to the password.
func (u User) Masked() User {
	u.Password, u.Seed = "", ""
	return u
}

// Next is u as the version after old, nil for a user who is new. Disabling, a new password and another role end the sessions.
func (u User) Next(old *User, now time.Time) User {
	u.Version, u.Created, u.Updated = 1, now, now
	if old == nil {
		return u
	}
	u.ID, u.Version, u.Created, u.Sessions = old.ID, old.Version+1, old.Created, max(u.Sessions, old.Sessions)
	if u.EndsSessions(old) {
		u.Sessions = old.Sessions + 1
	}
	return u
}

// ErrLastOperator is an [ErrConflict]: a change by anybody but the command line would leave no operator who may sign in.
var ErrLastOperator = fmt.Errorf("%w: this is the last operator who may sign in", ErrConflict)

// Operates reports whether u may sign in to the listener for operators; nobody may, where u is nil.
func (u *User) Operates() bool { return u != nil && u.Role == RoleAdmin && !u.Disabled }

// MayEndOperators reports whether the actor may leave no operator: who has the command line needs none to come back in.
func (a Actor) MayEndOperators() bool { return a.Kind == ActorCLI }

// EndsSessions reports whether u, as the change of old, ends what old had open.
func (u *User) EndsSessions(old *User) bool {
	return u.Disabled && !old.Disabled || u.Password != old.Password || u.Role != old.Role
}
