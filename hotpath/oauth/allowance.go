package oauth

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// This file is what the grants of users have in common: a row of the store that says what a user allowed a client, and what
// is made from it (RFC 6749 §1.3, §1.5).

var errGrant = &Error{InvalidGrant, "the code or refresh token is invalid, expired, revoked, used or another client's"}

// errGone is the fault of a grant whose key this replica does not have, though the text that led to the grant was authentic.
var errGone = fmt.Errorf("the key of the grant's refresh token is not open here: %w", store.ErrUnavailable)

// ready reports, before anything is spent, that this replica lacks a key to answer with.
func (s *Rules) ready(client *store.Client) error {
	if s.Ring.Ready() != nil || slices.Contains(client.Scopes, scopeOpenID) && s.Ring.SignerOf(idTokenAlg(client)) == nil {
		return errNoKey
	}
	return nil
}

// denied reports whether a grant was revoked, as far as the fence vouches. It costs no I/O. Who is about to redeem or rotate asks before:
// afterwards the store has the last word, and whoever came second may have revoked the grant already (one of many at once has success).
func (s *Rules) denied(grant store.ID) bool {
	return s.Tokens.Dead(&store.Record{Grant: grant, Position: math.MaxInt64})
}

// stands reports whether a grant that is not revoked is in force for what is made from it now: not cut off (a disabled user, a new
// password, a disabled client), as far as the fence vouches, nor ended with its session. The row was read before. A replica that is
// cut off from the store does not dare: what is made now would outlive what it may not know.
func (s *Rules) stands(g *store.Grant) (bool, error) {
	stale, err := s.Clients.Fresh()
	switch {
	case err != nil:
		return false, err
	case stale:
		return false, errStale
	}
	if s.Tokens.Dead(&store.Record{Position: g.Position, Client: []byte(g.Client), Subject: []byte(g.Subject)}) {
		return false, nil
	}
	now := s.now()
	over := s.Grants.Ended(g.Session) || now >= g.AuthTime+int64(s.SessionLife.Seconds())
	return now < g.Expires.Unix() && (g.Offline || !over), nil
}

// issue makes the tokens of a grant that was redeemed or rotated: the access token; its refresh token, if the client
// may use one; and for OpenID Connect the id_token. nonce is the authorization request's; "" at a refresh.
//
// The access token carries the caller's position, which was read before the grant was found to stand: what cuts the grant off later
// kills the token as well.
func (s *Rules) issue(caller Caller, g *store.Grant, nonce string, a *TokenResponse) (err error) {
	r := &a.record
	r.Grant, r.Subject = g.ID, append(r.Subject, g.Subject...)
	r.Expires = g.Expires.Unix() // at the latest: who revokes grants does not look for those that are over
	if g.Refresh && caller.MayUse(GrantRefresh.String()) {
		mac := s.Ring.MAC(g.Key)
		if mac == nil {
			return s.lostKey()
		}
		a.RefreshToken = token.AppendRefresh(a.RefreshToken, mac, g.ID, g.Generation)
	}
	if err := s.mint(caller.Client, r, a); err != nil {
		return err
	}
	if hasWord(r.Scope, []byte(scopeOpenID)) {
		a.IDToken, err = s.idToken(a.IDToken, g, idTokenInput{
			Client: caller.Client, Nonce: nonce, Access: a.Token, Issued: r.Issued, Expires: r.Expires,
		})
	}
	return err
}

// lostKey is the refusal of a grant whose newest refresh token was made with a key that is retired: the token is dead, and
// so is whatever led to it. Where the key may only be missing here it is a fault.
func (s *Rules) lostKey() error {
	switch err := s.unknownKey(); {
	case err != nil:
		return fmt.Errorf("%w: %w", errGone, err)
	default:
		return errGrant
	}
}

// narrow fills scope and audience of the access token: what the user allowed, or less if less is asked (RFC 6749 §6, RFC 8707
// §2.2), and never a scope or a target that the client is registered for no more.
func (s *Rules) narrow(caller Caller, g *store.Grant, q *TokenRequest, r *store.Record) (err error) {
	if r.Scope, err = narrowGranted(r.Scope[:0], caller.Client, g.Scope, q.Scope); err != nil {
		return err
	}
	r.Audience, err = s.narrowTargets(r.Audience[:0], caller.Client, g.Audience, q.Targets)
	return err
}

func (s *Rules) narrowTargets(dst []byte, client *store.Client, granted string, asked [][]byte) ([]byte, error) {
	all := []byte(granted)
	for _, target := range asked {
		if !hasWord(all, target) || !s.mayTarget(client, target) {
			return dst, errTarget
		}
		if !hasWord(dst, target) {
			dst = appendWord(dst, target)
		}
	}
	if len(asked) > 0 {
		return dst, nil
	}
	for target := range bytes.FieldsSeq(all) {
		if s.mayTarget(client, target) {
			dst = appendWord(dst, target)
		}
	}
	if len(dst) == 0 {
		return dst, errTarget
	}
	return dst, nil
}

// mayTarget reports whether the client is registered for the target, which is the issuer where it has none.
func (s *Rules) mayTarget(client *store.Client, target []byte) bool {
	if len(client.Audiences) == 0 {
		return string(target) == s.Issuer
	}
	return slices.ContainsFunc(client.Audiences, func(own string) bool { return own == string(target) })
}

func narrowGranted(dst []byte, client *store.Client, granted string, asked []byte) ([]byte, error) {
	all := []byte(granted)
	if len(asked) > 0 {
		for scope := range bytes.SplitSeq(asked, space) {
			if !hasWord(all, scope) {
				return dst, errScope
			}
		}
		return narrowScope(dst, client, asked)
	}
	for scope := range bytes.FieldsSeq(all) {
		if slices.Contains(client.Scopes, string(scope)) {
			dst = appendWord(dst, scope)
		}
	}
	return dst, nil
}

// refused makes the store's verdict on a grant a refusal. All are the same: who guesses learns nothing.
func refused(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrSpent) {
		return errGrant
	}
	return err
}
