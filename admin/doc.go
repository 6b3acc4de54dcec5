// Package admin answers what an operator may do: the listener apart from the public one, on net/http. It may import
// hotpath and everything below it; nothing but cmd imports it.
//
//	a request ─► headers, bounds, cross-origin protection                                   server.go
//	  /admin/api/…  ─► authorize: a session or a bearer token; who, or 401, 403, 503         authorize.go
//	                ─► read: path, query and JSON body into the route's In; all faults, 400  decode.go, assign.go
//	                ─► act: the route's own work; the store writes the audit row with it     clients.go, limits.go, …
//	                ─► answer: its Out as JSON, or a problem (RFC 9457)                       answer.go, problem.go
//	  /auth/…       signing in and out                                                       signin.go, session.go
//	  /openapi.json the routes described, from their types                                   openapi.go, schema.go
//	  /metrics, /health, /debug/pprof/                                                       metrics.go, pprof.go
//
// A route is made by on, which has all of these steps: a handler cannot skip one.
package admin
