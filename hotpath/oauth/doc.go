// Package oauth is what the RFCs demand: pure rules over plain structs. It
// knows no HTTP, no Redis and no SQL.
//
//	Authenticate   who asks? From memory, in the same time for known and unknown   client.go
//	Grant          the steps every grant shares, in order, then the grant's file   grant.go
//	  └─ clientCredentials, …  one file a grant                                    clientcredentials.go, authcode.go, refresh.go
//	       └─ issue            what users' grants have in common                   allowance.go
//	       └─ mint             a record becomes a token, durable before it is told mint.go
//	Introspect     the one verdict, alone or in batches                            verdict.go, introspect.go
//	Revoke         one denial                                                      revoke.go
//	ParseAuthorization ─► Allow   a request for a code, pushed or not; the code     authorize.go, par.go, allow.go
//	idToken, UserInfo, Logout     OpenID Connect                                    idtoken.go, userinfo.go, logout.go
//
// What a client may read of a refusal is an [Error]. Anything else that comes
// back is a fault: [store.ErrUnavailable] is 503, never a wrong answer.
package oauth
