package keys

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"oauth2-server/store"
)

// A Verifier checks the signatures of one key.
type Verifier struct {
	Key  store.ID // zero for HS256, whose keys are not stored
	KID  string
	Alg  Alg
	pair pair
}

// Format prints the name of the key alone, for every verb.
func (v *Verifier) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s key %s", v.Alg, v.KID) }

// Verify reports whether signature is the key's, of message.
func (v *Verifier) Verify(message, signature []byte) bool { return v.pair.verify(message, signature) }

// A Kind is what a JWT is for. It stands in the header as its type, so that one kind never passes for another (RFC 8725 §3.11).
type Kind uint8

// The kinds that are signed.
const (
	AccessToken Kind = iota // RFC 9068 §2.1
	IDToken                 // OpenID Connect Core §2, which asks for no type: clients that look at all expect this one
	LogoutToken             // OpenID Connect Back-Channel Logout §2.4
	numKinds
)

var kindTypes = [numKinds]string{AccessToken: "at+jwt", IDToken: "JWT", LogoutToken: "logout+jwt"}

// A Signer signs tokens.
type Signer struct {
	Verifier
	Created time.Time // zero for HS256
	headers [numKinds][]byte
}

func newSigner(id store.ID, kid string, alg Alg, created time.Time, p pair) *Signer {
	s := &Signer{Verifier: Verifier{Key: id, KID: kid, Alg: alg, pair: p}, Created: created}
	for kind, typ := range kindTypes {
		header := `{"alg":"` + string(alg) + `","typ":"` + typ + `","kid":"` + kid + `"}`
		s.headers[kind] = base64.RawURLEncoding.AppendEncode(nil, []byte(header))
	}
	return s
}

// Header is the first segment of the access tokens it signs, encoded. It must not be changed.
func (s *Signer) Header() []byte { return s.headers[AccessToken] }

// HeaderOf is Header for tokens of a kind.
func (s *Signer) HeaderOf(kind Kind) []byte { return s.headers[kind] }

// Sign appends the signature of message, not encoded, to dst.
func (s *Signer) Sign(dst, message []byte) ([]byte, error) { return s.pair.sign(dst, message) }

// A SharedKey is the key of HS256 tokens. A resource server that is given it
// verifies them without the server's secret, but can make them too.
type SharedKey struct {
	KID string
	key func() []byte // fmt shows what an unexported pointer points to, for some verbs; of a function only the address
}

func newSharedKey(key []byte) SharedKey {
	h := newHMAC(key)
	sum := h.sum([]byte(labelSharedID))
	return SharedKey{KID: hex.EncodeToString(sum[:8]), key: func() []byte { return key }}
}

// Base64 is the key in base64url without padding: a secret.
func (k SharedKey) Base64() string { return base64.RawURLEncoding.EncodeToString(k.key()) }

// JWK is the key as a JWK (RFC 7517): a secret.
func (k SharedKey) JWK() []byte {
	return appendJWK(nil, k.KID, HS256, func(dst []byte) []byte {
		return appendMember(append(dst, `"kty":"oct"`...), "k", k.key())
	})
}

func (k SharedKey) String() string { return masked }

// GoString is what %#v prints.
func (k SharedKey) GoString() string { return masked }

// LogValue is what slog shows.
func (k SharedKey) LogValue() slog.Value { return slog.StringValue(masked) }

func (k SharedKey) signer() *Signer {
	return newSigner(store.ID{}, k.KID, HS256, time.Time{}, &hs256{newHMAC(k.key())})
}

// hs256 is HMAC-SHA-256 as a signature (RFC 7518 §3.2).
type hs256 struct{ hmac hmac256 }

func (p *hs256) sign(dst, message []byte) ([]byte, error) {
	sum := p.hmac.sum(message)
	return append(dst, sum[:]...), nil
}

func (p *hs256) verify(message, signature []byte) bool {
	sum := p.hmac.sum(message)
	return subtle.ConstantTimeCompare(sum[:], signature) == 1
}

// appendJWK has nothing to append: a shared key has no public half.
func (p *hs256) appendJWK(dst []byte) []byte { return dst }
