package hotpath

import (
	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
)

// introspect serves POST /oauth/introspect (RFC 7662).
func (s *Server) introspect(ctx *fasthttp.RequestCtx, x *exchange) error {
	if err := x.parseForm(ctx); err != nil {
		return err
	}
	caller, err := s.authenticate(ctx, x, s.rules.AuthenticateConfidential)
	if err != nil {
		return err
	}
	if err := s.spendClient(x, limits.Introspect, 1); err != nil {
		return err
	}
	active, err := s.rules.Introspect(caller, x.form.get("token"), &x.reading)
	if err != nil {
		return err
	}
	x.body = s.appendAnswer(x.body[:0], &x.reading, active)
	s.writeJSON(ctx, x.body)
	return nil
}

// appendAnswer appends the answer about one token and counts it.
func (s *Server) appendAnswer(dst []byte, t *oauth.Reading, active bool) []byte {
	if !active {
		s.metrics.inactive.Inc()
		return append(dst, oauth.Inactive...)
	}
	s.metrics.active.Inc()
	return t.AppendJSON(dst, s.rules.Issuer)
}

var errLinesType = &oauth.Error{Code: oauth.InvalidRequest, Description: "content type is not application/x-ndjson"}

// introspectBatch serves POST /oauth/introspect/batch: a token a line in, an answer a line out, in the same
// order. The caller authenticates by Basic: the body holds tokens only.
func (s *Server) introspectBatch(ctx *fasthttp.RequestCtx, x *exchange) error {
	if queryHasParameter(ctx.URI().QueryString()) {
		return errQuery
	}
	if !isNDJSON(ctx.Request.Header.ContentType()) {
		return errLinesType
	}
	caller, err := s.authenticate(ctx, x, s.rules.AuthenticateConfidential)
	if err != nil {
		return err
	}
	err = x.lines.parse(ctx.PostBody())
	if err := s.spendBatch(x, len(x.lines.tokens)); err != nil { // what could be read is paid for, whatever follows it
		return err
	}
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: err.Error()}
	}
	x.body = x.body[:0]
	err = s.rules.IntrospectMany(caller, x.lines.tokens, func(t *oauth.Reading, active bool) {
		x.body = append(s.appendAnswer(x.body, t, active), '\n')
	})
	if err != nil {
		return err
	}
	s.writeJSON(ctx, x.body)
	ctx.Response.Header.SetContentType("application/x-ndjson")
	return nil
}
