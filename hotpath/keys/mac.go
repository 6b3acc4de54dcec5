package keys

import (
	"crypto/sha256"
	"fmt"
	"time"

	"oauth2-server/store"
)

// MACBytes is the length of a MAC: 144 bits leave no spare bits in base64url.
const MACBytes = 18

// A MAC authenticates opaque tokens. It is immutable and safe for concurrent use.
type MAC struct {
	Key     store.ID
	Number  byte // the first byte of what it authenticates or seals
	Created time.Time
	hmac    hmac256
	days    days
}

func newMAC(key *store.Key, private []byte) *MAC {
	return &MAC{
		Key:     key.ID,
		Number:  byte(key.Number),
		Created: key.Created,
		hmac:    newHMAC(derive(private, labelToken)),
		days:    days{private: private},
	}
}

// Format prints the name of the key alone, for every verb.
func (m *MAC) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "MAC key %s", m.Key) }

// Sum writes HMAC-SHA-256 of message, cut to 144 bits, to dst. It allocates
// nothing for messages up to 448 bytes.
func (m *MAC) Sum(dst *[MACBytes]byte, message []byte) {
	sum := m.hmac.sum(message)
	copy(dst[:], sum[:])
}

// hmac256 is HMAC-SHA-256 (RFC 2104) with the key's two blocks prepared. Unlike
// crypto/hmac it needs no state: two plain hashes over the stack.
type hmac256 struct{ inner, outer [sha256.BlockSize]byte }

func newHMAC(key []byte) hmac256 {
	var h hmac256
	copy(h.inner[:], key) // 32 bytes: never longer than a block
	copy(h.outer[:], key)
	for i := range h.inner {
		h.inner[i] ^= 0x36
		h.outer[i] ^= 0x5c
	}
	return h
}

func (h *hmac256) sum(message []byte) [sha256.Size]byte {
	var room [512]byte
	inner := sha256.Sum256(append(append(room[:0], h.inner[:]...), message...))
	return sha256.Sum256(append(append(room[:0], h.outer[:]...), inner[:]...))
}
