package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Bounds of a client secret that somebody chose, in characters. The upper one
// leaves room for the credentials in a request header.
const (
	MinSecret = 32
	MaxSecret = 256
)

// NewSecret makes a client secret: 256 random bits in base64url, 43 characters.
func NewSecret() string {
	var random [32]byte
	rand.Read(random[:]) // never fails: the runtime aborts instead
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// HashSecret is what is kept of a secret.
func HashSecret(text string) SecretHash { return sha256.Sum256([]byte(text)) }

// minDistinct is how many different characters a secret has at least: fewer
// are a pattern, not a secret.
const minDistinct = 8

// CheckSecret says what is wrong with a secret that somebody chose. It is hashed
// once only (see [SecretHash]), so it must not be guessable. Errors do not repeat it.
func CheckSecret(text string) error {
	different := map[rune]bool{}
	for _, c := range text {
		if c < 0x21 || c > 0x7e { // RFC 6749 A.2, and no space that gets lost in a form
			return errors.New("holds a character that is not visible ASCII")
		}
		different[c] = true
	}
	switch {
	case len(text) < MinSecret:
		return fmt.Errorf("has %d characters, at least %d are needed", len(text), MinSecret)
	case len(text) > MaxSecret:
		return fmt.Errorf("has %d characters, at most %d are allowed", len(text), MaxSecret)
	case len(different) < minDistinct:
		return fmt.Errorf("has %d different characters, at least %d are needed", len(different), minDistinct)
	}
	return nil
}
