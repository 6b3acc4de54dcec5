package oauth

import "oauth2-server/store"

// clientCredentials is the grant of a client for itself (RFC 6749 §4.4): the
// subject is the client (RFC 9068 §2.2). No refresh token is issued (RFC 6749 §4.4.3).
func (s *Rules) clientCredentials(caller Caller, r *store.Record) error {
	if caller.Public() {
		return errGrantRefused // §4.4: confidential clients only
	}
	r.Subject = append(r.Subject, caller.ID...)
	return nil
}
