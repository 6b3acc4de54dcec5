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
	routePush
	routeUserInfo
	routeServerMetadata
	routeOpenIDMetadata
	routeJWKS
	routeHealth
	routeReady
	routeMetrics
	routeEvents
	routeAuthorize
	routeHome
	routeLogin
	routeConsent
	routeSignOut
	routeSignedOut
	routeLogout
	routeProfile
	routePassword
	routeWithdraw
	routeOther // no such path
	routeEdge  // refused before it was routed
	numRoutes
)

// The methods of routes that take both. Where a GET may do something, such as make a code, spend a request or end a session, there is
// no HEAD: its answer would be lost (RFC 9110 §9.3.2).
const (
	getAndPost = "GET, HEAD, POST"
	getOrPost  = "GET, POST"
)

// A route is who serves a path, by which method. A GET route serves HEAD as well.
type route struct {
	path     string // and the label of its metrics
	method   string // GET, POST, getAndPost or getOrPost
	handle   func(*Server, *fasthttp.RequestCtx, *exchange) error
	cors     corsRule
	endpoint limits.Endpoint // whose limits it spends
}

var routes = [numRoutes]route{
	routeToken:           {"/oauth/token", fasthttp.MethodPost, (*Server).token, corsClients, limits.Token},
	routeIntrospect:      {"/oauth/introspect", fasthttp.MethodPost, (*Server).introspect, corsNobody, limits.Introspect},
	routeIntrospectBatch: {batchPath, fasthttp.MethodPost, (*Server).introspectBatch, corsNobody, limits.Introspect},
	routeRevoke:          {"/oauth/revoke", fasthttp.MethodPost, (*Server).revoke, corsClients, limits.Revoke},
	routePush:            {"/oauth/par", fasthttp.MethodPost, (*Server).push, corsClients, limits.Token},
	routeUserInfo:        {"/oauth/userinfo", getAndPost, (*Server).userinfo, corsClients, unlimited},
	routeServerMetadata:  {"/.well-known/oauth-authorization-server", fasthttp.MethodGet, (*Server).metadata, corsEverybody, unlimited},
	routeOpenIDMetadata:  {"/.well-known/openid-configuration", fasthttp.MethodGet, (*Server).metadata, corsEverybody, unlimited},
	routeJWKS:            {"/.well-known/jwks.json", fasthttp.MethodGet, (*Server).jwks, corsEverybody, unlimited},
	routeHealth:          {"/health", fasthttp.MethodGet, (*Server).health, corsNobody, unlimited},
	routeReady:           {"/ready", fasthttp.MethodGet, (*Server).ready, corsNobody, unlimited},
	routeMetrics:         {"/metrics", fasthttp.MethodGet, (*Server).writeMetrics, corsNobody, unlimited},
	routeEvents:          {"/events/health", fasthttp.MethodGet, (*Server).eventsHealth, corsNobody, unlimited},
	routeAuthorize:       {pathAuthorize, getOrPost, (*Server).authorize, corsNobody, limits.Authorize}, // never CORS: RFC 9700 §2.6
	routeHome:            {"/", fasthttp.MethodGet, (*Server).home, corsNobody, unlimited},
	routeLogin:           {pathLogin, getAndPost, (*Server).login, corsNobody, unlimited}, // attempts spend their own
	routeConsent:         {pathConsent, getOrPost, (*Server).consent, corsNobody, unlimited},
	routeSignOut:         {"/auth/logout", fasthttp.MethodPost, (*Server).signOut, corsNobody, unlimited},
	routeSignedOut:       {pathSignedOut, fasthttp.MethodGet, (*Server).signedOut, corsNobody, unlimited},
	routeLogout:          {pathLogout, getOrPost, (*Server).logout, corsNobody, limits.Authorize},
	routeProfile:         {pathProfile, fasthttp.MethodGet, (*Server).profile, corsNobody, unlimited},
	routePassword:        {"/profile/password", fasthttp.MethodPost, (*Server).changePassword, corsNobody, unlimited}, // likewise
	routeWithdraw:        {"/profile/revoke", fasthttp.MethodPost, (*Server).withdraw, corsNobody, unlimited},
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
	case "/oauth/par":
		return routePush
	case "/oauth/userinfo":
		return routeUserInfo
	case pathLogout:
		return routeLogout
	case "/.well-known/oauth-authorization-server":
		return routeServerMetadata
	case "/.well-known/openid-configuration":
		return routeOpenIDMetadata
	case "/.well-known/jwks.json":
		return routeJWKS
	case pathAuthorize:
		return routeAuthorize
	case "/":
		return routeHome
	case pathLogin:
		return routeLogin
	case pathConsent:
		return routeConsent
	case "/auth/logout":
		return routeSignOut
	case pathSignedOut:
		return routeSignedOut
	case pathProfile:
		return routeProfile
	case "/profile/password":
		return routePassword
	case "/profile/revoke":
		return routeWithdraw
	case "/health":
		return routeHealth
	case "/ready":
		return routeReady
	case "/metrics":
		return routeMetrics
	case "/events/health":
		return routeEvents
	}
	if string(path) == s.insertedPath { // not a case: the compiler would copy the path
		return routeServerMetadata
	}
	return routeOther
}

// allows reports whether the route serves the method.
func (r *route) allows(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet:
		return r.method != fasthttp.MethodPost
	case fasthttp.MethodHead:
		return r.method == fasthttp.MethodGet || r.method == getAndPost
	case fasthttp.MethodPost:
		return r.method != fasthttp.MethodGet
	}
	return false
}

// allow is the Allow header of the route (RFC 9110 §10.2.1).
func (r *route) allow() string {
	switch r.method {
	case fasthttp.MethodGet:
		return "GET, HEAD, OPTIONS"
	case getAndPost, getOrPost:
		return r.method + ", OPTIONS"
	}
	return "POST, OPTIONS"
}
