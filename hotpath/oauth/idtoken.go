package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// People is who may be acted for. Replicas do not hold users: each look-up asks the store.
type People interface {
	User(ctx context.Context, id store.ID) (store.User, error) // [store.ErrNotFound]
}

// maxIDTokenLife bounds how long an id_token is worth anything to a client: it tells of a sign-in, not of a right.
const maxIDTokenLife = int64(time.Hour / time.Second)

// idTokenInput is what an id_token says beside its grant.
type idTokenInput struct {
	Client  *store.Client
	Nonce   string // of the authorization request; "" when there was none, and at a refresh
	Access  []byte // the text of the access token it comes with
	Issued  int64  // Unix seconds, the store's clock
	Expires int64  // Unix seconds, of the access token
}

// scopeOpenID asks for OpenID Connect (OpenID Connect Core §3.1.2.1).
const scopeOpenID = "openid"

// idToken appends the id_token of a grant to dst (OpenID Connect Core §2, §3.1.3.6, and §12.2 for one that comes with a
// refresh). What a scope tells of the user is not in it: that is for userinfo (§5.4).
func (s *Rules) idToken(dst []byte, g *store.Grant, t idTokenInput) ([]byte, error) {
	alg := idTokenAlg(t.Client)
	signer := s.Ring.SignerOf(alg)
	if signer == nil {
		return dst, fmt.Errorf("sign id_token with %s: %w", alg, errNoKey)
	}
	return signClaims(dst, signer, keys.IDToken, s.appendIDClaims(make([]byte, 0, 512), alg, g, t))
}

// idTokenAlg is the algorithm that the client reads (OpenID Connect Registration §2: RS256 when it said nothing).
func idTokenAlg(client *store.Client) keys.Alg {
	if client.IDTokenAlg == "" {
		return keys.RS256
	}
	return keys.Alg(client.IDTokenAlg)
}

func (s *Rules) appendIDClaims(dst []byte, alg keys.Alg, g *store.Grant, t idTokenInput) []byte {
	dst = token.AppendString(append(dst, `{"iss":`...), s.Issuer)
	dst = token.AppendString(append(dst, `,"sub":`...), g.Subject)
	dst = token.AppendString(append(dst, `,"aud":`...), g.Client) // one audience needs no azp
	dst = strconv.AppendInt(append(dst, `,"exp":`...), min(t.Expires, t.Issued+maxIDTokenLife), 10)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), t.Issued, 10)
	dst = strconv.AppendInt(append(dst, `,"auth_time":`...), g.AuthTime, 10)
	if t.Nonce != "" {
		dst = token.AppendString(append(dst, `,"nonce":`...), t.Nonce)
	}
	dst = appendHalfHash(append(dst, `,"at_hash":"`...), alg, t.Access)
	dst = g.Session.Append(append(dst, `","sid":"`...))
	dst = append(dst, '"')
	if g.ACR != "" {
		dst = token.AppendString(append(dst, `,"acr":`...), g.ACR)
	}
	return append(dst, '}')
}

// appendHalfHash appends the left half of a token's hash (OpenID Connect Core §3.1.3.6), with the hash of the signature's
// algorithm: SHA-256, but for EdDSA with Ed25519, which hashes with SHA-512.
func appendHalfHash(dst []byte, alg keys.Alg, text []byte) []byte {
	if alg == keys.EdDSA {
		sum := sha512.Sum512(text)
		return base64.RawURLEncoding.AppendEncode(dst, sum[:sha512.Size/2])
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.AppendEncode(dst, sum[:sha256.Size/2])
}

// signClaims appends a JWT of the kind to dst.
func signClaims(dst []byte, signer *keys.Signer, kind keys.Kind, claims []byte) ([]byte, error) {
	start := len(dst)
	text := append(append(dst, signer.HeaderOf(kind)...), '.')
	text = base64.RawURLEncoding.AppendEncode(text, claims)
	signature, err := signer.Sign(make([]byte, 0, 512), text[start:])
	if err != nil {
		return dst, fmt.Errorf("sign token: %w", err)
	}
	return base64.RawURLEncoding.AppendEncode(append(text, '.'), signature), nil
}
