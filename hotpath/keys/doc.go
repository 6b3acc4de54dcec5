// Package keys is the key ring: which keys sign, authenticate and seal. It
// knows no HTTP, no Redis and no SQL.
//
//	OAUTH2_JWT_SECRET "new,old"   the first seals and signs, all open      secrets.go
//	  └─ opens → store.Key        private part sealed once per secret      seal.go
//	       ├─ UseSign → Signer, Verifier, JWKS                             alg.go, ecdsa.go, jwks.go
//	       │            one algorithm for access tokens, three for id_tokens
//	       └─ UseMAC  → MAC       opaque tokens: 144 bits                  mac.go
//	                    └─ Seal   values of the cache tier: AES-GCM        envelope.go
//	Ring                          an immutable snapshot, swapped whole     ring.go
//	Ensure                        creates what a fresh ring lacks          ensure.go
//	Upkeep                        and what id_tokens need, behind the start
//	Rotate, Retire                next → active → retiring → retired       rotate.go
//
// The kid of a key is its id, not its thumbprint (RFC 7638): it is the name by
// which keys are listed, denied and audited, so a token's header leads an
// operator straight to the key. The id is as unique, and a public key never moves
// to another id.
package keys
