package oauth

import (
	"fmt"
	"strconv"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// logoutTokenLife is how long a logout token may be on its way (Back-Channel Logout 1.0 §2.4 recommends at most two minutes).
const logoutTokenLife = 2 * time.Minute

// LogoutToken is the text of a logout token and where it is to be sent (OpenID Connect Back-Channel Logout 1.0 §2.4). to is ""
// when there is nobody left to be told: the client is gone, disabled, or does not want to know any more. Each call makes a
// token with a jti of its own: a client that took one may refuse to see it again.
func (s *Rules) LogoutToken(l *store.Logout) (text []byte, to string, err error) {
	client := s.Clients.Client([]byte(l.Client))
	if client == nil || client.Disabled || client.BackchannelLogout == "" {
		return nil, "", nil
	}
	alg := idTokenAlg(client)
	signer := s.Ring.SignerOf(alg)
	if signer == nil {
		return nil, "", fmt.Errorf("sign logout token with %s: %w", alg, errNoKey)
	}
	text, err = signClaims(nil, signer, keys.LogoutToken, s.appendLogoutClaims(nil, l))
	return text, client.BackchannelLogout, err
}

// appendLogoutClaims writes no nonce: §2.4 forbids it, so that no logout token passes for an id_token.
func (s *Rules) appendLogoutClaims(dst []byte, l *store.Logout) []byte {
	now := time.Unix(0, s.Tokens.Now())
	dst = token.AppendString(append(dst, `{"iss":`...), s.Issuer)
	dst = token.AppendString(append(dst, `,"sub":`...), l.Subject)
	dst = token.AppendString(append(dst, `,"aud":`...), l.Client)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), now.Unix(), 10)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), now.Add(logoutTokenLife).Unix(), 10)
	dst = store.NewID(now).Append(append(dst, `,"jti":"`...))
	dst = l.Session.Append(append(dst, `","sid":"`...))
	return append(dst, `","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`...)
}
