//go:build !race

package hotpath

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/proxy"
	"oauth2-server/store"
)

// noStore ends the road of a token's row before the store: what lies behind is the batch's cost, not the request's.
type noStore struct{ oauth.Tokens }

func (noStore) Put(store.Token) error { return nil }

func withoutStore(o *Options) {
	o.Rules = oauth.New(oauth.Options{
		Issuer: issuer, Clients: o.Tier, Tokens: noStore{o.Tier}, Ring: o.Ring,
		AccessTTL: time.Hour, Format: store.FormatOpaque,
	})
}

// sameVerdict is a limiter that makes up its mind once: what counting costs is not the request's.
type sameVerdict limits.Verdict

func (v *sameVerdict) Spend(limits.Endpoint, limits.Stage, *limits.Who, int64) limits.Verdict {
	return limits.Verdict(*v)
}

// limited puts a limiter in front of the server, and a proxy that is trusted.
func limited(refused bool) func(*Options) {
	return func(o *Options) {
		o.Limiter = &sameVerdict{Refused: refused, Rule: testPolicy("introspect.client", 20), Remaining: 12, Reset: time.Second, Retry: time.Second}
		o.Trusted = proxy.Trusted{netip.MustParsePrefix("0.0.0.0/32")} // the peer of a request that has none
	}
}

// request is a request as it arrives from the library.
func request(method, path, client, body string) *fasthttp.RequestCtx {
	var r fasthttp.Request
	r.Header.SetMethod(method)
	r.SetRequestURI(path)
	r.Header.SetHost("auth.example.com")
	if body != "" {
		r.Header.SetContentType("application/x-www-form-urlencoded")
		credentials := url.QueryEscape(client) + ":" + url.QueryEscape(secret)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
		r.SetBodyString(body)
	}
	r.Header.Add(fasthttp.HeaderXForwardedFor, "192.0.2.1, [2001:db8::1]:80")
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&r, nil, nil)
	return ctx
}

// asHost sends the request for another host.
func asHost(host string, ctx *fasthttp.RequestCtx) *fasthttp.RequestCtx {
	ctx.Request.Header.SetHost(host)
	return ctx
}

// The contract of the hot path: no allocation on the way of a request that needs neither Redis nor the store.
func TestHotPathAllocatesNothing(t *testing.T) {
	s := newSite(t, withoutStore)
	real := newSite(t)
	active := real.issue("app")
	passed, refused := newSite(t, withoutStore, limited(false)), newSite(t, limited(true))
	for _, test := range []struct {
		name   string
		server *Server
		ctx    *fasthttp.RequestCtx
		status int
	}{
		{"issue", s.server, request("POST", "/oauth/token", "app", "grant_type=client_credentials"), 200},
		{"issue with scope and resource", s.server, request("POST", "/oauth/token", "app", "grant_type=client_credentials&scope=read&resource=files"), 200},
		{"refuse a client", s.server, request("POST", "/oauth/token", "nobody", "grant_type=client_credentials"), 401},
		{"refuse a scope", s.server, request("POST", "/oauth/token", "app", "grant_type=client_credentials&scope=admin"), 400},
		{"refuse a path", s.server, request("GET", "/nothing", "", ""), 404},
		{"introspect from L1", real.server, request("POST", "/oauth/introspect", "app", "token="+active), 200},
		{"introspect a JWT seen before", real.server, request("POST", "/oauth/introspect", "jwt", "token="+real.issue("jwt")), 200},
		{"introspect garbage", real.server, request("POST", "/oauth/introspect", "app", "token=garbage"), 200},
		{"JWKS", s.server, request("GET", "/.well-known/jwks.json", "", ""), 200},
		{"metadata", s.server, request("GET", "/.well-known/openid-configuration", "", ""), 200},
		{"health", s.server, request("GET", "/health", "", ""), 200},
		{"another host", s.server, asHost("elsewhere.example.com", request("GET", "/.well-known/jwks.json", "", "")), 200},
		{"issue within a limit", passed.server, request("POST", "/oauth/token", "app", "grant_type=client_credentials"), 200},
		{"introspect within a limit", passed.server, request("POST", "/oauth/introspect", "app", "token=garbage"), 200},
		{"introspect above a limit", refused.server, request("POST", "/oauth/introspect", "app", "token=garbage"), 429},
		{"fail within a limit", passed.server, request("POST", "/oauth/token", "nobody", "grant_type=client_credentials"), 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			serve := func() {
				test.ctx.Response.Reset()
				test.server.serve(test.ctx)
			}
			serve() // fills pools, and makes the metrics' series
			if got := test.ctx.Response.StatusCode(); got != test.status {
				t.Fatalf("%d %s", got, test.ctx.Response.Body())
			}
			if n := testing.AllocsPerRun(200, serve); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkServe(b *testing.B) {
	s := newSite(b, withoutStore)
	real := newSite(b)
	active := real.issue("app")
	for _, bench := range []struct {
		name   string
		server *Server
		make   func() *fasthttp.RequestCtx
	}{
		{"health", s.server, func() *fasthttp.RequestCtx { return request("GET", "/health", "", "") }},
		{"issue", s.server, func() *fasthttp.RequestCtx {
			return request("POST", "/oauth/token", "app", "grant_type=client_credentials")
		}},
		{"introspect", real.server, func() *fasthttp.RequestCtx {
			return request("POST", "/oauth/introspect", "app", "token="+active)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				ctx := bench.make()
				for pb.Next() {
					ctx.Response.Reset()
					bench.server.serve(ctx)
				}
				if ctx.Response.StatusCode() != 200 {
					b.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
				}
			})
		})
	}
}
