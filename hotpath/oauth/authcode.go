package oauth

import (
	"errors"
	"fmt"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

var (
	errNoCode     = &Error{InvalidRequest, "code is missing"}
	errNoVerifier = &Error{InvalidGrant, "code_verifier is missing: every code has a challenge"}
	errVerifier   = &Error{InvalidGrant, "code_verifier must have 43 to 128 unreserved characters"}
)

// authorizationCode redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.6). It is good once, for the client it was made for, with the redirect URI and
// the verifier of its request; spending it and making the grant are one statement of the store. A second redemption with all of
// it right revokes the grant (OAuth 2.1 §4.1.3), one with anything wrong changes nothing.
//
// A fault after the redemption is 503 and leaves the code spent: what it was worth cannot be known to have been heard by
// nobody else, so the client starts anew. All that can be checked before is.
func (s *Rules) authorizationCode(caller Caller, q *TokenRequest, a *TokenResponse) error {
	r, err := s.redemption(caller, q)
	if err != nil {
		return err
	}
	for _, target := range q.Targets {
		if !s.mayTarget(caller.Client, target) {
			return errTarget
		}
	}
	if err := s.ready(caller.Client); err != nil {
		return err
	}
	code, err := s.Grants.Redeem(r)
	if err != nil {
		return refused(fmt.Errorf("redeem code: %w", err))
	}
	err = s.redeemed(caller, q, &code, a)
	if refusal := new(Error); errors.As(err, &refusal) { // the code is spent, and nobody has what it was worth
		if _, err := s.Grants.RevokeGrant(clientActor(caller), code.Grant.ID, caller.ID); err != nil {
			return fmt.Errorf("revoke the grant of a code that was refused: %w", err)
		}
	}
	return err
}

// redeemed answers with the tokens of a code that was redeemed.
func (s *Rules) redeemed(caller Caller, q *TokenRequest, code *store.Code, a *TokenResponse) error {
	g := &code.Grant
	if err := s.narrow(caller, g, &TokenRequest{Targets: q.Targets}, &a.record); err != nil { // §4.1.3 knows no scope here
		return err
	}
	stands, err := s.stands(g)
	if err != nil {
		return err
	}
	if !stands { // something ended between the user's consent and now
		return errGrant
	}
	return s.issue(caller, g, code.Nonce, a)
}

// redemption reads what the code is redeemed with. Garbage is refused without I/O (promise P6), what has expired as well.
func (s *Rules) redemption(caller Caller, q *TokenRequest) (store.Redemption, error) {
	var none store.Redemption
	if len(q.Code) == 0 {
		return none, errNoCode
	}
	code, authentic, err := s.open(token.Code, q.Code, new(Reading))
	switch {
	case err != nil:
		return none, err
	case !authentic || code.Expires <= s.now():
		return none, errGrant
	case len(q.Verifier) == 0:
		return none, errNoVerifier
	}
	challenge, ok := challengeOf(q.Verifier)
	if !ok {
		return none, errVerifier
	}
	return store.Redemption{Code: code.ID, Client: caller.ID, Redirect: string(q.RedirectURI), Challenge: challenge}, nil
}
