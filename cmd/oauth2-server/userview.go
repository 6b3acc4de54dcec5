package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"oauth2-server/admin"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// user finds a user by id, else by name: who is called like somebody's id is not taken for him.
func (j *job) user(ctx context.Context, who string) (store.User, error) {
	var user store.User
	err := store.ErrNotFound
	if id, wrong := store.ParseID(who); wrong == nil {
		user, err = j.db.User(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		user, err = j.db.UserByName(ctx, store.FoldUsername(who))
	}
	return user, aboutUser(who, err)
}

// changeUser changes a user who is there; with an error of change the user comes as found.
func (j *job) changeUser(ctx context.Context, action, who string, change func(*store.User) error) (store.User, error) {
	found, err := j.user(ctx, who)
	if err != nil {
		return store.User{}, err
	}
	changed, err := j.db.ChangeUser(ctx, j.actor, action, found.ID, func(old *store.User) (*store.User, error) {
		if old == nil {
			return nil, store.ErrNotFound
		}
		next := *old
		return &next, change(&next)
	})
	if err != nil {
		return found, aboutUser(who, err)
	}
	return changed, nil
}

// aboutUser says which user is not there; other errors are told already.
func aboutUser(who string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no user %q", who)
	}
	return err
}

func listUsers(ctx context.Context, j *job, _ []string) error {
	const page = 500
	users, rows := []store.User{}, [][]string{}
	for more := true; more; {
		after := ""
		if len(users) > 0 {
			after = users[len(users)-1].Username
		}
		found, err := j.db.Users(ctx, after, page)
		if err != nil {
			return err
		}
		for _, u := range found {
			users = append(users, u.Masked())
			rows = append(rows, []string{u.Username, u.Role, userState(&u), cmp.Or(u.Email, "-"), u.ID.String(), moment(u.Updated)})
		}
		more = len(found) == page
	}
	return j.show(users, func() string {
		return list("There is no user: \"oauth2-server user create\" makes one.", []string{"NAME", "ROLE", "STATE", "EMAIL", "ID", "CHANGED"}, rows)
	})
}

func showUser(ctx context.Context, j *job, args []string) error {
	u, err := j.user(ctx, args[0])
	if err != nil {
		return err
	}
	return j.show(u.Masked(), func() string { return userText(&u) })
}

// exportUser prints JSON in any case: it is for machines.
func exportUser(ctx context.Context, j *job, args []string) error {
	u, err := j.user(ctx, args[0])
	if err != nil {
		return err
	}
	export, err := admin.Export(ctx, j.db, &u, time.Now())
	if err != nil {
		return fmt.Errorf("export user %q: %w", u.Username, err)
	}
	j.json = true
	return j.show(export, nil)
}

func userState(u *store.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

// userText is all of a user that may be shown, a line each.
func userText(u *store.User) string {
	return table([][]string{
		{"id", u.ID.String()},
		{"username", u.Username},
		{"email", cmp.Or(u.Email, "-")},
		{"role", u.Role},
		{"state", userState(u)},
		{"version", strconv.FormatInt(u.Version, 10)},
		{"created", moment(u.Created)},
		{"updated", moment(u.Updated)},
	})
}

// userOutcome is what was done to a user, and to what was open.
type userOutcome struct {
	ID       store.ID      `json:"id"`
	Username string        `json:"username"`
	Done     string        `json:"done"`
	Cutoff   *store.Cutoff `json:"cutoff,omitempty"`
}

// switchUser disables or enables a user. Doing it again changes nothing and is no error.
func switchUser(ctx context.Context, j *job, who string, disabled bool) error {
	done := "enabled"
	if disabled {
		done = "disabled"
	}
	u, err := j.changeUser(ctx, "user.update", who, func(u *store.User) error { return login.Switch(u, disabled) })
	switch {
	case errors.Is(err, login.ErrUnchanged):
		return j.show(userOutcome{ID: u.ID, Username: u.Username, Done: "nothing"}, func() string {
			return fmt.Sprintf("User %q is %s already.", u.Username, done)
		})
	case err != nil:
		return err
	case disabled:
		return j.showEnd(ctx, &u, done)
	}
	return j.show(userOutcome{ID: u.ID, Username: u.Username, Done: done}, func() string {
		return fmt.Sprintf("User %q is enabled. What was open when the user was disabled stays ended.", u.Username)
	})
}

func deleteUser(ctx context.Context, j *job, args []string) error {
	found, err := j.user(ctx, args[0])
	if err != nil {
		return err
	}
	gone, err := j.db.ChangeUser(ctx, j.actor, "user.delete", found.ID, func(old *store.User) (*store.User, error) {
		if old == nil {
			return nil, store.ErrNotFound
		}
		return nil, nil
	})
	if err != nil {
		return aboutUser(args[0], err)
	}
	return j.showEnd(ctx, &gone, "deleted")
}

// showEnd tells what a change did to what the user had open.
func (j *job) showEnd(ctx context.Context, u *store.User, done string) error {
	cut, err := j.cutoff(ctx, store.CutSubject, u.ID.String())
	if err != nil {
		return fmt.Errorf("user %q is %s; its cut-off cannot be told: %w", u.Username, done, err)
	}
	return j.show(userOutcome{u.ID, u.Username, done, &cut}, func() string {
		return fmt.Sprintf("User %q is %s. The sessions are ended and the tokens are revoked (change %d); every replica follows within a second.",
			u.Username, done, cut.Number)
	})
}
