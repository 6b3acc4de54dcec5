package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// PushedLife is how long a pushed request can be completed (RFC 9126 §2.2: 5 to 600 seconds), the user's sign-in included.
const PushedLife = int64(300) // seconds

// pushedPrefix is what a reference begins with (RFC 9126 §2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// Bounds of a wait for the store, and for an assertion, whose keys may have to be fetched too.
const (
	storeWithin     = 2 * time.Second
	assertionWithin = 8 * time.Second
)

var (
	errPushed      = &Error{InvalidRequestURI, "request_uri is of another client, was used before or has expired: go back to the application and start again"}
	errOtherClient = &Error{InvalidRequest, "client_id is not that of the client which has authenticated"}
	errPushedTwice = &Error{InvalidRequest, "request_uri cannot be pushed"}
)

// Push keeps an authorization request of a client that has proved itself (RFC 9126 §2.1), and returns the reference to it,
// good for [PushedLife]. params is the form-encoded body; what is kept of it has at most maxParams bytes, encoded. The request is held against every rule first; an [*AuthorizeError]
// here wraps the [*Error] to answer with. [store.ErrUnavailable].
func (s *Rules) Push(ctx context.Context, caller Caller, params string) (string, error) {
	p, err := parseParameters(params)
	switch {
	case err != nil:
		return "", err
	case p.get("request_uri") != "":
		return "", errPushedTwice // §2.1
	case p.repeats("client_id"):
		return "", errRepeated
	case p.get("client_id") != "" && p.get("client_id") != caller.ID:
		return "", errOtherClient
	}
	p["client_id"] = []string{caller.ID} // who authenticates by a header need not name itself again
	params = p.encode()
	if _, err := s.ParseAuthorization(ctx, params); err != nil {
		return "", err
	}
	return s.keep(ctx, caller.ID, params)
}

// keep puts the request into the store, where every replica finds it.
func (s *Rules) keep(ctx context.Context, client, params string) (string, error) {
	mac := s.Ring.ActiveMAC()
	if mac == nil {
		return "", errNoKey
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	now := s.Tokens.Now()
	pushed := store.Pushed{ID: store.NewID(time.Unix(0, now)), Client: client, Params: params, Expires: now/int64(time.Second) + PushedLife}
	if err := s.Once.PutPushed(ctx, pushed); err != nil {
		return "", fmt.Errorf("put pushed request: %w", err)
	}
	return string(token.AppendOpaque([]byte(pushedPrefix), mac, token.Pushed, pushed.ID, pushed.Expires)), nil
}

// AppendPushed appends the answer to a pushed request (RFC 9126 §2.2) to dst.
func AppendPushed(dst []byte, reference string) []byte {
	dst = token.AppendString(append(dst, `{"request_uri":`...), reference)
	dst = strconv.AppendInt(append(dst, `,"expires_in":`...), PushedLife, 10)
	return append(dst, '}')
}

// resume goes on with a pushed request. Of what stands beside the reference only client_id is looked at (RFC 9126 §4). It is
// not spent: the user may open the page twice, and completes the request once.
func (s *Rules) resume(ctx context.Context, p parameters) (*Authorization, error) {
	refused := &AuthorizeError{Refusal: errPushed, Mode: ModeQuery}
	if p.repeats("client_id") || p.repeats("request_uri") {
		refused.Refusal = errRepeated
		return nil, refused
	}
	reference, err := s.readReference(p.get("request_uri"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	pushed, err := s.Once.Pushed(ctx, reference.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("find pushed request: %w", err)
	case pushed.Client != p.get("client_id"):
		return nil, refused
	}
	a, err := s.ParseAuthorization(ctx, pushed.Params) // again: the client may have changed
	if err != nil {
		return nil, err
	}
	a.Pushed = reference.ID
	a.Params = url.Values{"client_id": {pushed.Client}, "request_uri": {p.get("request_uri")}}.Encode()
	return a, nil
}

// readReference proves a reference before anything is looked up for it (promise P6).
func (s *Rules) readReference(uri string) (token.Opaque, error) {
	reference, authentic, err := s.open(token.Pushed, []byte(strings.TrimPrefix(uri, pushedPrefix)), new(Reading))
	if err == nil && (!authentic || reference.Expires <= s.now()) {
		err = &AuthorizeError{Refusal: errPushed, Mode: ModeQuery}
	}
	return reference, err
}
