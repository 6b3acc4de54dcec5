package explain

import (
	"context"
	"errors"
	"fmt"

	"oauth2-server/store"
)

// A SubjectStore is what [FindSubject] asks.
type SubjectStore interface {
	User(ctx context.Context, id store.ID) (store.User, error)
	UserByName(ctx context.Context, username string) (store.User, error)
	Client(ctx context.Context, id string) (store.Client, error)
}

// A Subject is whose tokens a revocation hits.
type Subject struct {
	ID   string // as tokens name it
	Whom string // for people: they must see when it is nobody
}

// FindSubject finds whom an operator means: a user by id, else a client, which is the subject of its own tokens, else a user by name.
// What none of them is called stays as it is.
func FindSubject(ctx context.Context, db SubjectStore, who string) (Subject, error) {
	if id, wrong := store.ParseID(who); wrong == nil {
		user, err := db.User(ctx, id)
		if !errors.Is(err, store.ErrNotFound) {
			return ofUser(&user), err
		}
		return ofClient(ctx, db, who) // not a user whose name looks like the id of one who was deleted
	}
	_, errClient := db.Client(ctx, who)
	user, errUser := db.UserByName(ctx, store.FoldUsername(who))
	for _, err := range []error{errClient, errUser} {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return Subject{}, err
		}
	}
	switch {
	case errClient == nil && errUser == nil:
		return Subject{who, fmt.Sprintf("client %q, and not the user of the same name, whose id is %s", who, user.ID)}, nil
	case errClient == nil:
		return Subject{who, fmt.Sprintf("client %q", who)}, nil
	case errUser == nil:
		return ofUser(&user), nil
	}
	return Subject{who, nobody}, nil
}

const nobody = "nobody who is known: there is no user of that id or name, and no client of that id"

func ofClient(ctx context.Context, db SubjectStore, id string) (Subject, error) {
	_, err := db.Client(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Subject{id, nobody}, nil
	case err != nil:
		return Subject{}, err
	}
	return Subject{id, fmt.Sprintf("client %q", id)}, nil
}

func ofUser(user *store.User) Subject {
	return Subject{user.ID.String(), fmt.Sprintf("user %q", user.Username)}
}
