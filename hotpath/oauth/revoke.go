package oauth

import (
	"errors"
	"fmt"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// Revoke ends a token (RFC 7009). A token that is not alive needs no ending and is no error (§2.2); one that was issued to
// another client is refused and stays as it is (§2.1). When it returns nil the
// denial is durable; [store.ErrUnavailable] means not revoked, try again (§2.2.1).
//
// A refresh token takes its grant with it, and so all access tokens of the grant (§2.1). An access token ends alone: what a
// client gives up on one of its machines is not meant to sign the user out of the others.
func (s *Rules) Revoke(caller Caller, text []byte, t *Reading) (revoked bool, err error) {
	if len(text) == 0 {
		return false, errNoToken
	}
	if token.KindOf(text) == token.Refresh {
		return s.revokeRefresh(caller, text, t)
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
		Kind: store.DenyToken, ID: r.ID, Expires: r.Expires, Actor: clientActor(caller).String(),
	})
	return err == nil, err
}

// revokeRefresh revokes the grant of a refresh token, whichever generation it is of: a client that did not hear of the newest one
// wants the grant ended all the same.
func (s *Rules) revokeRefresh(caller Caller, text []byte, t *Reading) (bool, error) {
	t.waited = false
	presented, authentic, err := s.open(token.Refresh, text, t)
	if !authentic || err != nil {
		return false, err
	}
	revoked, err := s.Grants.RevokeGrant(clientActor(caller), presented.ID, caller.ID)
	if revoked || err != nil {
		return revoked, err
	}
	// Nothing was revoked: there is nothing, or it is another's.
	g, err := s.Grants.Grant(presented.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read grant: %w", err)
	case g.Client != caller.ID:
		return false, errForeignToken
	}
	return false, nil
}

func clientActor(caller Caller) store.Actor { return store.Actor{Kind: "client", ID: caller.ID} }
