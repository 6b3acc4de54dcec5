package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// minSecretBytes is the least length of a secret: as many bytes as the keys derived from it have.
const minSecretBytes = 32

// Labels under which keys are derived. Each purpose has its own, so that a
// value made for one never passes for another. They are part of the stored format.
const (
	labelFingerprint = "oauth2-server secret fingerprint"
	labelSeal        = "oauth2-server seal of a private key"
	labelShared      = "oauth2-server HS256 key"
	labelSharedID    = "oauth2-server HS256 kid"
	labelToken       = "oauth2-server token MAC"
	labelCache       = "oauth2-server cache day "
)

// Secrets are the server's secrets, newest first: the first seals and signs,
// all open. The texts themselves are not kept. Printed in any way they are ***.
//
// Copies are of one set: where a ring takes over others ([Ring.Try]), every copy of its secrets has them.
type Secrets struct{ now *atomic.Pointer[[]secret] } // behind pointers: of an unexported field fmt shows at most one

// secret is what is derived from one text.
type secret struct {
	fingerprint string
	aead        cipher.AEAD
	shared      SharedKey
}

// ParseSecrets reads the form of OAUTH2_JWT_SECRET: "new" or "new,old", each at
// least 32 bytes. Errors name a secret by its place, never by its value.
func ParseSecrets(text string) (Secrets, error) {
	var list []secret
	seen := map[string]bool{}
	for i, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if len(part) < minSecretBytes {
			return Secrets{}, fmt.Errorf("secret %d has %d bytes, at least %d are needed", i+1, len(part), minSecretBytes)
		}
		if seen[part] {
			return Secrets{}, fmt.Errorf("secret %d is given twice", i+1)
		}
		seen[part] = true
		list = append(list, newSecret([]byte(part)))
	}
	s := Secrets{new(atomic.Pointer[[]secret])}
	s.now.Store(&list)
	return s, nil
}

func newSecret(text []byte) secret {
	mac := hmac.New(sha256.New, text)
	mac.Write([]byte(labelFingerprint))
	return secret{
		fingerprint: hex.EncodeToString(mac.Sum(nil)[:8]),
		aead:        newAEAD(derive(text, labelSeal)),
		shared:      newSharedKey(derive(text, labelShared)),
	}
}

// all is the secrets of this moment, newest first. What needs two of them, or one twice, asks once.
func (s Secrets) all() []secret {
	if s.now == nil {
		return nil
	}
	return *s.now.Load()
}

// Fingerprints name the secrets, newest first, without telling them.
func (s Secrets) Fingerprints() []string {
	var names []string
	for _, one := range s.all() {
		names = append(names, one.fingerprint)
	}
	return names
}

// HS256 is the keys of HS256 tokens, derived from each secret and stored
// nowhere: the first signs, all verify. A secret that is no longer given ends its tokens.
func (s Secrets) HS256() []SharedKey {
	var shared []SharedKey
	for _, one := range s.all() {
		shared = append(shared, one.shared)
	}
	return shared
}

const masked = "***"

var errMasked = errors.New("a secret is not read from text but by ParseSecrets")

// Format prints *** for every verb.
func (s Secrets) Format(f fmt.State, _ rune) { fmt.Fprint(f, masked) }

func (s Secrets) String() string { return masked }

// GoString is what %#v prints.
func (s Secrets) GoString() string { return masked }

// MarshalText is what JSON shows.
func (s Secrets) MarshalText() ([]byte, error) { return []byte(masked), nil }

// UnmarshalText refuses: a masked text must not come back as a secret.
func (s *Secrets) UnmarshalText([]byte) error { return errMasked }

// LogValue is what slog shows.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(masked) }

// derive makes a key of 32 bytes for the purpose the label names (RFC 5869).
func derive(from []byte, label string) []byte {
	key, err := hkdf.Key(sha256.New, from, nil, label, 32)
	if err != nil {
		panic("BUG: derive key: " + err.Error()) // only lengths out of range fail
	}
	return key
}

// newAEAD is AES-256-GCM with a random nonce of 12 bytes before each sealed value.
func newAEAD(key []byte) cipher.AEAD {
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
