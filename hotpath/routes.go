package hotpath

import (
	"github.com/valyala/fasthttp"

	"oauth2-server/cache/limits"
)

// A routeID is a route of the public listener, and an index of everything kept by route.
type routeID uint8

const (
	routeToken routeID = iota
	routeIntrospect
	routeIntrospectBatch
	routeRevoke
	routeServerMetadata
	routeOpenIDMetadata
	routeJWKS
	routeHealth
	routeReady
	routeMetrics
	routeOther // no such path
	routeEdge  // refused before it was routed
	numRoutes
)

// A route is who serves a path, by which method. A GET route serves HEAD as well.
type route struct {
	path     string // and the label of its metrics
	method   string
	handle   func(*Server, *fasthttp.RequestCtx, *exchange) error
	cors     corsRule
	endpoint limits.Endpoint // whose limits it spends
}

var routes = [numRoutes]route{
	routeToken:           {"/oauth/token", fasthttp.MethodPost, (*Server).token, corsClients, limits.Token},
	routeIntrospect:      {"/oauth/introspect", fasthttp.MethodPost, (*Server).introspect, corsNobody, limits.Introspect},
	routeIntrospectBatch: {batchPath, fasthttp.MethodPost, (*Server).introspectBatch, corsNobody, limits.Introspect},
	routeRevoke:          {"/oauth/revoke", fasthttp.MethodPost, (*Server).revoke, corsClients, limits.Revoke},
	routeServerMetadata:  {"/.well-known/oauth-authorization-server", fasthttp.MethodGet, (*Server).metadata, corsEverybody, unlimited},
	routeOpenIDMetadata:  {"/.well-known/openid-configuration", fasthttp.MethodGet, (*Server).metadata, corsEverybody, unlimited},
	routeJWKS:            {"/.well-known/jwks.json", fasthttp.MethodGet, (*Server).jwks, corsEverybody, unlimited},
	routeHealth:          {"/health", fasthttp.MethodGet, (*Server).health, corsNobody, unlimited},
	routeReady:           {"/ready", fasthttp.MethodGet, (*Server).ready, corsNobody, unlimited},
	routeMetrics:         {"/metrics", fasthttp.MethodGet, (*Server).writeMetrics, corsNobody, unlimited},
	routeOther:           {"other", "", nil, corsNobody, unlimited},
	routeEdge:            {"edge", "", nil, corsNobody, unlimited},
}

// routeOf finds the route of a normalised path.
func (s *Server) routeOf(path []byte) routeID {
	switch string(path) {
	case "/oauth/token":
		return routeToken
	case "/oauth/introspect":
		return routeIntrospect
	case batchPath:
		return routeIntrospectBatch
	case "/oauth/revoke":
		return routeRevoke
	case "/.well-known/oauth-authorization-server":
		return routeServerMetadata
	case "/.well-known/openid-configuration":
		return routeOpenIDMetadata
	case "/.well-known/jwks.json":
		return routeJWKS
	case "/health":
		return routeHealth
	case "/ready":
		return routeReady
	case "/metrics":
		return routeMetrics
	}
	if string(path) == s.insertedPath { // not a case: the compiler would copy the path
		return routeServerMetadata
	}
	return routeOther
}

// allows reports whether the route serves the method.
func (r *route) allows(method []byte) bool {
	return string(method) == r.method || r.method == fasthttp.MethodGet && string(method) == fasthttp.MethodHead
}

// allow is the Allow header of the route (RFC 9110 §10.2.1).
func (r *route) allow() string {
	if r.method == fasthttp.MethodGet {
		return "GET, HEAD, OPTIONS"
	}
	return "POST, OPTIONS"
}
