package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// codeLife is how long a code can be redeemed (RFC 6749 §4.1.2: ten minutes at most; FAPI 2.0 §5.3.2.1: a minute).
const codeLife = int64(60) // seconds

// Allowed is who allowed an authorization.
type Allowed struct {
	User     store.User
	Session  store.ID
	AuthTime int64  // Unix seconds; when the user signed in
	ACR      string // how; "" says nothing
}

// Allow makes the code that the client redeems for the grant. The user must have been read after the authorization was parsed. [*AuthorizeError]: it came by
// a pushed request which was completed before, or has expired meanwhile. [store.ErrUnavailable].
func (s *Rules) Allow(ctx context.Context, a *Authorization, who Allowed) (string, error) {
	mac := s.Ring.ActiveMAC()
	if mac == nil {
		return "", errNoKey
	}
	now := time.Unix(0, s.Tokens.Now())
	code := store.Code{
		ID: store.NewID(now), Expires: now.Unix() + codeLife, Client: a.Client.ID, Challenge: a.Challenge, Nonce: a.Nonce,
		Grant: s.newGrant(a, who, now),
	}
	code.Grant.Key = mac.Number
	if a.Sent {
		code.Redirect = a.Redirect
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	err := s.Once.PutCode(ctx, code, a.Pushed)
	if errors.Is(err, store.ErrSpent) {
		return "", &AuthorizeError{Refusal: errPushed, Mode: ModeQuery}
	}
	if err != nil {
		return "", fmt.Errorf("put code: %w", err)
	}
	return string(token.AppendOpaque(nil, mac, token.Code, code.ID, code.Expires)), nil
}

// newGrant is what the code is worth. Without refresh tokens it lasts as long as what is made from it.
func (s *Rules) newGrant(a *Authorization, who Allowed, now time.Time) store.Grant {
	g := store.Grant{
		ID: store.NewID(now), Client: a.Client.ID, Subject: who.User.ID.String(), Scope: a.Scope, Audience: a.Audience,
		Session: who.Session, AuthTime: who.AuthTime, ACR: who.ACR, Position: a.Position,
		Refresh: a.Client.MayUse(GrantRefresh.String()), Generation: 1, Rotated: now, Created: now,
	}
	g.Offline = g.Refresh && hasWord([]byte(a.Scope), []byte(scopeOffline))
	g.Expires = now.Add(s.grantLife(a.Client, g.Refresh))
	return g
}

// grantLife is how long a grant lasts at most.
func (s *Rules) grantLife(client *store.Client, refresh bool) time.Duration {
	switch {
	case !refresh && client.AccessTTL > 0:
		return time.Duration(codeLife+client.AccessTTL) * time.Second
	case !refresh:
		return time.Duration(codeLife)*time.Second + s.AccessTTL
	case client.RefreshTTL > 0:
		return time.Duration(client.RefreshTTL) * time.Second
	}
	return s.RefreshTTL
}
