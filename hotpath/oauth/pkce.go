package oauth

import (
	"crypto/sha256"
	"encoding/base64"
)

var (
	errNoChallenge = &Error{InvalidRequest, "code_challenge is missing: PKCE is required of every client"}
	errMethod      = &Error{InvalidRequest, "code_challenge_method must be S256"}
	errChallenge   = &Error{InvalidRequest, "code_challenge must be the base64url of a SHA-256, 43 characters"}
)

// challengeMethod is the only one: plain, which is the default of RFC 7636 §4.3, proves nothing to who reads the request.
const challengeMethod = "S256"

var strictBase64 = base64.RawURLEncoding.Strict()

// parseChallenge reads a PKCE challenge (RFC 7636 §4.3).
func parseChallenge(text, method string) (challenge [sha256.Size]byte, refusal *Error) {
	switch {
	case text == "":
		return challenge, errNoChallenge
	case method != challengeMethod:
		return challenge, errMethod
	case len(text) != base64.RawURLEncoding.EncodedLen(len(challenge)):
		return challenge, errChallenge
	}
	n, err := strictBase64.Decode(challenge[:], []byte(text))
	if err != nil || n != len(challenge) { // the decoder skips line ends
		return challenge, errChallenge
	}
	return challenge, nil
}

// challengeOf is the challenge that a verifier answers (RFC 7636 §4.6): 43 to 128 unreserved characters, else false.
func challengeOf(verifier []byte) (challenge [sha256.Size]byte, ok bool) {
	if len(verifier) < 43 || len(verifier) > 128 {
		return challenge, false
	}
	for _, c := range verifier {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' && c != '~' {
			return challenge, false
		}
	}
	return sha256.Sum256(verifier), true
}
