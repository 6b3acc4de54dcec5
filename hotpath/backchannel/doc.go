// Package backchannel tells clients that somebody has signed out (OpenID Connect Back-Channel Logout 1.0). The tokens
// wait in the store, queued by whoever ended the session; nobody waits for their delivery.
//
//	Courier.Run    claims what is due, on every replica             courier.go
//	  └─ deliver   makes the token, posts it, and says what became  deliver.go
//	               of it: done, again later, or given up
package backchannel
