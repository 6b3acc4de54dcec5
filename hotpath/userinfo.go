package hotpath

import (
	"bytes"
	"context"
	"errors"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
)

// userinfo serves GET and POST /oauth/userinfo (OpenID Connect Core §5.3), a resource that takes access tokens (RFC 6750).
func (s *Server) userinfo(ctx *fasthttp.RequestCtx, x *exchange) error {
	text, err := x.readBearer(ctx)
	if err == nil && text == nil { // RFC 6750 §3.1: who brought no token is told no error
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, bearerChallenge)
		ctx.SetStatusCode(fasthttp.StatusUnauthorized)
		return nil
	}
	if err == nil {
		err = s.tellOfUser(x, text)
	}
	if refusal, ok := errors.AsType[*oauth.Error](err); ok { // §3: whatever is wrong, the challenge says it too
		x.text = appendBearerChallenge(x.text[:0], refusal)
		ctx.Response.Header.SetBytesV(fasthttp.HeaderWWWAuthenticate, x.text)
	}
	if err != nil {
		return err
	}
	s.writeJSON(ctx, x.body)
	return nil
}

// tellOfUser makes the claims the body, for pages of the token's client to read.
func (s *Server) tellOfUser(x *exchange, text []byte) (err error) {
	within, cancel := context.WithTimeout(context.Background(), pageWithin)
	defer cancel()
	if x.body, err = s.rules.UserInfo(within, x.body[:0], text, &x.reading); err != nil {
		return err
	}
	x.client = s.tier.Client(x.reading.Record.Client)
	return nil
}

const bearerChallenge = `Bearer realm="oauth2-server"`

// appendBearerChallenge appends a challenge (RFC 6750 §3). Descriptions hold neither quotes nor backslashes.
func appendBearerChallenge(dst []byte, refusal *oauth.Error) []byte {
	dst = append(append(dst, bearerChallenge+`, error="`...), refusal.Code.String()...)
	dst = append(append(dst, `", error_description="`...), refusal.Description...)
	return append(dst, '"')
}

var errBearerTwice = &oauth.Error{Code: oauth.InvalidRequest, Description: "the access token is sent in more than one way"}

// readBearer finds the access token: in the Authorization header or in the form of a POST, never in both, and never in the
// query, which is not looked at (RFC 6750 §2, RFC 9700 §4.3.2). It is nil when there is none.
func (x *exchange) readBearer(ctx *fasthttp.RequestCtx) ([]byte, error) {
	scheme, text, _ := bytes.Cut(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), space)
	if !foldEqual(scheme, "bearer") {
		text = nil
	}
	if !ctx.IsPost() || !isForm(ctx.Request.Header.ContentType()) {
		return text, nil
	}
	if err := x.form.parse(ctx.PostBody()); err != nil {
		return nil, err
	}
	sent := x.form.get("access_token")
	switch {
	case sent == nil:
		return text, nil
	case text != nil:
		return nil, errBearerTwice
	}
	return sent, nil
}
