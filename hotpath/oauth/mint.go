package oauth

import (
	"fmt"
	"strconv"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

var errNoKey = fmt.Errorf("no active key: %w", store.ErrUnavailable)

// mint turns a record into an access token of the client's format. An opaque
// token's row is durable before this returns: what is answered with 200 survives (promise P2). It expires no later
// than the record says already, if it says.
func (s *Rules) mint(client *store.Client, r *store.Record, a *TokenResponse) error {
	now := s.Tokens.Now()
	ttl := client.AccessTTL
	if ttl == 0 {
		ttl = int64(s.AccessTTL / time.Second)
	}
	r.ID = store.NewID(time.Unix(0, now))
	r.Issued = now / int64(time.Second)
	if until := r.Issued + ttl; r.Expires == 0 || until < r.Expires {
		r.Expires = until
	}
	a.ExpiresIn, a.Scope = r.Expires-r.Issued, r.Scope

	format := client.TokenFormat
	if format == "" {
		format = s.Format
	}
	a.JWT = format == store.FormatJWT
	if a.JWT {
		return s.mintJWT(r, a)
	}
	return s.mintOpaque(r, a)
}

func (s *Rules) mintOpaque(r *store.Record, a *TokenResponse) error {
	mac := s.Ring.ActiveMAC()
	if mac == nil {
		return errNoKey
	}
	a.row = r.Append(a.row[:0])
	key := store.TokenKey{ID: r.ID, Expires: r.Expires}
	if err := s.Tokens.Put(store.Token{TokenKey: key, Record: a.row}); err != nil {
		return fmt.Errorf("put token: %w", err)
	}
	a.Token = token.AppendOpaque(a.Token[:0], mac, token.Access, r.ID, r.Expires)
	return nil
}

func (s *Rules) mintJWT(r *store.Record, a *TokenResponse) (err error) {
	signer := s.Ring.Signer()
	if signer == nil {
		return errNoKey
	}
	a.Token, err = token.AppendJWT(a.Token[:0], signer, s.Issuer, r)
	return err
}

// AppendJSON appends the answer's body (RFC 6749 §5.1) to dst.
func (a *TokenResponse) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"access_token":"`...)
	dst = append(dst, a.Token...) // base64url, dots and underscores
	dst = append(dst, `","token_type":"Bearer","expires_in":`...)
	dst = strconv.AppendInt(dst, a.ExpiresIn, 10)
	if len(a.Scope) > 0 {
		dst = append(dst, `,"scope":`...)
		dst = token.AppendString(dst, a.Scope)
	}
	if len(a.RefreshToken) > 0 {
		dst = append(dst, `,"refresh_token":"`...)
		dst = append(append(dst, a.RefreshToken...), '"')
	}
	if len(a.IDToken) > 0 {
		dst = append(dst, `,"id_token":"`...)
		dst = append(append(dst, a.IDToken...), '"')
	}
	return append(dst, '}')
}
