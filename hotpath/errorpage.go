package hotpath

import (
	"errors"
	"strings"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/pages"
)

// errorPage tells people of a refusal. err is what it was found in: the fault of an application is not theirs to mend.
// No description repeats input.
func (s *Server) errorPage(ctx *fasthttp.RequestCtx, x *exchange, status int, refusal *oauth.Error, err error) {
	page := pages.Error{Title: "That did not work", Text: sentence(refusal.Description)}
	if _, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		page.Text, page.Code = "The application's request is faulty. Go back to it; if it happens again, tell whoever runs it.", refusal.Error()
	}
	switch status {
	case fasthttp.StatusNotFound:
		page = pages.Error{Title: "Not found", Text: "There is nothing at this address."}
	case fasthttp.StatusTooManyRequests:
		page = pages.Error{Title: "Too many requests", Text: "Try again in " + inWords(retrySeconds(&x.verdict)) + "."}
	case fasthttp.StatusServiceUnavailable:
		page = pages.Error{Title: "Not available", Text: "This service cannot answer right now. Try again in a moment."}
	case fasthttp.StatusInternalServerError:
		page = pages.Error{Title: "Something is broken", Text: "The fault is on our side. Try again later."}
	}
	writePage(ctx, status, s.front.pages.Error(page))
}

// sentence makes a description one.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
