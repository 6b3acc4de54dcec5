package store

import (
	"slices"
	"time"
)

// What a key is for.
const (
	UseSign = "sign" // signs JWTs; its public half is published
	UseMAC  = "mac"  // authenticates opaque tokens and seals cache entries
)

// AlgMAC is the only algorithm of [UseMAC] keys.
const AlgMAC = "HMAC-SHA-256"

// States of a key: next → active → retiring → retired. There is always a next
// one published, so that an emergency never signs with a key others have not seen.
const (
	KeyNext     = "next"
	KeyActive   = "active"
	KeyRetiring = "retiring" // no longer signs, still verifies
	KeyRetired  = "retired"  // neither
)

// A Key is a key of the ring as it is stored: sealed. At most one key of a
// (Use, Alg) is active and one is next.
type Key struct {
	ID      ID                `json:"id"`
	Number  int               `json:"number"` // 1–255 for UseMAC, the key byte of a token; 0 for UseSign
	Use     string            `json:"use"`
	Alg     string            `json:"alg"`
	State   string            `json:"state"`
	Public  []byte            `json:"public,omitempty"` // PKIX DER of a UseSign key
	Seals   map[string][]byte `json:"seals"`            // the private part, sealed once for each secret, by the secret's fingerprint
	Created time.Time         `json:"created"`
	Since   time.Time         `json:"since,omitzero"` // when it came into its state; zero: when it was created
	Until   time.Time         `json:"until,omitzero"` // of a retiring key: when the last token it made is dead
}

// Audit is one row of the audit: who changed what, when, before and after.
type Audit struct {
	ID     int64     `json:"id"` // grows with time; set by the store
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"` // "client.create", "client.update", "client.delete", "cutoff", "keys.add", "keys.seal", "keys.rotate", "keys.retire", "keys.reset", "deny", "rewrite", "user.create", …, "limit.create", …
	Object string    `json:"object"` // what it was done to: a client id, "all", …
	Before []byte    `json:"-"`      // JSON, masked; nil when there was nothing
	After  []byte    `json:"-"`      // JSON, masked; nil when nothing is left
}

// An AuditQuery selects rows of the audit; zero fields select all.
type AuditQuery struct {
	Object string // exactly
	Actor  string // its beginning, like "admin:" or "cli:root"
	Action string // its beginning, like "limit."
	Before int64  // rows with a smaller id: the next page
	Limit  int    // at most so many rows; required
}

// Clone is a copy that shares nothing with k.
func (k Key) Clone() Key {
	k.Public = slices.Clone(k.Public)
	seals := make(map[string][]byte, len(k.Seals))
	for name, sealed := range k.Seals {
		seals[name] = slices.Clone(sealed)
	}
	k.Seals = seals
	return k
}
