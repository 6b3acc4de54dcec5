package login

import (
	"encoding/binary"
	"errors"
	"time"

	"oauth2-server/store"
)

// RequestLife is how long somebody may take to sign in and to consent.
const RequestLife = 30 * time.Minute

// MaxParams bounds the parameters of a request on its way through the pages: they travel in the URL.
const MaxParams = 6000 // bytes

// ForRequest is the audience of sealed requests: none passes for a session.
const ForRequest Audience = "public request"

// ErrRequest means that a text is no request that was sealed here, or that its time is over.
var ErrRequest = errors.New("the request has expired: go back to the application and try again")

// ErrLong means that a request is too long to be carried along.
var ErrLong = errors.New("the request is too long: push it (RFC 9126)")

// A Request is an authorization request on its way through the pages. The browser carries it, sealed: any replica goes on with it.
type Request struct {
	Params  string // form-encoded
	Asked   Asked
	Session store.ID // whose consent it waits for; zero: it does not
}

const requestBytes = 8 + 16 + 16

// SealRequest is the request as the browser carries it, in base64url. [ErrLong].
func (s *Sessions) SealRequest(r Request, now time.Time) (string, error) {
	if len(r.Params) > MaxParams {
		return "", ErrLong
	}
	plain := make([]byte, 0, requestBytes+len(r.Params))
	plain = binary.BigEndian.AppendUint64(plain, uint64(r.Asked.At))
	plain = append(append(plain, r.Asked.Before[:]...), r.Session[:]...)
	return s.SealText(ForRequest, string(append(plain, r.Params...)), now.Add(RequestLife)), nil
}

// OpenRequest reads what SealRequest wrote. [ErrRequest].
func (s *Sessions) OpenRequest(text string, now time.Time) (Request, error) {
	plain, err := s.OpenText(ForRequest, text, now)
	if err != nil || len(plain) < requestBytes {
		return Request{}, ErrRequest
	}
	r := Request{Params: plain[requestBytes:]}
	r.Asked.At = int64(binary.BigEndian.Uint64([]byte(plain[:8])))
	copy(r.Asked.Before[:], plain[8:24])
	copy(r.Session[:], plain[24:40])
	return r, nil
}
