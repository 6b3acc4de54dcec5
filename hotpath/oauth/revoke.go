package oauth

import "oauth2-server/store"

// Revoke ends a token (RFC 7009). A token that is not alive needs no ending and is no error (§2.2); one that was issued to
// another client is refused and stays as it is (§2.1). When it returns nil the
// denial is durable; [store.ErrUnavailable] means not revoked, try again (§2.2.1).
func (s *Rules) Revoke(caller Caller, text []byte, t *Reading) (revoked bool, err error) {
	if len(text) == 0 {
		return false, errNoToken
	}
	alive, err := s.verdict(text, t)
	if err != nil || !alive {
		return false, err
	}
	r := &t.Record
	if string(r.Client) != caller.ID {
		return false, errForeignToken
	}
	err = s.Tokens.Deny(store.Denial{
		Kind: store.DenyToken, ID: r.ID, Expires: r.Expires,
		Actor: store.Actor{Kind: "client", ID: caller.ID}.String(),
	})
	return err == nil, err
}
