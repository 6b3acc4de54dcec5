package oauth

// clientCredentials is the grant of a client for itself (RFC 6749 §4.4): the
// subject is the client (RFC 9068 §2.2). No refresh token is issued (RFC 6749 §4.4.3).
func (s *Rules) clientCredentials(caller Caller, q *TokenRequest, a *TokenResponse) (err error) {
	if caller.Public() {
		return errGrantRefused // §4.4: confidential clients only
	}
	r := &a.record
	if r.Scope, err = narrowScope(r.Scope, caller.Client, q.Scope); err != nil {
		return err
	}
	if r.Audience, err = s.target(r.Audience, caller.Client, q.Targets); err != nil {
		return err
	}
	r.Subject = append(r.Subject, caller.ID...)
	return s.mint(caller.Client, r, a)
}
