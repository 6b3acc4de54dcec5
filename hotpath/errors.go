package hotpath

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// statusOf is the only place where a refusal gets its HTTP status.
var statusOf = [oauth.NumCodes]int{
	oauth.InvalidRequest:         fasthttp.StatusBadRequest,
	oauth.InvalidClient:          fasthttp.StatusUnauthorized, // RFC 6749 §5.2
	oauth.InvalidGrant:           fasthttp.StatusBadRequest,
	oauth.UnauthorizedClient:     fasthttp.StatusBadRequest,
	oauth.UnsupportedGrantType:   fasthttp.StatusBadRequest,
	oauth.InvalidScope:           fasthttp.StatusBadRequest,
	oauth.InvalidTarget:          fasthttp.StatusBadRequest,
	oauth.ServerError:            fasthttp.StatusInternalServerError,
	oauth.TemporarilyUnavailable: fasthttp.StatusServiceUnavailable,
	oauth.TooManyRequests:        fasthttp.StatusTooManyRequests,
	oauth.InvalidToken:           fasthttp.StatusUnauthorized, // RFC 6750 §3.1
	oauth.InsufficientScope:      fasthttp.StatusForbidden,    // likewise

	// At the endpoint for pushed requests, or on a page (RFC 9126 §2.3).
	oauth.UnsupportedResponseType:  fasthttp.StatusBadRequest,
	oauth.AccessDenied:             fasthttp.StatusBadRequest,
	oauth.LoginRequired:            fasthttp.StatusBadRequest,
	oauth.ConsentRequired:          fasthttp.StatusBadRequest,
	oauth.InteractionRequired:      fasthttp.StatusBadRequest,
	oauth.AccountSelectionRequired: fasthttp.StatusBadRequest,
	oauth.RequestNotSupported:      fasthttp.StatusBadRequest,
	oauth.RequestURINotSupported:   fasthttp.StatusBadRequest,
	oauth.InvalidRequestURI:        fasthttp.StatusBadRequest,
	oauth.RegistrationNotSupported: fasthttp.StatusBadRequest,
}

// Answers that are not the rules' but HTTP's.
var (
	errNoRoute = &oauth.Error{Code: oauth.InvalidRequest, Description: "there is nothing at this path"}
	errMethod  = &oauth.Error{Code: oauth.InvalidRequest, Description: "this path does not take this method"}
	errFault   = &oauth.Error{Code: oauth.ServerError, Description: "internal error"}
	errBusy    = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "try again in a moment"}
	errTooMany = &oauth.Error{Code: oauth.TooManyRequests, Description: "a limit is reached; try again in"} // so many seconds

	errBatchOverLimit = &oauth.Error{Code: oauth.TooManyRequests, Description: "the batch has more tokens than its limit ever lets through at once: send smaller ones"}
)

const (
	challenge  = `Basic realm="oauth2-server", charset="UTF-8"`
	retryAfter = "1" // seconds
)

// answerError writes what the client may read of err, and logs what it may not.
func (s *Server) answerError(ctx *fasthttp.RequestCtx, x *exchange, id routeID, err error) {
	refusal, ok := errors.AsType[*oauth.Error](err)
	switch {
	case ok:
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		refusal = errBusy // promise P5, whoever forgot to say so: whatever took too long may be asked for again
		s.logFault(&s.faults[id], id, refusal, err)
	default:
		refusal = errFault
		s.logFault(&s.broken[id], id, refusal, err)
	}
	status := statusOf[refusal.Code]
	switch refusal {
	case errNoRoute:
		status = fasthttp.StatusNotFound
	case errMethod:
		status = fasthttp.StatusMethodNotAllowed
		ctx.Response.Header.Set(fasthttp.HeaderAllow, routes[id].allow())
	}
	switch status {
	case fasthttp.StatusUnauthorized:
		if refusal.Code == oauth.InvalidClient { // a resource has set its own
			ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, challenge)
		}
	case fasthttp.StatusServiceUnavailable:
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	case fasthttp.StatusTooManyRequests:
		x.text = strconv.AppendInt(x.text[:0], retrySeconds(&x.verdict), 10)
		ctx.Response.Header.SetBytesV(fasthttp.HeaderRetryAfter, x.text)
	}
	if s.front != nil && (isPage(id) || refusal == errNoRoute && wantsPage(ctx)) {
		s.errorPage(ctx, x, status, refusal, err)
		return
	}
	x.appendError(refusal)
	ctx.SetStatusCode(status)
	s.writeJSON(ctx, x.body)
}

// appendError makes the error object of RFC 6749 §5.2 the body.
func (x *exchange) appendError(refusal *oauth.Error) {
	x.body = append(x.body[:0], `{"error":"`...)
	x.body = append(x.body, refusal.Code.String()...)
	x.body = append(x.body, `","error_description":`...)
	x.body = token.AppendString(x.body, refusal.Description)
	if refusal == errTooMany {
		x.body = append(x.body[:len(x.body)-1], ' ')
		x.body = strconv.AppendInt(x.body, retrySeconds(&x.verdict), 10)
		x.body = append(x.body, ` s"`...)
	}
	x.body = append(x.body, '}')
}

// logFault writes one line for a server's fault, one a second for each route at most: an outage is not a flood, nor does it hide what is broken.
func (s *Server) logFault(rate *throttle, id routeID, refusal *oauth.Error, err error) {
	if held, ok := rate.pass(time.Now()); ok {
		s.log.Error("request failed", slog.String("route", routes[id].path), slog.Int("status", statusOf[refusal.Code]),
			slog.Any("err", err), slog.Int("unlogged", held))
	}
}

// writeJSON answers with a body that no cache may keep (RFC 6749 §5.1).
func (s *Server) writeJSON(ctx *fasthttp.RequestCtx, body []byte) {
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Set(fasthttp.HeaderPragma, "no-cache")
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	ctx.Response.SetBody(body)
}
