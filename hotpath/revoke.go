package hotpath

import (
	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
)

// revoke serves POST /oauth/revoke (RFC 7009). 200 means that the token is dead, whatever it was.
func (s *Server) revoke(ctx *fasthttp.RequestCtx, x *exchange) error {
	if err := x.parseForm(ctx); err != nil {
		return err
	}
	caller, err := s.authenticate(ctx, x, s.rules.Authenticate)
	if err != nil {
		return err
	}
	if err := s.spendClient(x, limits.Revoke, 1); err != nil {
		return err
	}
	revoked, err := s.rules.Revoke(caller, x.form.get("token"), &x.reading)
	if err != nil {
		return err
	}
	if revoked {
		s.metrics.revoked.Inc()
	}
	s.writeJSON(ctx, emptyObject)
	return nil
}

var emptyObject = []byte("{}")
