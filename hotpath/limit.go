package hotpath

import (
	"errors"
	"net/netip"

	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
)

// A Limiter says who has asked too often. who is valid until Spend returns.
type Limiter interface {
	Spend(e limits.Endpoint, s limits.Stage, who *limits.Who, n int64) limits.Verdict
}

// unlimited is the endpoint of routes that nobody pays for.
const unlimited = limits.NumEndpoints

// grantEndpoints are spent beside the token endpoint's own, once the grant is known.
var grantEndpoints = [oauth.NumGrants]limits.Endpoint{
	oauth.GrantClientCredentials: limits.TokenClientCredentials,
	oauth.GrantAuthorizationCode: limits.TokenAuthorizationCode,
	oauth.GrantRefresh:           limits.TokenRefreshToken,
}

// spend takes n permits from who asks, or returns a refusal of the code TooManyRequests. Of the rules that let the request pass, the tightest is told.
func (s *Server) spend(x *exchange, e limits.Endpoint, stage limits.Stage, n int64) error {
	if s.limiter == nil || n == 0 {
		return nil
	}
	v := s.limiter.Spend(e, stage, &x.who, n)
	switch {
	case v.Refused && n > 1 && v.Rule != nil && n > v.Rule.Quota.Burst:
		x.verdict = v
		return errBatchOverLimit
	case v.Refused:
		x.verdict = v
		return errTooMany
	case v.Rule != nil && (x.verdict.Rule == nil || share(&v) < share(&x.verdict)):
		x.verdict = v
	}
	return nil
}

// share is how much of its limit an allowed request left.
func share(v *limits.Verdict) float64 {
	return float64(v.Remaining) / float64(v.Rule.Quota.Burst)
}

// spendAddress is the first stage of every limited route: before anything is read of the request but where it comes from.
func (s *Server) spendAddress(ctx *fasthttp.RequestCtx, x *exchange, r *route) error {
	if s.limiter == nil || r.endpoint == unlimited {
		return nil
	}
	x.who.Address = s.clientAddress(ctx)
	return s.spend(x, r.endpoint, limits.ByAddress, 1)
}

// spendClient is the second stage: of a client that has proved itself. A public one is whoever says so, and would spend what is another's.
func (s *Server) spendClient(x *exchange, e limits.Endpoint, n int64) error {
	if x.client.Public() {
		return nil
	}
	x.who.Client = x.credentials.ID
	return s.spend(x, e, limits.ByName, n)
}

// spendGrant takes what the grant costs beside the request. A grant that is not known costs nothing more: it is refused next.
func (s *Server) spendGrant(x *exchange) error {
	for grant, e := range grantEndpoints {
		if string(x.request.GrantType) != oauth.GrantType(grant).String() {
			continue
		}
		if err := s.spend(x, e, limits.ByAddress, 1); err != nil {
			return err
		}
		return s.spendClient(x, e, 1)
	}
	return nil
}

// spendPush takes what a pushed request costs, which is kept until it expires. One server pushes for all of its people, so a client
// that has proved itself pays by its name; a public one is anybody, and pays by address.
func (s *Server) spendPush(x *exchange) error {
	if x.client.Public() {
		return s.spend(x, limits.Par, limits.ByAddress, 1)
	}
	return s.spendClient(x, limits.Par, 1)
}

// spendBatch takes what a batch of n tokens costs: as much as n requests, of which one is paid.
func (s *Server) spendBatch(x *exchange, n int) error {
	n = max(n, 1) // an empty one is a request all the same
	if err := s.spend(x, limits.Introspect, limits.ByAddress, int64(n-1)); err != nil {
		return err
	}
	return s.spendClient(x, limits.Introspect, int64(n))
}

// failed counts a failure to prove oneself and returns err, its refusal, or errTooMany in its place when the budget of
// failures is spent. What is left of the budget is told to no one: who guesses need not know how often he still may.
func (s *Server) failed(x *exchange, err error) error {
	refusal, ok := errors.AsType[*oauth.Error](err)
	if s.limiter == nil || !ok || refusal.Code != oauth.InvalidClient {
		return err
	}
	x.who.Client = x.credentials.ID
	x.who.Local = true // promise P6: unknown clients cost no I/O, and a trip for known ones alone would tell them apart by the time
	for _, stage := range [...]limits.Stage{limits.ByAddress, limits.ByName} {
		if v := s.limiter.Spend(limits.Failures, stage, &x.who, 1); v.Refused {
			x.verdict = v
			return errTooMany
		}
	}
	return err
}

// clientAddress is where the request comes from: the peer's address, or what trusted proxies say of it.
func (s *Server) clientAddress(ctx *fasthttp.RequestCtx) netip.Addr {
	peer := peerOf(ctx)
	if len(s.trusted) == 0 {
		return peer
	}
	return s.trusted.Client(peer, ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)...)
}
