package explain

import (
	"context"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// known is users and clients, by id.
type known struct {
	users   map[store.ID]store.User
	clients map[string]store.Client
}

func (k known) User(_ context.Context, id store.ID) (store.User, error) {
	if user, ok := k.users[id]; ok {
		return user, nil
	}
	return store.User{}, store.ErrNotFound
}

func (k known) UserByName(_ context.Context, name string) (store.User, error) {
	for _, user := range k.users {
		if user.Username == name {
			return user, nil
		}
	}
	return store.User{}, store.ErrNotFound
}

func (k known) Client(_ context.Context, id string) (store.Client, error) {
	if client, ok := k.clients[id]; ok {
		return client, nil
	}
	return store.Client{}, store.ErrNotFound
}

func TestFindSubject(t *testing.T) {
	anna, deleted, odd := store.NewID(time.Now()), store.NewID(time.Now()), store.NewID(time.Now())
	db := known{
		map[store.ID]store.User{
			anna: {ID: anna, Username: "anna"},
			odd:  {ID: odd, Username: deleted.String()}, // a name like the id of one who was
		},
		map[string]store.Client{"billing": {ID: "billing"}, "anna": {ID: "anna"}},
	}
	f := func(who, id, whom string) {
		t.Helper()
		got, err := FindSubject(t.Context(), db, who)
		if err != nil || got.ID != id || !strings.HasPrefix(got.Whom, whom) {
			t.Errorf("%s: got %+v, %v, want %s, %s", who, got, err, id, whom)
		}
	}
	f(anna.String(), anna.String(), `user "anna"`)
	f("anna", "anna", `client "anna", and not the user of the same name`)
	f("billing", "billing", `client "billing"`)
	f(deleted.String(), deleted.String(), "nobody who is known")
	f("nope", "nope", "nobody who is known")
	delete(db.clients, "anna")
	f("ANNA", anna.String(), `user "anna"`)
}
