package oauth

import (
	"fmt"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

var errNoRefresh = &Error{InvalidRequest, "refresh_token is missing"}

// refresh answers a refresh token (RFC 6749 §6) with a new access token and the token's successor, whose row is rotated by one statement of
// the store (RFC 9700 §4.14.2). A token of the generation before the newest is answered with the newest once more, within
// the grace time: its client may not have heard the answer. Any older one ends the grant, and all that was made from it.
//
// A fault after the rotation is 503; the client's retry finds the successor that it did not hear of. Such a retry outside the grace time
// is not to be told from a thief's.
func (s *Rules) refresh(caller Caller, q *TokenRequest, a *TokenResponse) error {
	if len(q.RefreshToken) == 0 {
		return errNoRefresh
	}
	presented, authentic, err := s.open(token.Refresh, q.RefreshToken, new(Reading))
	if err != nil {
		return err
	}
	if !authentic || s.denied(presented.ID) {
		return errGrant
	}
	if err := s.ready(caller.Client); err != nil {
		return err
	}
	if err := s.mayNarrow(caller, presented.ID, q); err != nil {
		return err
	}
	g, err := s.rotate(caller, presented)
	if err != nil {
		return err
	}
	if err := s.narrow(caller, g, q, &a.record); err != nil {
		return err
	}
	return s.issue(caller, g, "", a)
}

// mayNarrow refuses more than was granted before the token is rotated: a refusal must not cost the client its token. It
// reads the grant, which only a request for less has to pay for. What a grant allows never changes.
func (s *Rules) mayNarrow(caller Caller, grant store.ID, q *TokenRequest) error {
	if len(q.Scope) == 0 && len(q.Targets) == 0 {
		return nil
	}
	g, err := s.Grants.Grant(grant)
	if err != nil {
		return refused(fmt.Errorf("read grant: %w", err))
	}
	if g.Client != caller.ID {
		return errGrant
	}
	return s.narrow(caller, &g, q, new(store.Record))
}

// rotate is the grant with its newest generation, if it stands. One that was cut off may be rotated by this: it is dead as it is.
func (s *Rules) rotate(caller Caller, presented token.Opaque) (*store.Grant, error) {
	mac := s.Ring.ActiveMAC()
	if mac == nil {
		return nil, errNoKey
	}
	done, err := s.Grants.Rotate(store.Rotation{
		Grant: presented.ID, Client: caller.ID, Generation: presented.Generation(), Key: mac.Number,
		Grace: s.RefreshGrace, Static: caller.Refresh == store.RefreshStatic,
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("rotate grant: %w", err)
	case done.Outcome != store.RotationDone && done.Outcome != store.RotationRepeated:
		return nil, errGrant
	}
	stands, err := s.stands(&done.Grant)
	switch {
	case err != nil:
		return nil, err
	case !stands || s.Ring.MAC(presented.Key) == nil: // an emergency may have ended the key meanwhile
		return nil, errGrant
	}
	return &done.Grant, nil
}
