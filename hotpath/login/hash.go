package login

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What a new hash costs: OWASP's choice for argon2id with one lane, about 50 ms of a core.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	saltBytes   = 16
	sumBytes    = 32
)

// What a kept hash may cost: whoever can write one must not make the server run out of memory.
const (
	maxHashMemory  = 64 << 10 // KiB
	maxHashTime    = 16
	maxHashThreads = 4
	maxHashText    = 256
)

// A hash is a password's argon2id (RFC 9106), as it is kept.
type hash struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	sum     []byte
}

// A derivation is argon2.IDKey.
type derivation func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte

var _ derivation = argon2.IDKey

// newHash is of the present cost, with a salt of its own and the sum still to be made.
func newHash() hash {
	h := hash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	rand.Read(h.salt) // never fails: the runtime aborts instead
	return h
}

// sumOf is what the password's sum is under the cost and the salt of h.
func (h *hash) sumOf(text string, derive derivation) []byte {
	return derive([]byte(text), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
}

// matches takes the same time for every password.
func (h *hash) matches(text string, derive derivation) bool {
	return subtle.ConstantTimeCompare(h.sum, h.sumOf(text, derive)) == 1
}

var phcEncoding = base64.RawStdEncoding.Strict()

// String is h in the PHC string format.
func (h *hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		phcEncoding.EncodeToString(h.salt), phcEncoding.EncodeToString(h.sum))
}

var errHash = errors.New("the kept hash of a password is damaged, or costs more than this server allows")

// parseHash reads what String writes and nothing else.
func parseHash(text string) (hash, error) {
	parts := strings.Split(text, "$")
	if len(text) > maxHashText || len(parts) != 6 {
		return hash{}, errHash
	}
	h, err := parseCost(parts[3])
	if err != nil {
		return hash{}, err
	}
	var errSalt, errSum error
	h.salt, errSalt = phcEncoding.DecodeString(parts[4])
	h.sum, errSum = phcEncoding.DecodeString(parts[5])
	if errSalt != nil || errSum != nil || len(h.salt) < 8 || len(h.sum) < 16 || h.String() != text {
		return hash{}, errHash
	}
	return h, nil
}

// parseCost reads "m=19456,t=2,p=1".
func parseCost(text string) (hash, error) {
	words := strings.Split(text, ",")
	if len(words) != 3 {
		return hash{}, errHash
	}
	var values [3]uint64
	for i, limit := range [3]uint64{maxHashMemory, maxHashTime, maxHashThreads} {
		_, number, _ := strings.Cut(words[i], "=")
		value, err := strconv.ParseUint(number, 10, 32)
		if err != nil || value < 1 || value > limit {
			return hash{}, errHash
		}
		values[i] = value
	}
	return hash{memory: uint32(values[0]), time: uint32(values[1]), threads: uint8(values[2])}, nil
}
