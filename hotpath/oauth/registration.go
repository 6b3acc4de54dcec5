package oauth

import (
	"errors"
	"reflect"

	"oauth2-server/store"
)

// This file is what becomes of a client when operators register and change it, whichever way they do it.

// Why a client is left as it is.
var (
	ErrUnchanged  = errors.New("nothing to do: the client is like that already")
	ErrNoSecret   = errors.New("the client does not authenticate and has no secret")
	ErrOneSecret  = errors.New("nothing to do: there is no previous secret")
	ErrSameSecret = &store.FieldError{Field: "secret", Problem: "is the one the client has"}
)

// Enrol completes a client that is to be registered: one that authenticates gets its secret, the chosen one or, where
// that is "", random bits; and the grant client_credentials, unless c.Grants says which (nil does not). The
// errors are joined ones of type [*store.FieldError]: all that is wrong.
func Enrol(c *store.Client, chosen string) (secret string, err error) {
	if c.Grants == nil && !c.Public() {
		c.Grants = []string{GrantClientCredentials.String()}
	}
	if chosen != "" || !c.Public() {
		secret, err = NewSecret(chosen)
		c.Secrets = []store.SecretHash{store.HashSecret(secret)}
	}
	return secret, errors.Join(err, c.Validate(GrantTypes()))
}

// NewSecret is the secret that was chosen, if it is good enough ([*store.FieldError]), or random bits where none was.
func NewSecret(chosen string) (string, error) {
	if chosen == "" {
		return store.NewSecret(), nil
	}
	if err := store.CheckSecret(chosen); err != nil {
		return "", &store.FieldError{Field: "secret", Problem: err.Error()}
	}
	return chosen, nil
}

// Amend changes a client. One that begins to authenticate gets a secret, which is returned; one that ceases to loses
// its own. [ErrUnchanged], or errors like those of [Enrol].
func Amend(c *store.Client, change func(*store.Client)) (secret string, err error) {
	before := c.Clone()
	change(c)
	switch {
	case c.Public():
		c.Secrets = nil
	case before.Public():
		secret = store.NewSecret()
		c.Secrets = []store.SecretHash{store.HashSecret(secret)}
	}
	if err := c.Validate(GrantTypes()); err != nil {
		return "", err
	}
	if reflect.DeepEqual(before, *c) {
		return "", ErrUnchanged
	}
	return secret, nil
}

// Rotate gives a client a new secret. The one it had stays valid beside it, until the next rotation or [Retire].
func Rotate(c *store.Client, secret string) error {
	hash := store.HashSecret(secret)
	switch {
	case c.Public():
		return ErrNoSecret
	case len(c.Secrets) > 0 && c.Secrets[0] == hash:
		return ErrSameSecret
	}
	c.Secrets = append([]store.SecretHash{hash}, c.Secrets[:min(len(c.Secrets), 1)]...)
	return nil
}

// Retire ends the previous secret; the newest stays.
func Retire(c *store.Client) error {
	if len(c.Secrets) < 2 {
		return ErrOneSecret
	}
	c.Secrets = c.Secrets[:1]
	return nil
}

// Switch disables or enables a client. [ErrUnchanged].
func Switch(c *store.Client, disabled bool) error {
	if c.Disabled == disabled {
		return ErrUnchanged
	}
	c.Disabled = disabled
	return nil
}
