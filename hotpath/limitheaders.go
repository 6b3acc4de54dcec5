package hotpath

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
)

// The headers of limits, spelt as those who define them do: draft-ietf-httpapi-ratelimit-headers, and custom.
var (
	headerPolicy    = []byte("RateLimit-Policy")
	headerState     = []byte("RateLimit")
	headerLimit     = []byte("X-RateLimit-Limit")
	headerRemaining = []byte("X-RateLimit-Remaining")
	headerReset     = []byte("X-RateLimit-Reset")
)

// exposedHeaders lets pages read them (Fetch §3.2.4).
const exposedHeaders = "Retry-After, RateLimit-Policy, RateLimit, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"

// writeLimit tells of the enforced rule that was tightest, if there was any.
func (s *Server) writeLimit(ctx *fasthttp.RequestCtx, x *exchange) {
	v := &x.verdict
	if v.Rule == nil {
		return
	}
	h := &ctx.Response.Header
	number := func(name []byte, n int64) {
		x.text = strconv.AppendInt(x.text[:0], n, 10)
		h.SetCanonical(name, x.text)
	}
	remaining, reset := max(v.Remaining, 0), resetSeconds(v)
	x.text = appendState(x.text[:0], v.Rule.Name, remaining, reset)
	h.SetCanonical(headerState, x.text)
	x.text = append(x.text[:0], v.Rule.Header...)
	h.SetCanonical(headerPolicy, x.text)
	number(headerLimit, v.Rule.Limit)
	number(headerRemaining, remaining)
	number(headerReset, s.tier.Now()/int64(time.Second)+reset)
}

// appendState is the value of RateLimit: "name";r=12;t=3. Names of rules need no escape.
func appendState(dst []byte, name string, remaining, reset int64) []byte {
	dst = append(append(append(dst, '"'), name...), `";r=`...)
	dst = strconv.AppendInt(dst, remaining, 10)
	return strconv.AppendInt(append(dst, ";t="...), reset, 10)
}

// resetSeconds is the time until nothing counts any more, never before that of trying again.
func resetSeconds(v *limits.Verdict) int64 {
	if v.Refused {
		return max(wholeSeconds(v.Reset), retrySeconds(v))
	}
	return wholeSeconds(v.Reset)
}

// retrySeconds is the Retry-After of a refusal (RFC 9110 §10.2.3).
func retrySeconds(v *limits.Verdict) int64 { return max(wholeSeconds(v.Retry), 1) }

// wholeSeconds rounds up: who waits so long has waited long enough.
func wholeSeconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }
