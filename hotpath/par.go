package hotpath

import (
	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
)

// push serves POST /oauth/par (RFC 9126): a client says beforehand, and proves, what it will ask of a user. It costs what a
// token does, and spends the same limits beside its own.
func (s *Server) push(ctx *fasthttp.RequestCtx, x *exchange) error {
	if err := x.parseForm(ctx, "resource", "audience"); err != nil {
		return err
	}
	caller, err := s.authenticate(ctx, x, s.rules.Authenticate) // §2: as at the token endpoint
	if err != nil {
		return err
	}
	if err := s.spendClient(x, limits.Token, 1); err != nil {
		return err
	}
	if err := s.spendPush(x); err != nil {
		return err
	}
	reference, err := s.rules.Push(ctx, caller, string(ctx.PostBody()))
	if err != nil {
		return err
	}
	x.body = oauth.AppendPushed(x.body[:0], reference)
	s.writeJSON(ctx, x.body)
	ctx.SetStatusCode(fasthttp.StatusCreated) // §2.2
	return nil
}
