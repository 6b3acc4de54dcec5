package hotpath

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
)

var errForeign = &oauth.Error{Code: oauth.InvalidRequest, Description: "the form was sent from another site"}

// ours reports whether a form was sent by one of our own pages, or by the user: no other site may sign somebody in or out, or consent
// (RFC 6749 §10.12). Browsers say so themselves, by Fetch Metadata or, where they do not, by Origin; who says neither is refused.
func (f *front) ours(h *fasthttp.RequestHeader) bool {
	if site := h.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return string(site) == "same-origin" || string(site) == "none"
	}
	origin := h.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return false
	}
	if string(origin) == f.origin {
		return true
	}
	scheme, host, found := bytes.Cut(origin, []byte("://"))
	return f.AnyHost && found && string(scheme) == f.scheme && bytes.Equal(host, h.Host())
}
