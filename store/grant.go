package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Grant is what a user has allowed a client (RFC 6749 §1.3.1): one row, from the redeemed code to its end. Its refresh token
// is not kept: it follows from the grant, its generation and the key of that number.
type Grant struct {
	ID         ID        `json:"id"`
	Client     string    `json:"client"`
	Subject    string    `json:"subject"` // the user's id
	Scope      string    `json:"scope"`
	Audience   string    `json:"audience,omitempty"` // space separated
	Session    ID        `json:"session"`            // in which it was allowed; the sid of its id_tokens
	AuthTime   int64     `json:"auth_time"`          // Unix seconds; when the user signed in
	ACR        string    `json:"acr,omitempty"`
	Offline    bool      `json:"offline,omitempty"` // allowed offline_access: it outlives its session
	Refresh    bool      `json:"refresh,omitempty"` // it has a refresh token
	Position   Position  `json:"position"`          // feed position applied before client and user were read
	Generation uint32    `json:"generation"`        // of the newest refresh token, from 1
	Key        byte      `json:"key"`               // number of the MAC key of that token
	Rotated    time.Time `json:"rotated"`           // when that token was made
	Created    time.Time `json:"created"`
	Used       time.Time `json:"used"`    // set by the store, to the minute
	Expires    time.Time `json:"expires"` // absolute: no refresh moves it
	Revoked    bool      `json:"revoked,omitempty"`
}

// A Code is an authorization code (RFC 6749 §4.1.2). Its text is authenticated by a key of the ring: the row holds its id alone.
type Code struct {
	ID        ID
	Expires   int64 // Unix seconds
	Client    string
	Redirect  string   // the redirect URI, as the request had it
	Challenge [32]byte // PKCE S256, RFC 7636 §4.2
	Nonce     string
	Grant     Grant // what it is worth; its id is the grant's from the beginning, its row is made when the code is redeemed
}

// A Redemption is what a code is redeemed with. All of it must be as in the code.
type Redemption struct {
	Code      ID
	Client    string
	Redirect  string
	Challenge [32]byte // SHA-256 of the verifier
}

// A Rotation asks for the next generation of a grant's refresh token.
type Rotation struct {
	Grant      ID
	Client     string
	Generation uint32        // of the token presented
	Key        byte          // of the successor
	Grace      time.Duration // in which the token before the newest is still answered with the newest; 0: never
	Static     bool          // the client's refresh token is not rotated
}

// A GrantQuery selects grants; zero fields select all.
type GrantQuery struct {
	ID      ID
	Subject string
	Client  string
	Session ID   // those of the session that are not offline
	Live    bool // neither revoked nor expired
	Before  ID   // with a smaller id: the next page
	Limit   int  // at most so many; required to list
}

// Outcomes of a [Rotation].
const (
	RotationRefused  = iota // no such grant, another client's, expired or dead: nothing changed
	RotationDone            // the grant has the next generation
	RotationRepeated        // within grace, or static: the grant is as it was
	RotationReused          // a token of an older generation: the grant was revoked by this call
)

// A Rotated is what became of a rotation. Grant is the row afterwards, except where it was refused.
type Rotated struct {
	Outcome int
	Grant   Grant
}

// A Consent is what a user has allowed a client, to be asked for no more.
type Consent struct {
	User      ID        `json:"user"`
	Client    string    `json:"client"`
	Scopes    []string  `json:"scopes"`
	Audiences []string  `json:"audiences,omitempty"` // where, beside this server itself
	At        time.Time `json:"at"`
}

// Covers reports whether all the scopes and all the audiences were allowed; both are separated by spaces. Each counts by itself: a
// scope that was allowed for one audience is not asked for again for another that was allowed too.
func (c *Consent) Covers(scope, audience string) bool {
	return containsAll(c.Scopes, scope) && containsAll(c.Audiences, audience)
}

func containsAll(list []string, words string) bool {
	for word := range strings.FieldsSeq(words) {
		if !slices.Contains(list, word) {
			return false
		}
	}
	return true
}

// Join is what c adds to what was allowed before, in order.
func (c Consent) Join(before *Consent, now time.Time) Consent {
	c.Scopes, c.Audiences, c.At = union(before.Scopes, c.Scopes), union(before.Audiences, c.Audiences), now
	return c
}

// union is the words of both lists, each once, in order.
func union(a, b []string) []string {
	all := append(append([]string{}, a...), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// A Pushed is an authorization request that was pushed (RFC 9126). Its reference is authenticated like a code's text.
type Pushed struct {
	ID      ID
	Client  string
	Params  string // form-encoded
	Expires int64  // Unix seconds
}

// A Logout is a logout token that is to be delivered (OpenID Connect Back-Channel Logout 1.0).
type Logout struct {
	ID       ID
	Client   string
	Subject  string
	Session  ID
	Attempts int
	Next     time.Time // when to try (again)
}

// ErrReused is an [ErrSpent]: a code was redeemed a second time with all that it was bound to.
var ErrReused = fmt.Errorf("%w: redeemed twice with all that it was bound to", ErrSpent)
