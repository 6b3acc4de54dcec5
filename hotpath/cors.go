package hotpath

import (
	"slices"

	"github.com/valyala/fasthttp"

	"oauth2-server/store"
)

// A corsRule says which web pages may read a route's answers.
type corsRule uint8

const (
	corsNobody    corsRule = iota
	corsEverybody          // public data, no credentials
	corsClients            // the origins of OAUTH2_ALLOWED_ORIGINS and the client's own
)

// allowOrigin adds the CORS headers of an answer. client is who has proved itself, or nil: the headers of a refusal tell no
// known client from an unknown one. Credentials (cookies) are never allowed: these endpoints know none.
func (s *Server) allowOrigin(ctx *fasthttp.RequestCtx, rule corsRule, client *store.Client) {
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	h := &ctx.Response.Header
	switch rule {
	case corsEverybody:
		h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	case corsClients:
		h.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
		if len(origin) > 0 && (s.listed(origin) || ownOrigin(origin, client)) {
			h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
			h.Set(fasthttp.HeaderAccessControlExposeHeaders, exposedHeaders)
		}
	}
}

func (s *Server) listed(origin []byte) bool {
	return slices.ContainsFunc(s.origins, func(o string) bool { return o == string(origin) })
}

func ownOrigin(origin []byte, client *store.Client) bool {
	return client != nil && slices.ContainsFunc(client.Origins, func(o string) bool { return o == string(origin) })
}

// preflight answers OPTIONS. It names no client, so any client's origin will do; the answer to the request itself is stricter.
func (s *Server) preflight(ctx *fasthttp.RequestCtx, r *route) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderAllow, r.allow())
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if r.cors == corsNobody || len(origin) == 0 {
		return
	}
	s.allowOrigin(ctx, r.cors, nil)
	if r.cors == corsClients && s.tier.Origin(origin) {
		h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
	}
	if len(h.Peek(fasthttp.HeaderAccessControlAllowOrigin)) > 0 {
		h.Set(fasthttp.HeaderAccessControlAllowMethods, r.method)
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Authorization, Content-Type")
		h.Set(fasthttp.HeaderAccessControlMaxAge, "3600")
	}
}
