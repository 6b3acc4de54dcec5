package login

import (
	"context"
	"errors"

	"oauth2-server/store"
)

// ErrUnchanged means that a change would change nothing.
var ErrUnchanged = errors.New("nothing to do: the user is like that already")

// Choose is what is kept of a password that somebody chose. [*store.FieldError], [ErrBusy].
func (h *Hasher) Choose(ctx context.Context, password string) (string, error) {
	if err := checkField(password); err != nil {
		return "", err
	}
	return h.Hash(ctx, password)
}

// Enrol makes u ready to be created, with the password that was chosen: it folds the name and hashes the password. All that
// is wrong is told at once, as joined errors of type [*store.FieldError]. [ErrBusy].
func (h *Hasher) Enrol(ctx context.Context, u *store.User, password string) error {
	u.Username, u.Password = store.FoldUsername(u.Username), "to be hashed"
	if err := errors.Join(u.Validate(), checkField(password)); err != nil {
		return err
	}
	kept, err := h.Hash(ctx, password)
	u.Password = kept
	return err
}

func checkField(password string) error {
	if err := CheckPassword(password); err != nil {
		return &store.FieldError{Field: "password", Problem: err.Error()}
	}
	return nil
}

// Switch disables or enables a user. [ErrUnchanged].
func Switch(u *store.User, disabled bool) error {
	if u.Disabled == disabled {
		return ErrUnchanged
	}
	u.Disabled = disabled
	return nil
}
