package oauth

import (
	"bytes"
	"slices"

	"oauth2-server/store"
)

// A TokenRequest is a parsed token request (RFC 6749 §3.2). The bytes are valid until the handler returns.
type TokenRequest struct {
	GrantType    []byte
	Scope        []byte   // nil: none was asked
	Targets      [][]byte // the resource (RFC 8707) and audience parameters
	Code         []byte   // RFC 6749 §4.1.3, with RedirectURI and, of RFC 7636 §4.5, Verifier
	RedirectURI  []byte
	Verifier     []byte
	RefreshToken []byte // RFC 6749 §6
}

// A TokenResponse is what the token endpoint answers (RFC 6749 §5.1). Its slices are reused: pass one in again.
type TokenResponse struct {
	Token        []byte
	ExpiresIn    int64 // seconds
	Scope        []byte
	RefreshToken []byte // empty: none
	IDToken      []byte // empty: none
	Grant        GrantType
	JWT          bool

	record store.Record
	row    []byte // the record's bytes, until the row is durable
}

// Wipe overwrites the tokens.
func (a *TokenResponse) Wipe() {
	clear(a.Token)
	clear(a.RefreshToken)
	clear(a.IDToken)
}

// A GrantType is one that the token endpoint knows.
type GrantType uint8

// The grant types.
const (
	GrantClientCredentials GrantType = iota // RFC 6749 §4.4
	GrantAuthorizationCode                  // RFC 6749 §4.1.3
	GrantRefresh                            // RFC 6749 §6
	NumGrants
)

var grantNames = [NumGrants]string{
	GrantClientCredentials: "client_credentials", GrantAuthorizationCode: "authorization_code", GrantRefresh: "refresh_token",
}

func (g GrantType) String() string { return grantNames[g] }

// GrantTypes is the names of the grants that work, for metadata and the registration of clients.
func GrantTypes() []string { return slices.Clone(grantNames[:]) }

// Grant answers a token request: the steps that every grant shares, in order,
// and then the grant's own. A grant cannot forget a step it does not contain.
func (s *Rules) Grant(caller Caller, q *TokenRequest, a *TokenResponse) error {
	grant, err := grantOf(q.GrantType)
	if err != nil {
		return err
	}
	if !caller.MayUse(grant.String()) {
		return errGrantRefused
	}
	a.begin(grant, caller)
	switch grant {
	case GrantAuthorizationCode:
		return s.authorizationCode(caller, q, a)
	case GrantRefresh:
		return s.refresh(caller, q, a)
	default:
		return s.clientCredentials(caller, q, a)
	}
}

// begin makes the answer one to the caller that says nothing yet.
func (a *TokenResponse) begin(grant GrantType, caller Caller) {
	a.Grant = grant
	a.RefreshToken, a.IDToken = a.RefreshToken[:0], a.IDToken[:0]
	r := &a.record
	*r = store.Record{
		Client: append(r.Client[:0], caller.ID...), Position: caller.Position,
		Subject: r.Subject[:0], Scope: r.Scope[:0], Audience: r.Audience[:0],
	}
}

func grantOf(name []byte) (GrantType, error) {
	if len(name) == 0 {
		return 0, errNoGrantType
	}
	for grant, known := range grantNames {
		if string(name) == known {
			return GrantType(grant), nil
		}
	}
	return 0, errGrantType
}

// narrowScope appends what is granted to dst: all that the client is registered for when
// nothing is asked, else what is asked, each value once (RFC 6749 §3.3). More than it is registered for is refused.
func narrowScope(dst []byte, client *store.Client, asked []byte) ([]byte, error) {
	if len(asked) == 0 {
		for _, scope := range client.Scopes {
			dst = appendWord(dst, scope)
		}
		return dst, nil
	}
	for scope := range bytes.SplitSeq(asked, space) {
		if !slices.ContainsFunc(client.Scopes, func(own string) bool { return own == string(scope) }) {
			return dst, errScope
		}
		if !hasWord(dst, scope) {
			dst = appendWord(dst, scope)
		}
	}
	return dst, nil
}

// target appends the audience of the token to dst (RFC 8707 §2): what is asked, if the client is registered for
// all of it; when nothing is asked the client's first, else the issuer itself.
func (s *Rules) target(dst []byte, client *store.Client, asked [][]byte) ([]byte, error) {
	if len(asked) == 0 {
		if len(client.Audiences) > 0 {
			return append(dst, client.Audiences[0]...), nil
		}
		return append(dst, s.Issuer...), nil
	}
	for _, target := range asked {
		if !slices.ContainsFunc(client.Audiences, func(own string) bool { return own == string(target) }) {
			return dst, errTarget
		}
		if !hasWord(dst, target) {
			dst = appendWord(dst, target)
		}
	}
	return dst, nil
}

var space = []byte(" ")

// appendWord appends a word to a list separated by spaces.
func appendWord[T string | []byte](dst []byte, word T) []byte {
	if len(dst) > 0 {
		dst = append(dst, ' ')
	}
	return append(dst, word...)
}

// hasWord reports whether a list separated by spaces holds the word.
func hasWord(list, word []byte) bool {
	for have := range bytes.SplitSeq(list, space) {
		if bytes.Equal(have, word) {
			return true
		}
	}
	return false
}
