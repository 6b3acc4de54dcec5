package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// An Audience is the listener that a session is for. A value sealed for one is worth nothing at another: cookies ignore ports.
type Audience string

// The listeners.
const (
	ForAdmin  Audience = "admin"  // for operators
	ForPublic Audience = "public" // for everybody
)

// ErrNoSession means that a text is no session of ours, or one that has expired.
var ErrNoSession = errors.New("there is no session: sign in")

const (
	minKeyBytes  = 32
	labelSession = "oauth2-server session" // part of the sealed form; no other key is derived under it

	// A nonce of 12 bytes before and a tag of 16 behind: 84 bytes, which leave no spare bits in base64url.
	sealedBytes = 12 + sessionBytes + 16
	// SealedSession is the length of every sealed session, in characters.
	SealedSession = sealedBytes / 3 * 4
)

// Sessions seals sessions for browsers to keep: AES-256-GCM under keys derived from secrets, the first of which
// seals and all of which open. It is safe for concurrent use.
type Sessions struct{ keys atomic.Pointer[[]cipher.AEAD] }

// ParseKeys reads the form of OAUTH2_SESSION_KEY: "new" or "new,old", each at least 32 bytes. The keys are derived under a
// label of their own, so a secret that has other uses will do. Errors name a secret by its place, never by its value.
func ParseKeys(text string) (*Sessions, error) {
	parts := strings.Split(text, ",")
	var keys []cipher.AEAD
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
		if len(parts[i]) < minKeyBytes {
			return nil, fmt.Errorf("key %d has %d bytes, at least %d are needed", i+1, len(parts[i]), minKeyBytes)
		}
		if slices.Contains(parts[:i], parts[i]) {
			return nil, fmt.Errorf("key %d is given twice", i+1)
		}
		keys = append(keys, newAEAD(parts[i]))
	}
	s := new(Sessions)
	s.keys.Store(&keys)
	return s, nil
}

// Take puts the keys of others in force in the place of its own: what none of them sealed is worth nothing from now on.
func (s *Sessions) Take(others *Sessions) { s.keys.Store(others.keys.Load()) }

func newAEAD(secret string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, labelSession, 32)
	if err != nil {
		panic("BUG: derive session key: " + err.Error()) // only lengths out of range fail
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: AES key: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("BUG: AES-GCM: " + err.Error())
	}
	return aead
}

var encoding = base64.RawURLEncoding.Strict()

// Seal is the session as the browser of the audience keeps it: [SealedSession] characters of base64url.
func (s *Sessions) Seal(audience Audience, session Session) string {
	return encoding.EncodeToString((*s.keys.Load())[0].Seal(nil, nil, session.append(nil), []byte(audience)))
}

// Open reads what Seal wrote for the same audience, unless it has expired. [ErrNoSession]. [Session.Valid] says
// whether it still stands.
func (s *Sessions) Open(audience Audience, text string, now time.Time) (Session, error) {
	if len(text) != SealedSession {
		return Session{}, ErrNoSession
	}
	sealed, err := encoding.DecodeString(text)
	if err != nil || len(sealed) != sealedBytes { // the decoder skips line ends
		return Session{}, ErrNoSession
	}
	for _, key := range *s.keys.Load() {
		plain, err := key.Open(nil, nil, sealed, []byte(audience))
		if err != nil {
			continue
		}
		var session Session
		session.parse(plain)
		if now.Unix() >= session.Expires {
			return Session{}, ErrNoSession
		}
		return session, nil
	}
	return Session{}, ErrNoSession
}

// Format keeps every verb from printing keys.
func (s *Sessions) Format(f fmt.State, _ rune) { fmt.Fprint(f, "***") }
