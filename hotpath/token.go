package hotpath

import (
	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
)

// token serves POST /oauth/token (RFC 6749 §3.2).
func (s *Server) token(ctx *fasthttp.RequestCtx, x *exchange) error {
	if err := x.parseForm(ctx, "resource", "audience"); err != nil { // transport → plain struct
		return err
	}
	caller, err := s.authenticate(ctx, x, s.rules.Authenticate) // who asks; no I/O
	if err != nil {
		return err
	}
	if err := s.spendClient(x, limits.Token, 1); err != nil { // only now: a stranger must not spend its rate
		return err
	}
	x.readTokenRequest()
	if err := s.spendGrant(x); err != nil {
		return err
	}
	if err := s.rules.Grant(caller, &x.request, &x.response); err != nil { // rules
		return err
	}
	s.metrics.issued[x.response.Grant][formatIndex(x.response.JWT)].Inc()
	x.body = x.response.AppendJSON(x.body[:0]) // plain struct → bytes
	s.writeJSON(ctx, x.body)
	return nil
}

// authenticate finds out who asks, in the way that the endpoint demands. Failures are counted; who proves itself passes, however many there were.
func (s *Server) authenticate(ctx *fasthttp.RequestCtx, x *exchange, prove func(*oauth.Credentials) (oauth.Caller, error)) (oauth.Caller, error) {
	if err := x.readCredentials(ctx); err != nil {
		return oauth.Caller{}, s.failed(x, err)
	}
	caller, err := prove(&x.credentials)
	if err != nil {
		return oauth.Caller{}, s.failed(x, err)
	}
	x.client = caller.Client
	return caller, nil
}

func (x *exchange) readTokenRequest() {
	x.request.GrantType = x.form.get("grant_type")
	x.request.Scope = x.form.get("scope")
	x.request.Code = x.form.get("code")
	x.request.RedirectURI = x.form.get("redirect_uri")
	x.request.Verifier = x.form.get("code_verifier")
	x.request.RefreshToken = x.form.get("refresh_token")
	add := func(value []byte) { x.request.Targets = append(x.request.Targets, value) }
	x.form.all("resource", add)
	x.form.all("audience", add)
}
