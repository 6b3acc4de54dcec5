// Package login is the steps of a person who signs in: password, limits, session. It knows no HTTP library: each
// listener adapts it.
//
//	Attempt ─► Door.SignIn: a turn at the Hasher ─► address and user name spend their limits ─► the user ─► his hash is
//	        ─► store.User ─► NewSession ─► Sessions.Seal ─► a cookie      compared; nobody: a decoy, the same work
//	a cookie ─► Sessions.Open ─► the user ─► Session.Valid
//	Wishes, Visit ─► Next: sign in, consent, or the answer to an authorization request
//	Request ─► Sessions.SealRequest ─► the URL of the pages: nothing is kept here
//	Seed: the first operator, at start
package login
