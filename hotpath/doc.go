// Package hotpath is bytes in, bytes out: the public listener, and the only
// importer of fasthttp. What is right is decided in hotpath/oauth.
//
//	socket ─► edgeListener, fasthttp ─► edge: one strict filter        listener.go, edge.go
//	                                     │ refused: JSON, closed
//	                                     ▼
//	       serve: route, method, exchange from its pool               server.go, routes.go
//	         ├─ the way it came is counted: through whom, by which name   way.go
//	         ├─ limits: by address now, by client once it has proved itself; headers   limit.go, limitheaders.go, proxy
//	         ├─ form, credentials                                     exchange.go, form.go, basic.go
//	         ├─ handler: token, introspect, revoke, metadata, health  token.go, introspect.go, …
//	         ├─ page: authorize ─► login ─► consent ─► the client; profile        front.go, authorize.go, signin.go, …
//	         └─ error → status and body in one table; CORS; measures  errors.go, cors.go, metrics.go
//
// People's pages are bytes of hotpath/pages, and their steps are decided in hotpath/login. Forms are taken from our own
// pages only (crossorigin.go); errors are pages, too (errorpage.go).
//
// A handler returns an error and holds no line of what serve does for all. No
// slice of a request outlives its handler.
package hotpath
