package oauth

import (
	"errors"
	"reflect"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// This file is what becomes of a client when operators register and change it, whichever way they do it. The server's
// secrets seal the secret of a client of the method client_secret_jwt; for all others they may be empty.

// Why a client is left as it is.
var (
	ErrUnchanged  = errors.New("nothing to do: the client is like that already")
	ErrNoSecret   = errors.New("the client has no secret: it does not authenticate with one")
	ErrOneSecret  = errors.New("nothing to do: there is no previous secret")
	ErrSameSecret = &store.FieldError{Field: "secret", Problem: "is the one the client has"}
)

// A keeping is how the secret of a client is kept.
type keeping int

const (
	noSecret keeping = iota
	hashed           // enough to compare with what is sent
	sealed           // for a check that needs the text
)

func keepingOf(c *store.Client) keeping {
	switch c.AuthMethod {
	case store.AuthNone, store.AuthPrivateKeyJWT:
		return noSecret
	case store.AuthClientSecretJWT:
		return sealed
	}
	return hashed
}

// Enrol completes a client that is to be registered. One that authenticates with a secret gets it, the chosen one or,
// where that is "", random bits. Grants and scopes that are nil (empty is not) become what people expect: with a redirect URI the
// code flow and the scopes of OpenID Connect, else client_credentials. The errors are joined ones of type
// [*store.FieldError]: all that is wrong.
func Enrol(c *store.Client, chosen string, secrets keys.Secrets) (secret string, err error) {
	complete(c)
	if c.Grants == nil {
		c.Grants = usualGrants(c)
	}
	if c.Scopes == nil {
		c.Scopes = usualScopes(c)
	}
	if chosen != "" || keepingOf(c) != noSecret {
		secret, err = NewSecret(chosen)
		err = errors.Join(err, giveSecret(c, secret, secrets)) // also when it is refused: what is wrong is told once
	}
	return secret, errors.Join(err, check(c))
}

// usualGrants is what a client may use that is said nothing of: what it can.
func usualGrants(c *store.Client) []string {
	switch {
	case len(c.RedirectURIs) > 0:
		return []string{GrantAuthorizationCode.String(), GrantRefresh.String()}
	case !c.Public():
		return []string{GrantClientCredentials.String()}
	}
	return nil
}

// usualScopes is for a client that signs people in; others have none by themselves.
func usualScopes(c *store.Client) []string {
	if !c.MayUse(GrantAuthorizationCode.String()) {
		return nil
	}
	scopes := []string{"openid", "profile", "email"}
	if c.MayUse(GrantRefresh.String()) {
		scopes = append(scopes, "offline_access")
	}
	return scopes
}

// complete fills in what has one possible value, and makes the keys look as they come from the store.
func complete(c *store.Client) {
	c.JWKS = compactKeySet(c.JWKS)
	if c.AuthMethod == store.AuthClientSecretJWT && c.AuthAlg == "" {
		c.AuthAlg = "HS256"
	}
}

// check is all that is wrong with the client.
func check(c *store.Client) error { return errors.Join(c.Validate(GrantTypes()), checkKeySet(c)) }

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

// giveSecret puts a secret in the place of all that the client had.
func giveSecret(c *store.Client, secret string, secrets keys.Secrets) (err error) {
	c.Secrets, c.SealedSecret = nil, nil
	if keepingOf(c) != sealed {
		c.Secrets = []store.SecretHash{store.HashSecret(secret)}
		return nil
	}
	c.SealedSecret, err = secrets.SealText(c.ID, secret)
	return err
}

// SecretCount is how many secrets a client has, for people.
func SecretCount(c *store.Client) int {
	if len(c.SealedSecret) > 0 {
		return 1
	}
	return len(c.Secrets)
}

// Amend changes a client. One that begins to authenticate with a secret, or with one that is kept in another way, gets a new
// one, which is returned; one that ceases to loses its own. [ErrUnchanged], or errors like those of [Enrol].
func Amend(c *store.Client, secrets keys.Secrets, change func(*store.Client)) (secret string, err error) {
	before := c.Clone()
	change(c)
	forget(c, &before)
	complete(c)
	if keepingOf(c) != keepingOf(&before) {
		c.Secrets, c.SealedSecret = nil, nil
		if keepingOf(c) != noSecret {
			secret = store.NewSecret()
			err = giveSecret(c, secret, secrets)
		}
	}
	if err := errors.Join(err, check(c)); err != nil {
		return "", err
	}
	if same(before, *c) {
		return "", ErrUnchanged
	}
	return secret, nil
}

// forget drops what belongs to the way in which the client was authenticated before, unless the change says it anew: so
// who gives another method, or the other one of jwks and jwks_uri, need not take away what it replaces.
func forget(c, before *store.Client) {
	sameKeys := sameKeySet(c.JWKS, before.JWKS)
	sameURI := c.JWKSURI == before.JWKSURI
	moved := c.AuthMethod != before.AuthMethod
	if moved && c.AuthAlg == before.AuthAlg {
		c.AuthAlg = ""
	}
	if sameKeys && (moved || !sameURI && c.JWKSURI != "") {
		c.JWKS = nil
	}
	if sameURI && (moved || !sameKeys && len(c.JWKS) > 0) {
		c.JWKSURI = ""
	}
}

// Rotate gives a client a new secret. The one it had stays valid beside it, until the next rotation or [Retire]; but of
// the method client_secret_jwt there is one.
func Rotate(c *store.Client, secret string, secrets keys.Secrets) error {
	hash := store.HashSecret(secret)
	switch {
	case keepingOf(c) == noSecret:
		return ErrNoSecret
	case keepingOf(c) == sealed:
		return giveSecret(c, secret, secrets)
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

// same reports whether two clients are alike.
func same(a, b store.Client) bool {
	alike := sameKeySet(a.JWKS, b.JWKS)
	a.JWKS, b.JWKS = nil, nil
	return alike && reflect.DeepEqual(a, b)
}

// Switch disables or enables a client. [ErrUnchanged].
func Switch(c *store.Client, disabled bool) error {
	if c.Disabled == disabled {
		return ErrUnchanged
	}
	c.Disabled = disabled
	return nil
}
