// Package token is how a token is written and read. It knows no HTTP, no Redis
// and no SQL, and judges neither expiry nor revocation.
//
//	KindOf         what a text claims to be, by its first bytes             token.go
//	AppendOpaque   oat_ / ort_ + 52 characters: key, id, expiry, MAC        opaque.go
//	ParseOpaque    the same back, authentic or not at all
//	AppendJWT      at+jwt (RFC 9068), appended by hand and signed           jwt.go, claims.go
//	ParseJWT       header known → signature right → claims whole → issuer   jwt.go, scanner.go
//	decode         strict base64url: one text for one value                 base64url.go
package token
