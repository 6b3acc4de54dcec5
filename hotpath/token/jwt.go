package token

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// MaxJWTBytes bounds the text of a JWT that is read or written.
const MaxJWTBytes = 8 << 10

// Why a record does not become a JWT. The limits on requests and clients keep
// outsiders from causing these.
var (
	errIncomplete = errors.New("record lacks subject, client or audience")
	errNotUTF8    = errors.New("record holds text that is not UTF-8")
	errTooLong    = fmt.Errorf("token is longer than %d bytes", MaxJWTBytes)
)

// AppendJWT appends the record as a signed access token (RFC 9068 §2). A record
// that lacks what the RFC requires (subject, client, audience), holds text
// that is not UTF-8, or makes a token over MaxJWTBytes is refused.
func AppendJWT(dst []byte, signer *keys.Signer, issuer string, r *store.Record) ([]byte, error) {
	claims, err := appendClaims(make([]byte, 0, 1024), issuer, r)
	if err != nil {
		return dst, fmt.Errorf("write claims: %w", err)
	}
	start := len(dst)
	text := append(dst, signer.Header()...)
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, claims)
	signature, err := signer.Sign(make([]byte, 0, 512), text[start:])
	if err != nil {
		return dst, fmt.Errorf("sign token: %w", err)
	}
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, signature)
	if len(text)-start > MaxJWTBytes {
		return dst, errTooLong
	}
	return text, nil
}

// ParseJWT reads into r what AppendJWT wrote, in any algorithm of the ring. It
// does not judge expiry: the verdict does, by the store's clock. r's fields lie
// in fresh memory, none alias text.
//
// Errors: [ErrMalformed], [ErrUnknownKey], [ErrSignature], which leave r as it
// was, and [ErrIssuer], with which r is filled for explaining.
func ParseJWT(ring *keys.Ring, issuer string, text []byte, r *store.Record) error {
	header, payload, signature, ok := split(text)
	if !ok {
		return ErrMalformed
	}
	verifier := ring.Verifier(header)
	if verifier == nil {
		return ErrUnknownKey
	}
	claims := make([]byte, decodedLen(len(payload))+decodedLen(len(signature)))
	claims, raw := claims[:decodedLen(len(payload))], claims[decodedLen(len(payload)):]
	if !decode(claims, payload) || !decode(raw, signature) {
		return ErrMalformed
	}
	if !verifier.Verify(text[:len(header)+1+len(payload)], raw) {
		return ErrSignature
	}
	stated, ok := parseClaims(claims, r)
	if !ok {
		return ErrMalformed
	}
	if string(stated) != issuer {
		return ErrIssuer
	}
	return nil
}

// split cuts a text at its two dots. It looks at no more than MaxJWTBytes.
func split(text []byte) (header, payload, signature []byte, ok bool) {
	if len(text) > MaxJWTBytes {
		return nil, nil, nil, false
	}
	header, rest, ok1 := bytes.Cut(text, []byte{'.'})
	payload, signature, ok2 := bytes.Cut(rest, []byte{'.'})
	return header, payload, signature, ok1 && ok2 && bytes.IndexByte(signature, '.') < 0
}
