package hotpath

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// exchange is the memory of one request and its answer, from a pool. What it
// holds aliases the request: it is worth nothing once the handler has returned.
type exchange struct {
	form        form
	basic       [maxBasicBytes]byte
	credentials oauth.Credentials
	client      *store.Client // once it has proved itself
	request     oauth.TokenRequest
	response    oauth.TokenResponse
	reading     oauth.Reading
	lines       tokenLines
	who         limits.Who     // pays
	verdict     limits.Verdict // the one that is told
	text        []byte         // of one header
	body        []byte
}

// keptBody bounds the answer buffer that an exchange keeps for the next request.
const keptBody = 64 << 10

// reset forgets the request. Secrets are overwritten, not just forgotten.
func (x *exchange) reset() {
	x.form.wipe()
	clear(x.basic[:])
	x.credentials = oauth.Credentials{}
	x.client = nil
	clear(x.request.Targets)
	x.request = oauth.TokenRequest{Targets: x.request.Targets[:0]}
	x.response.Wipe()
	x.lines.wipe()
	x.who, x.verdict = limits.Who{}, limits.Verdict{}
	clear(x.body)
	if cap(x.body) > keptBody {
		x.body = nil
	}
}

var (
	errCredentialsTwice = &oauth.Error{Code: oauth.InvalidRequest, Description: "more than one way of client authentication is used"}
	errQuery            = &oauth.Error{Code: oauth.InvalidRequest, Description: "parameters belong in the body, not in the query"}
)

// parseForm reads the body as a form. The parameters named may repeat, no other may (RFC 6749 §3.2).
func (x *exchange) parseForm(ctx *fasthttp.RequestCtx, repeatable ...string) error {
	if queryHasParameter(ctx.URI().QueryString()) {
		return errQuery
	}
	if !isForm(ctx.Request.Header.ContentType()) {
		return errFormType
	}
	return x.form.parse(ctx.PostBody(), repeatable...)
}

// readCredentials finds how the client presents itself, in one way only (RFC 6749 §2.3).
func (x *exchange) readCredentials(ctx *fasthttp.RequestCtx) error {
	id, secret := x.form.get("client_id"), x.form.get("client_secret")
	assertion, kind := x.form.get("client_assertion"), x.form.get("client_assertion_type")
	asserted := assertion != nil || kind != nil
	basicID, basicSecret, err := parseBasic(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), x.basic[:0])
	switch absent := errors.Is(err, errBasicAbsent); {
	case !absent && (secret != nil || asserted), secret != nil && asserted:
		return errCredentialsTwice
	case absent && asserted:
		if string(kind) != oauth.AssertionType || assertion == nil { // RFC 7521 §4.2: both are required
			return oauth.ErrClient
		}
		x.credentials = oauth.Credentials{Method: oauth.MethodAssertion, ID: id, Assertion: assertion}
	case absent && secret != nil && id != nil:
		x.credentials = oauth.Credentials{Method: oauth.MethodPost, ID: id, Secret: secret}
	case absent && secret == nil && id != nil:
		x.credentials = oauth.Credentials{Method: oauth.MethodNone, ID: id}
	case err != nil:
		return oauth.ErrClient // none, malformed, or another scheme
	case id != nil && !bytes.Equal(id, basicID):
		return errCredentialsTwice
	default:
		x.credentials = oauth.Credentials{Method: oauth.MethodBasic, ID: basicID, Secret: basicSecret}
	}
	return nil
}
