package hotpath

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// Why an Authorization header names no client.
var (
	errBasicAbsent    = errors.New("no authorization header")
	errBasicScheme    = errors.New("authorization is not of the scheme Basic")
	errBasicMalformed = errors.New("authorization does not hold valid Basic credentials")
)

// maxBasicBytes bounds decoded credentials: an id and a secret, both written
// as %XX, of some 250 characters each.
const maxBasicBytes = 1536

// strictBase64 refuses spare bits, so that credentials have one text only.
var strictBase64 = base64.StdEncoding.Strict()

// parseBasic reads the client's id and secret out of an Authorization header
// (RFC 6749 §2.3.1, RFC 7617): base64 of id and secret, each form-encoded,
// around the first colon. Both are of visible ASCII and spaces (RFC 6749
// Appendix A.1, A.2); the secret may be empty, the id may not.
//
// The results alias dst, which is overwritten from its beginning; with a
// capacity of [maxBasicBytes] nothing is allocated. Wipe it: it holds a secret.
func parseBasic(header, dst []byte) (id, secret []byte, err error) {
	if len(header) == 0 {
		return nil, nil, errBasicAbsent
	}
	scheme, text, _ := bytes.Cut(header, space)
	if !foldEqual(scheme, "basic") {
		return nil, nil, errBasicScheme
	}
	plain, ok := decodeBase64(dst, text)
	if !ok {
		return nil, nil, errBasicMalformed
	}
	id, secret, ok = bytes.Cut(plain, colon)
	if !ok || len(id) == 0 {
		return nil, nil, errBasicMalformed
	}
	id, okID := unescape(id[:0], id)
	secret, okSecret := unescape(secret[:0], secret)
	if !okID || !okSecret || !isVisible(id) || !isVisible(secret) {
		return nil, nil, errBasicMalformed
	}
	return id, secret, nil
}

var (
	space = []byte(" ")
	colon = []byte(":")
)

// decodeBase64 overwrites dst with what text decodes to.
func decodeBase64(dst, text []byte) ([]byte, bool) {
	n := strictBase64.DecodedLen(len(text))
	if n > maxBasicBytes || bytes.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, false
	}
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	n, err := strictBase64.Decode(dst[:n], text)
	return dst[:n], err == nil
}

// isVisible reports whether text is of %x20-7E, the VSCHAR of RFC 6749.
func isVisible(text []byte) bool {
	for _, b := range text {
		if b < 0x20 || b > 0x7e {
			return false
		}
	}
	return true
}
