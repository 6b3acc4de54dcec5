package store

import (
	"encoding/hex"
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
	Disabled     bool         `json:"disabled,omitempty"`
	Version      int64        `json:"version"` // set by the store, from 1
	Created      time.Time    `json:"created"` // set by the store
	Updated      time.Time    `json:"updated"` // set by the store
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
	c.Secrets = nil
	return c
}

// Clone is a copy that shares nothing with c.
func (c Client) Clone() Client {
	c.Secrets = slices.Clone(c.Secrets)
	for _, list := range []*[]string{&c.Grants, &c.Scopes, &c.Audiences, &c.Resources, &c.RedirectURIs, &c.Origins} {
		*list = slices.Clone(*list)
	}
	return c
}

// ScopeText is the client's scopes as one string, in the order of registration.
func (c *Client) ScopeText() string { return strings.Join(c.Scopes, " ") }
