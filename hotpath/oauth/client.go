package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"

	"oauth2-server/store"
)

// A Method is how a client presented itself, RFC 6749 §2.3.
type Method uint8

// The ways a client can present itself.
const (
	MethodNone      Method = iota // client_id only: a public client
	MethodBasic                   // Authorization: Basic
	MethodPost                    // client_id and client_secret in the body
	MethodAssertion               // client_assertion in the body, RFC 7521 §4.2
)

// Credentials are what a client presented. The bytes are valid until the handler returns.
type Credentials struct {
	Method    Method
	ID        []byte // of an assertion without client_id: nil, and set by Authenticate once it is proved
	Secret    []byte
	Assertion []byte
}

// A Caller is a client that has proved itself, and the feed position that its
// record was read at or after: what the caller gets is cut off by anything newer.
type Caller struct {
	*store.Client
	Position store.Position
	Proved   string // the method that it proved itself by: store.AuthBasic, …; [store.AuthNone] proves nothing
}

func newDecoy() (decoy store.SecretHash) {
	rand.Read(decoy[:])
	return decoy
}

// Authenticate finds out who asks (RFC 6749 §2.3), and by which method that was proved. Secrets are checked from memory. An unknown
// client, a disabled one, a wrong secret and a way of authentication that the client may not use are
// refused alike, secrets by the same work. An assertion is spent, which asks the store, once it is known to be the client's.
// [store.ErrUnavailable] when it cannot be known who is registered, or whether an assertion was used before.
func (s *Rules) Authenticate(c *Credentials) (Caller, error) {
	stale, err := s.Clients.Fresh()
	if err != nil {
		return Caller{}, err
	}
	position := s.Clients.Position() // before the client is read
	var client *store.Client
	var proved string
	if c.Method == MethodAssertion {
		client, proved, err = s.proveAssertion(c)
	} else {
		client, proved = s.proveSecret(c)
	}
	switch {
	case err != nil:
		return Caller{}, err
	case proved != "":
		return Caller{client, position, proved}, nil
	case stale:
		return Caller{}, errStale // it may have been registered, or its secret changed, since
	}
	return Caller{}, ErrClient
}

// proveSecret is the method that the client proved itself by, "" if it did not.
func (s *Rules) proveSecret(c *Credentials) (*store.Client, string) {
	client := s.Clients.Client(c.ID)
	right := s.prove(client, c.Secret)
	if client == nil || client.Disabled || !admits(client, c.Method) || !right && c.Method != MethodNone {
		return client, ""
	}
	return client, secretMethods[c.Method]
}

var secretMethods = [...]string{MethodNone: store.AuthNone, MethodBasic: store.AuthBasic, MethodPost: store.AuthPost}

// prove compares the secret with both hashes that a client can have. Where there is
// none, the decoy takes its place: the same work for every client and for no client.
func (s *Rules) prove(client *store.Client, secret []byte) bool {
	hashes := [2]*store.SecretHash{&s.decoy, &s.decoy}
	if client != nil {
		for i := range min(len(client.Secrets), len(hashes)) {
			hashes[i] = &client.Secrets[i]
		}
	}
	presented := sha256.Sum256(secret)
	match := subtle.ConstantTimeCompare(presented[:], hashes[0][:]) |
		subtle.ConstantTimeCompare(presented[:], hashes[1][:])
	return match == 1
}

// admits reports whether the client may present itself in this way, which is none with an assertion: that is for [Rules.proveAssertion].
func admits(client *store.Client, method Method) bool {
	switch client.AuthMethod {
	case store.AuthNone:
		return method == MethodNone
	case store.AuthBasic:
		return method == MethodBasic
	case store.AuthPost:
		return method == MethodPost
	case "":
		return method == MethodBasic || method == MethodPost
	}
	return false // RFC 7591 §2: a client that signs is never admitted by less
}

// AuthenticateConfidential is Authenticate for endpoints that tell of other
// clients' tokens: a public client, which anyone can claim to be, is refused (RFC 7662 §2.1).
func (s *Rules) AuthenticateConfidential(c *Credentials) (Caller, error) {
	caller, err := s.Authenticate(c)
	if err != nil {
		return Caller{}, err
	}
	if caller.Public() {
		return Caller{}, errPublicCaller
	}
	return caller, nil
}
