package login

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// Why nobody came in. A fault of the store is neither: it is [store.ErrUnavailable].
var (
	// ErrWrong is the one answer to an unknown user, a disabled one, and a wrong password.
	ErrWrong = errors.New("the user name or the password is wrong")
	// ErrRole means that the password is right, but the door is for another role.
	ErrRole = errors.New("the user has not the role for this")
)

// A TooMany is the refusal of an attempt by a limit: 429.
type TooMany struct{ Verdict limits.Verdict }

func (*TooMany) Error() string { return "too many attempts to sign in" }

// Users finds users; storetest.Store has the promise.
type Users interface {
	UserByName(ctx context.Context, username string) (store.User, error)
}

// A Limiter is [limits.Limiter].
type Limiter interface {
	Spend(e limits.Endpoint, s limits.Stage, who *limits.Who, n int64) limits.Verdict
}

// A Door is where people come in with a password. All fields but Role and Space are required.
type Door struct {
	Users  Users
	Limits Limiter
	Hasher *Hasher
	Role   string // that who comes in must have; "": any
	Space  string // before the names whose attempts are counted, so that nobody is locked out by another door; no name has a ':'
}

// An Attempt is what somebody typed, and where.
type Attempt struct {
	Username string
	Password string
	Address  netip.Addr // behind trusted proxies
}

// SignIn finds the user whose name and password these are. [ErrWrong], [ErrRole], [*TooMany], [store.ErrUnavailable]. An
// unknown user costs the same work as a wrong password.
func (d *Door) SignIn(ctx context.Context, a Attempt) (store.User, error) {
	// The turn comes before the permits: an attempt that nobody could check, because others fill the queue, costs none of
	// the person's budget.
	if err := d.Hasher.enter(ctx); err != nil {
		return store.User{}, fmt.Errorf("check password: %w", err)
	}
	defer d.Hasher.leave()
	name := store.FoldUsername(a.Username)
	if err := d.spend(name, a.Address); err != nil {
		return store.User{}, err
	}
	user, kept, err := d.find(ctx, name)
	if err != nil {
		return store.User{}, fmt.Errorf("find user: %w", err)
	}
	same, err := d.Hasher.verify(kept, a.Password)
	switch {
	case err != nil:
		return store.User{}, fmt.Errorf("check password: %w", err)
	case !same:
		return store.User{}, ErrWrong
	case d.Role != "" && user.Role != d.Role:
		return store.User{}, ErrRole
	}
	return user, nil
}

// spend counts the attempt, right or wrong: by address, and by the name that was tried. A name that nobody can have is
// not counted: it would only fill the limiter.
func (d *Door) spend(name string, address netip.Addr) error {
	who := limits.Who{Address: address}
	if v := d.Limits.Spend(limits.Login, limits.ByAddress, &who, 1); v.Refused {
		return &TooMany{v}
	}
	if !isUsername(name) {
		return nil
	}
	who.Username = []byte(d.Space + name)
	if v := d.Limits.Spend(limits.Login, limits.ByName, &who, 1); v.Refused {
		return &TooMany{v}
	}
	return nil
}

// find is the user of the name, and the hash to compare with: a decoy for who is not there or may not come in.
func (d *Door) find(ctx context.Context, name string) (store.User, string, error) {
	if !isUsername(name) { // the store may not even be able to look for it
		return store.User{}, d.Hasher.decoy, nil
	}
	user, err := d.Users.UserByName(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, d.Hasher.decoy, nil
	case err != nil:
		return store.User{}, "", err
	case user.Disabled:
		return store.User{}, d.Hasher.decoy, nil
	}
	return user, user.Password, nil
}

// isUsername reports whether a user may have the name.
func isUsername(name string) bool {
	probe := store.User{Username: name, Role: store.RoleUser, Password: "any"}
	return probe.Validate() == nil
}
