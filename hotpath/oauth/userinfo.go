package oauth

import (
	"context"
	"errors"
	"fmt"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// The scopes that ask for claims (OpenID Connect Core §5.4).
const (
	scopeProfile = "profile"
	scopeEmail   = "email"
)

// Scopes is the scopes that mean something to the server itself, for its metadata.
func Scopes() []string { return []string{scopeOpenID, scopeProfile, scopeEmail, "offline_access"} }

// Claims is what id_tokens and userinfo can say, for the metadata.
func Claims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", // id_token
		"preferred_username", "email", // userinfo
	}
}

// The refusals of a resource that takes access tokens (RFC 6750 §3.1).
var (
	errBearer       = &Error{InvalidToken, "the access token is malformed, expired, revoked or unknown"}
	errNeedsOpenID  = &Error{InsufficientScope, "the access token has not the scope openid, or no user behind it"}
	errUserIsNoMore = &Error{InvalidToken, "the user of the access token is not there any more, or is disabled"}
)

// UserInfo appends to dst what the scopes of an access token tell of its user, as JSON (OpenID Connect Core §5.3.2). The token is t
// afterwards. Errors: [InvalidToken], [InsufficientScope], [store.ErrUnavailable].
func (s *Rules) UserInfo(ctx context.Context, dst, text []byte, t *Reading) ([]byte, error) {
	alive, err := s.verdict(text, t)
	if err != nil {
		return dst, err
	}
	if !alive {
		return dst, errBearer
	}
	r := &t.Record
	id, err := store.ParseID(string(r.Subject))
	if err != nil || r.Grant.IsZero() || !hasWord(r.Scope, []byte(scopeOpenID)) {
		return dst, errNeedsOpenID // of the client itself (RFC 6749 §4.4): there is nobody to tell of
	}
	user, err := s.People.User(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && user.Disabled:
		return dst, errUserIsNoMore
	case err != nil:
		return dst, fmt.Errorf("find the user of a token: %w", err)
	}
	return appendUserClaims(dst, &user, r.Scope), nil
}

// appendUserClaims appends the claims of the scopes (OpenID Connect Core §5.4). Nothing says email_verified: nobody verified it.
func appendUserClaims(dst []byte, user *store.User, scope []byte) []byte {
	dst = append(user.ID.Append(append(dst, `{"sub":"`...)), '"')
	if hasWord(scope, []byte(scopeProfile)) {
		dst = token.AppendString(append(dst, `,"preferred_username":`...), user.Username)
	}
	if hasWord(scope, []byte(scopeEmail)) && user.Email != "" {
		dst = token.AppendString(append(dst, `,"email":`...), user.Email)
	}
	return append(dst, '}')
}
