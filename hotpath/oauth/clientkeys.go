package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/store"
)

const (
	minRSABits    = 2048 // RFC 7518 §3.3
	maxRSABits    = 8192 // what a signature costs to verify grows with the square
	maxClientKeys = 20
)

// privateMembers hold the secret part of a key (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// checkKeySet says what is wrong with the keys that a client is registered with (RFC 7517 §5), as a
// [*store.FieldError]; nil when nothing is, or there are none.
func checkKeySet(c *store.Client) error {
	if len(c.JWKS) == 0 {
		return nil
	}
	if err := checkKeys(c.JWKS, c.AuthAlg); err != nil {
		return &store.FieldError{Field: "jwks", Problem: err.Error()}
	}
	return nil
}

// checkKeys wants public keys only, which can be told apart, and one that fits the algorithm.
func checkKeys(text []byte, alg string) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return errors.New(`is no JSON Web Key Set: {"keys":[…]} (RFC 7517 §5)`)
	}
	if len(set.Keys) > maxClientKeys {
		return fmt.Errorf("must have at most %d keys", maxClientKeys)
	}
	seen, fits := map[string]bool{}, false
	for i, raw := range set.Keys {
		key, err := parsePublicKey(raw)
		switch {
		case err != nil:
			return fmt.Errorf("key %d %w", i+1, err)
		case seen[key.KeyID]:
			return fmt.Errorf("key %d needs a kid of its own: another key has the same one, or none", i+1)
		}
		seen[key.KeyID] = true
		fits = fits || keyFits(&key, alg)
	}
	if !fits {
		return fmt.Errorf("has no key to verify signatures of %s with", alg)
	}
	return nil
}

// parsePublicKey reads one key. Errors do not repeat it: it may be a private one, given by mistake.
func parsePublicKey(raw []byte) (key jose.JSONWebKey, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return key, errors.New("is no JSON object")
	}
	for _, name := range privateMembers {
		if _, secret := members[name]; secret {
			return key, errors.New("has a private part: register the public key, and make a new pair, as this one was given away")
		}
	}
	if err := json.Unmarshal(raw, &key); err != nil || !key.Valid() || !key.IsPublic() {
		return key, errors.New("is no public key of the types RSA, EC and OKP (RFC 7518 §6, RFC 8037 §2)")
	}
	if n, ok := key.Key.(*rsa.PublicKey); ok && (n.N.BitLen() < minRSABits || n.N.BitLen() > maxRSABits) {
		return key, fmt.Errorf("has %d bits: RSA needs %d to %d (RFC 7518 §3.3)", n.N.BitLen(), minRSABits, maxRSABits)
	}
	return key, nil
}

// keyFits reports whether signatures of the algorithm can be verified with the key: its type, and what it says that it is for.
func keyFits(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" || alg == "PS256"
	case *ecdsa.PublicKey:
		return alg == "ES256" && public.Curve.Params().BitSize == 256
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// compactKeySet is a key set without space, as it comes back from the store; what is no JSON stays as it is, to be refused.
func compactKeySet(text json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if json.Compact(&b, text) != nil {
		return text
	}
	return b.Bytes()
}

// sameKeySet reports whether two key sets say the same: a database may keep the members of an object in another order.
func sameKeySet(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(compactKeySet(a), compactKeySet(b))
	}
	return reflect.DeepEqual(x, y)
}
