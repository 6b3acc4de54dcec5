package token

import (
	"bytes"
	"errors"
	"fmt"
)

// A Kind is what a text claims to be. It is under the MAC of opaque tokens, so
// its values are part of the format.
type Kind byte

// The kinds of tokens.
const (
	Unknown Kind = 0
	Access  Kind = 1 // opaque access token
	Refresh Kind = 2
	JWT     Kind = 3 // at+jwt access token
	Code    Kind = 4 // authorization code
	Pushed  Kind = 5 // reference of a pushed authorization request, behind its URN
)

const (
	prefixBytes   = 4
	prefixAccess  = "oat_"
	prefixRefresh = "ort_"
	prefixCode    = "oac_"
	prefixPushed  = "oar_"
	prefixJWT     = "eyJ" // {" in base64url
)

// Why a text is no token of ours. A client learns none of these; they are for
// explaining a refusal to an operator.
var (
	// ErrMalformed means that the text is not in the form of its kind.
	ErrMalformed = errors.New("token is malformed")
	// ErrUnknownKey means that no key of the ring made it.
	ErrUnknownKey = errors.New("token is of an unknown key")
	// ErrMAC means that an opaque token was forged, altered or is of another kind.
	ErrMAC = errors.New("token has a wrong MAC")
	// ErrSignature means that a JWT was forged or altered.
	ErrSignature = errors.New("token has a wrong signature")
	// ErrIssuer means that a JWT is authentic but of another issuer.
	ErrIssuer = errors.New("token is of another issuer")
)

// KindOf looks at the first bytes only.
func KindOf(text []byte) Kind {
	switch {
	case bytes.HasPrefix(text, []byte(prefixAccess)):
		return Access
	case bytes.HasPrefix(text, []byte(prefixRefresh)):
		return Refresh
	case bytes.HasPrefix(text, []byte(prefixJWT)):
		return JWT
	case bytes.HasPrefix(text, []byte(prefixCode)):
		return Code
	case bytes.HasPrefix(text, []byte(prefixPushed)):
		return Pushed
	}
	return Unknown
}

// prefix is what opaque tokens of the kind begin with.
func (k Kind) prefix() string {
	switch k {
	case Access:
		return prefixAccess
	case Refresh:
		return prefixRefresh
	case Code:
		return prefixCode
	case Pushed:
		return prefixPushed
	}
	panic(fmt.Sprintf("BUG: kind %d is not opaque", k))
}
