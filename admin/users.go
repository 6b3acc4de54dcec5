package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

func userRoutes() []route {
	const one = "/admin/api/users/{id}"
	return []route{
		on("GET", "/admin/api/users", "The users, by user name", listUsers),
		on("POST", "/admin/api/users", "Create a user; a password that is generated is told this once", createUser),
		on("GET", one, "A user, by id or user name", showUser),
		on("PATCH", one, "Change what is given of a user; another role ends the sessions", patchUser),
		on("DELETE", one, "Delete a user, end the sessions and revoke the tokens", deleteUser),
		on("POST", one+"/disable", "Refuse a user, end the sessions and revoke the tokens", disableUser),
		on("POST", one+"/enable", "Admit a disabled user again", enableUser),
		on("POST", one+"/password", "Give a user a new password, end the sessions and revoke the tokens", setPassword),
		on("GET", one+"/export", "All that is kept of a user, but the password", exportUser),
		on("GET", one+"/grants", "What a user has allowed clients, the newest first", listUserGrants),
		on("GET", one+"/consents", "What a user is not asked again, by client", listConsents),
		on("DELETE", one+"/consents/{client}", "Withdraw a user's consent to a client, and revoke the grants", withdrawConsent),
	}
}

// A userView is a user as it is shown: without all that belongs to the password.
type userView struct {
	ID       store.ID  `json:"id" doc:"the subject of the user's tokens"`
	Username string    `json:"username"`
	Email    string    `json:"email,omitempty"`
	Role     string    `json:"role" enum:"admin,user"`
	Disabled bool      `json:"disabled,omitempty"`
	Version  int64     `json:"version"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

func viewUser(u *store.User) userView {
	return userView{u.ID, u.Username, u.Email, u.Role, u.Disabled, u.Version, u.Created, u.Updated}
}

// A userMade is a user that may have got a password, the only time that anybody sees it.
type userMade struct {
	userView
	Password string `json:"password,omitempty" doc:"that was generated: shown this once, only its hash is kept"`
}

// oneUser is a request that only says which user.
type oneUser struct {
	ID string `path:"id" doc:"id or user name"`
}

type userList struct {
	Items []userView `json:"items"`
	Next  *string    `json:"next" doc:"for after, to get the next page; null: this was the last"`
}

func listUsers(s *Server, c *call, in *struct {
	After string `query:"after" doc:"users with a user name after this one"`
	Limit int64  `query:"limit" default:"100" min:"1" max:"1000"`
},
) (userList, error) {
	found, err := s.DB.Users(c, in.After, int(in.Limit)+1)
	list := userList{Items: []userView{}}
	for i := range found {
		if i == int(in.Limit) {
			list.Next = &list.Items[i-1].Username
			break
		}
		list.Items = append(list.Items, viewUser(&found[i]))
	}
	return list, err
}

// user finds a user by id, else by user name: who is called like somebody's id is not taken for him.
func (s *Server) user(ctx context.Context, who string) (user store.User, err error) {
	err = store.ErrNotFound
	if id, wrong := store.ParseID(who); wrong == nil {
		user, err = s.DB.User(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		user, err = s.DB.UserByName(ctx, store.FoldUsername(who))
	}
	return user, aboutUser(who, err)
}

// aboutUser says which user is not there; other errors stay as they are.
func aboutUser(who string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusNotFound, "there is no user %q", who)
	}
	return err
}

func showUser(s *Server, c *call, in *oneUser) (userView, error) {
	user, err := s.user(c, in.ID)
	return viewUser(&user), err
}

func createUser(s *Server, c *call, in *struct {
	Username string `json:"username" required:"true"`
	Email    string `json:"email"`
	Role     string `json:"role" enum:"admin,user" doc:"left out: user"`
	Password string `json:"password" doc:"of 12 characters or more; left out: one is generated"`
},
) (userMade, error) {
	password := cmp.Or(in.Password, store.NewSecret())
	user := store.User{ID: store.NewID(time.Now()), Username: in.Username, Email: in.Email, Role: cmp.Or(in.Role, store.RoleUser)}
	if err := s.Door.Hasher.Enrol(c, &user, password); err != nil {
		return userMade{}, err
	}
	made, err := s.DB.ChangeUser(c, c.Actor, "user.create", user.ID, func(*store.User) (*store.User, error) { return &user, nil })
	if errors.Is(err, store.ErrConflict) {
		return userMade{}, refuse(http.StatusConflict, "there is a user %q already", user.Username)
	}
	c.Status = http.StatusCreated
	return userMade{viewUser(&made), generated(password, in.Password)}, err
}

// A userChange is one thing to do to a user who is there.
type userChange struct {
	who    string // id or user name
	action string // for the audit
	// change makes of the user what is to be stored; nil: the user is deleted.
	change func(*store.User) error
}

// changeUser changes the version that was asked for. A change that changes nothing is none, and no error.
func changeUser(s *Server, c *call, do userChange) (userView, error) {
	found, err := s.user(c, do.who)
	if err != nil {
		return userView{}, err
	}
	changed, err := s.DB.ChangeUser(c, c.Actor, do.action, found.ID, func(old *store.User) (*store.User, error) {
		if old == nil {
			return nil, store.ErrNotFound
		}
		if err := c.matches("user", found.ID.String(), old.Version); err != nil {
			return nil, err
		}
		return do.of(c.Actor, old)
	})
	switch {
	case errors.Is(err, login.ErrUnchanged):
		changed, err = s.DB.User(c, found.ID)
	case errors.Is(err, store.ErrLastOperator):
		err = refuse(http.StatusConflict, "%q is the last operator who can sign in: make another one before", found.Username)
	}
	return viewUser(&changed), aboutUser(do.who, err)
}

// of is what the change makes of the user; nil: the user is deleted. An operator does not shut himself out. That nobody shuts out the
// last one, the store sees to.
func (do *userChange) of(actor store.Actor, old *store.User) (next *store.User, err error) {
	if do.change != nil {
		changed := *old
		if err := do.change(&changed); err != nil {
			return nil, err
		}
		next = &changed
	}
	if old.Operates() && !next.Operates() && actor.ID == old.Username {
		return nil, refuse(http.StatusConflict, "you cannot disable, delete or demote yourself: let another operator do it")
	}
	if next == nil {
		return nil, nil
	}
	return next, next.Validate()
}

func patchUser(s *Server, c *call, in *struct {
	ID       string  `path:"id" doc:"id or user name"`
	Username *string `json:"username" doc:"to sign in with; tokens stay valid: their subject is the id"`
	Email    *string `json:"email"`
	Role     *string `json:"role" enum:"admin,user"`
	Version  int64   `json:"version" doc:"that is to be changed, like If-Match"`
},
) (userView, error) {
	changed, err := changeUser(s, c, userChange{in.ID, "user.update", func(u *store.User) error {
		before := *u
		if in.Username != nil {
			u.Username = store.FoldUsername(*in.Username)
		}
		put(&u.Email, in.Email)
		put(&u.Role, in.Role)
		if *u == before {
			return login.ErrUnchanged
		}
		return nil
	}})
	if errors.Is(err, store.ErrConflict) {
		err = refuse(http.StatusConflict, "there is a user of that name already")
	}
	return changed, err
}

func deleteUser(s *Server, c *call, in *oneUser) (struct{}, error) {
	_, err := changeUser(s, c, userChange{who: in.ID, action: "user.delete"})
	return struct{}{}, err
}

func disableUser(s *Server, c *call, in *oneUser) (userView, error) {
	return changeUser(s, c, userChange{in.ID, "user.update", func(u *store.User) error { return login.Switch(u, true) }})
}

func enableUser(s *Server, c *call, in *oneUser) (userView, error) {
	return changeUser(s, c, userChange{in.ID, "user.update", func(u *store.User) error { return login.Switch(u, false) }})
}

func setPassword(s *Server, c *call, in *struct {
	ID       string `path:"id" doc:"id or user name"`
	Password string `json:"password" doc:"of 12 characters or more; left out: one is generated"`
	Version  int64  `json:"version" doc:"that is to be changed, like If-Match"`
},
) (userMade, error) {
	password := cmp.Or(in.Password, store.NewSecret())
	kept, err := s.Door.Hasher.Choose(c, password)
	if err != nil {
		return userMade{}, err
	}
	changed, err := changeUser(s, c, userChange{in.ID, "user.password", func(u *store.User) error {
		u.Password = kept
		return nil
	}})
	return userMade{changed, generated(password, in.Password)}, err
}
