package store

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Client authentication methods (RFC 7591 §2) a client can be bound to.
const (
	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthNone  = "none" // a public client

	AuthPrivateKeyJWT   = "private_key_jwt"   // RFC 7523 §2.2, OpenID Connect Core §9
	AuthClientSecretJWT = "client_secret_jwt" // likewise, with the secret as the key
)

// Values of [Client.Refresh].
const (
	RefreshRotate = "rotate" // each refresh token is good once
	RefreshStatic = "static" // it stays the same
)

// Values of [Client.TokenFormat].
const (
	FormatOpaque = "opaque"
	FormatJWT    = "jwt"
)

// Values of [Client.Introspect].
const (
	IntrospectOwn = "own"
	IntrospectAny = "any"
)

// A Client is a registered client (RFC 6749 §2). It never changes in place:
// a change is a new value with the next version.
type Client struct {
	ID           string       `json:"id"`
	Name         string       `json:"name,omitempty"`
	Secrets      []SecretHash `json:"secrets,omitempty"`     // newest first; two overlap while one is rotated
	AuthMethod   string       `json:"auth_method,omitempty"` // "" means either way of sending a secret
	Grants       []string     `json:"grants,omitempty"`
	Scopes       []string     `json:"scopes,omitempty"`
	Audiences    []string     `json:"audiences,omitempty"`    // resources it may ask tokens for; the first is the default
	Resources    []string     `json:"resources,omitempty"`    // resources it is, whose tokens it may introspect
	TokenFormat  string       `json:"token_format,omitempty"` // "" means the server's default
	Introspect   string       `json:"introspect,omitempty"`   // "" means own
	AccessTTL    int64        `json:"access_ttl,omitempty"`   // seconds; 0 means the server's default
	RedirectURIs []string     `json:"redirect_uris,omitempty"`
	Origins      []string     `json:"origins,omitempty"` // for CORS
	// What follows is for clients that act for people.
	PostLogoutURIs    []string        `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogout string          `json:"backchannel_logout_uri,omitempty"`
	JWKS              json.RawMessage `json:"jwks,omitempty"`                 // inline, or
	JWKSURI           string          `json:"jwks_uri,omitempty"`             // fetched
	AuthAlg           string          `json:"auth_signing_alg,omitempty"`     // of its assertions; required for the two methods with JWTs
	SealedSecret      []byte          `json:"sealed_secret,omitempty"`        // of client_secret_jwt, whose check needs the text; sealed as keys are
	IDTokenAlg        string          `json:"id_token_signing_alg,omitempty"` // "" means RS256
	Refresh           string          `json:"refresh,omitempty"`              // "" means rotate
	RefreshTTL        int64           `json:"refresh_ttl,omitempty"`          // seconds; 0 means the server's default
	Trusted           bool            `json:"trusted,omitempty"`              // users are not asked: it is the operator's own

	Disabled bool      `json:"disabled,omitempty"`
	Version  int64     `json:"version"` // set by the store, from 1
	Created  time.Time `json:"created"` // set by the store
	Updated  time.Time `json:"updated"` // set by the store
}

// SecretHash is the SHA-256 of a client secret. A slow hash is not needed:
// generated secrets carry 256 bits and chosen ones under 32 characters are refused.
type SecretHash [32]byte

// MarshalText makes a hash hexadecimal in JSON.
func (h SecretHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (h *SecretHash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("secret hash has %d characters, not %d", len(text), 2*len(h))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Public reports whether the client has no secret to prove itself with.
func (c *Client) Public() bool { return c.AuthMethod == AuthNone }

// MayUse reports whether the client is registered for the grant type.
func (c *Client) MayUse(grant string) bool { return slices.Contains(c.Grants, grant) }

// Masked is the client as it may be shown and audited: without its secrets' hashes.
func (c Client) Masked() Client {
	c.Secrets, c.SealedSecret = nil, nil
	return c
}

// Clone is a copy that shares nothing with c.
func (c Client) Clone() Client {
	c.Secrets = slices.Clone(c.Secrets)
	for _, list := range []*[]string{&c.Grants, &c.Scopes, &c.Audiences, &c.Resources, &c.RedirectURIs, &c.Origins, &c.PostLogoutURIs} {
		*list = slices.Clone(*list)
	}
	c.JWKS, c.SealedSecret = slices.Clone(c.JWKS), slices.Clone(c.SealedSecret)
	return c
}

// ScopeText is the client's scopes as one string, in the order of registration.
func (c *Client) ScopeText() string { return strings.Join(c.Scopes, " ") }
