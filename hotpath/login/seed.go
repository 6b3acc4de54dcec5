package login

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"oauth2-server/store"
)

// SeedStore is what [Seed] does with a store; storetest.Store has the promises.
type SeedStore interface {
	UserByName(ctx context.Context, username string) (store.User, error)
	Users(ctx context.Context, after string, limit int) ([]store.User, error)
	ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error)
}

// An Operator is the first one, as the configuration names it.
type Operator struct {
	Username string
	Email    string
	Password string // "": one is made, unless there is an operator already
}

// Seeded is what [Seed] did.
type Seeded struct {
	Username string // folded
	Action   string // as audited: "user.create", "user.seed"; "": nothing was to be done
	Password string // that was made: to be shown once, it is kept nowhere; else ""
}

// seedTries bounds how often somebody else may be faster. Each of them has done the work, so two are enough but for
// an operator who changes the user at the same moment.
const seedTries = 5

// Seed makes sure of the first operator: created if absent. When the configured password is another one than at the last
// time, it is set anew, the user is enabled and an operator again, and the sessions end: the way in for who has lost it.
// With the same password nothing is done, so that what operators have changed stays. Any number of replicas may do it
// at once. [store.ErrUnavailable]: try again.
func Seed(ctx context.Context, db SeedStore, hasher *Hasher, actor store.Actor, first Operator) (Seeded, error) {
	s := seeding{db: db, hasher: hasher, actor: actor, first: first}
	s.first.Username = store.FoldUsername(first.Username)
	err := store.ErrConflict
	for try := 0; try < seedTries && errors.Is(err, store.ErrConflict); try++ {
		var done Seeded
		if done, err = s.once(ctx); err == nil {
			return done, nil
		}
	}
	return Seeded{}, fmt.Errorf("make sure of the operator %q: %w", s.first.Username, err)
}

// seeding is one run of Seed.
type seeding struct {
	db     SeedStore
	hasher *Hasher
	actor  store.Actor
	first  Operator
}

// once fails with store.ErrConflict when somebody else changed the user meanwhile.
func (s *seeding) once(ctx context.Context) (Seeded, error) {
	user, err := s.db.UserByName(ctx, s.first.Username)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Seeded{}, err
	case s.first.Password == "":
		return s.invent(ctx, err == nil)
	case err != nil:
		return s.create(ctx, s.first.Password, true)
	}
	return s.renew(ctx, &user)
}

// invent creates the operator with a password that it makes, if there is no operator at all. Where the name is taken it
// does nothing: nobody becomes an operator unasked.
func (s *seeding) invent(ctx context.Context, taken bool) (Seeded, error) {
	nothing := Seeded{Username: s.first.Username}
	if taken {
		return nothing, nil
	}
	if there, err := s.anyOperator(ctx); there || err != nil {
		return nothing, err
	}
	var random [18]byte
	rand.Read(random[:]) // never fails: the runtime aborts instead
	password := base64.RawURLEncoding.EncodeToString(random[:])
	done, err := s.create(ctx, password, false)
	done.Password = password
	return done, err
}

func (s *seeding) anyOperator(ctx context.Context) (bool, error) {
	const page = 100
	after := ""
	for {
		users, err := s.db.Users(ctx, after, page)
		if err != nil {
			return false, err
		}
		for _, user := range users {
			if user.Role == store.RoleAdmin {
				return true, nil
			}
			after = user.Username
		}
		if len(users) < page {
			return false, nil
		}
	}
}

// create makes the operator. remember: the password is the configured one.
func (s *seeding) create(ctx context.Context, password string, remember bool) (Seeded, error) {
	kept, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return Seeded{}, err
	}
	user := store.User{ID: store.NewID(time.Now()), Username: s.first.Username, Email: s.first.Email, Role: store.RoleAdmin, Password: kept}
	if remember {
		user.Seed = kept
	}
	return s.change(ctx, "user.create", user.ID, func(*store.User) (*store.User, error) { return &user, nil })
}

// renew sets the configured password if it is another one than the user remembers.
func (s *seeding) renew(ctx context.Context, user *store.User) (Seeded, error) {
	if user.Seed != "" {
		same, err := s.hasher.Verify(ctx, user.Seed, s.first.Password)
		if errors.Is(err, store.ErrUnavailable) { // what is damaged is made anew
			return Seeded{}, err
		}
		if same {
			return Seeded{Username: user.Username}, nil
		}
	}
	kept, err := s.hasher.Hash(ctx, s.first.Password)
	if err != nil {
		return Seeded{}, err
	}
	return s.change(ctx, "user.seed", user.ID, func(old *store.User) (*store.User, error) {
		if old == nil || old.Version != user.Version {
			return nil, store.ErrConflict
		}
		anew := *old
		anew.Password, anew.Seed, anew.Role, anew.Disabled = kept, kept, store.RoleAdmin, false
		return &anew, nil
	})
}

func (s *seeding) change(ctx context.Context, action string, id store.ID, change func(old *store.User) (*store.User, error)) (Seeded, error) {
	user, err := s.db.ChangeUser(ctx, s.actor, action, id, change)
	return Seeded{Username: user.Username, Action: action}, err
}
