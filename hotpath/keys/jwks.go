package keys

import (
	"crypto/sha256"
	"encoding/hex"
)

// JWKS is the public keys (RFC 7517 §5), ready to be sent. It must not be changed.
type JWKS struct {
	Body []byte
	ETag string // quoted
}

// newJWKS publishes the signers in their order.
func newJWKS(signers []*Signer) *JWKS {
	body := []byte(`{"keys":[`)
	for i, s := range signers {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendJWK(body, s.KID, s.Alg, s.pair.appendJWK)
	}
	body = append(body, `]}`...)
	sum := sha256.Sum256(body)
	return &JWKS{Body: body, ETag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// appendJWK appends one key. kid and alg need no escaping: an id or hex, and a name of ours.
func appendJWK(dst []byte, kid string, alg Alg, members func([]byte) []byte) []byte {
	dst = members(append(dst, '{'))
	dst = append(dst, `,"use":"sig","alg":"`...)
	dst = append(dst, alg...)
	dst = append(dst, `","kid":"`...)
	dst = append(dst, kid...)
	return append(dst, `"}`...)
}
