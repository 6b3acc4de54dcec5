package oauth

import (
	"fmt"

	"oauth2-server/store"
)

// A Code is the error code of a refusal, as a client reads it.
type Code uint8

// The codes, each with the section that defines it.
const (
	InvalidRequest           Code = iota // RFC 6749 §5.2
	InvalidClient                        // RFC 6749 §5.2
	InvalidGrant                         // RFC 6749 §5.2
	UnauthorizedClient                   // RFC 6749 §5.2
	UnsupportedGrantType                 // RFC 6749 §5.2
	InvalidScope                         // RFC 6749 §5.2
	InvalidTarget                        // RFC 8707 §2
	ServerError                          // RFC 6749 §4.1.2.1
	TemporarilyUnavailable               // RFC 6749 §4.1.2.1
	TooManyRequests                      // in no RFC: of the status that RFC 6585 §4 defines
	UnsupportedResponseType              // RFC 6749 §4.1.2.1
	AccessDenied                         // RFC 6749 §4.1.2.1
	LoginRequired                        // OpenID Connect Core §3.1.2.6
	ConsentRequired                      // OpenID Connect Core §3.1.2.6
	InteractionRequired                  // OpenID Connect Core §3.1.2.6
	AccountSelectionRequired             // OpenID Connect Core §3.1.2.6
	RequestNotSupported                  // OpenID Connect Core §3.1.2.6
	RequestURINotSupported               // OpenID Connect Core §3.1.2.6
	InvalidRequestURI                    // OpenID Connect Core §3.1.2.6
	RegistrationNotSupported             // OpenID Connect Core §3.1.2.6
	InvalidToken                         // RFC 6750 §3.1
	InsufficientScope                    // RFC 6750 §3.1
	NumCodes
)

var codeNames = [NumCodes]string{
	InvalidRequest:         "invalid_request",
	InvalidClient:          "invalid_client",
	InvalidGrant:           "invalid_grant",
	UnauthorizedClient:     "unauthorized_client",
	UnsupportedGrantType:   "unsupported_grant_type",
	InvalidScope:           "invalid_scope",
	InvalidTarget:          "invalid_target",
	ServerError:            "server_error",
	TemporarilyUnavailable: "temporarily_unavailable",
	TooManyRequests:        "too_many_requests",

	UnsupportedResponseType:  "unsupported_response_type",
	AccessDenied:             "access_denied",
	LoginRequired:            "login_required",
	ConsentRequired:          "consent_required",
	InteractionRequired:      "interaction_required",
	AccountSelectionRequired: "account_selection_required",
	RequestNotSupported:      "request_not_supported",
	RequestURINotSupported:   "request_uri_not_supported",
	InvalidRequestURI:        "invalid_request_uri",
	RegistrationNotSupported: "registration_not_supported",
	InvalidToken:             "invalid_token",
	InsufficientScope:        "insufficient_scope",
}

func (c Code) String() string { return codeNames[c] }

// An Error is a refusal. Its description keeps to the characters of RFC 6749
// §5.2 (%x20-21, %x23-5B, %x5D-7E) and never repeats input.
type Error struct {
	Code        Code
	Description string
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Description }

// The refusals of the rules. One value each, so that refusing allocates nothing.
var (
	ErrClient       = &Error{InvalidClient, "client authentication failed"}
	errPublicCaller = &Error{InvalidClient, "this endpoint needs a client that can authenticate"}
	errNoGrantType  = &Error{InvalidRequest, "grant_type is missing"}
	errGrantType    = &Error{UnsupportedGrantType, "this grant type is not supported"}
	errGrantRefused = &Error{UnauthorizedClient, "the client is not registered for this grant type"}
	errScope        = &Error{InvalidScope, "the scope is malformed or exceeds what the client is registered for"}
	errTarget       = &Error{InvalidTarget, "the resource or audience is not one the client is registered for"}
	errNoToken      = &Error{InvalidRequest, "token is missing"}
	errForeignToken = &Error{UnauthorizedClient, "the token was issued to another client"}
)

// errStale is the refusal that a replica cut off from the store does not dare.
var errStale = fmt.Errorf("this replica is cut off from the store and may not know: %w", store.ErrUnavailable)
