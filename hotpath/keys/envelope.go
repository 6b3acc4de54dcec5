package keys

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"oauth2-server/store"
)

// errForeign means that a value was not sealed by this ring for this place.
var errForeign = errors.New("sealed value is foreign, damaged or in another place")

const (
	placeBytes  = 1 + 16 + 8
	nonceBytes  = 12
	tagBytes    = 16
	daySeconds  = 24 * 60 * 60
	cachedAEADs = 16
)

// Seal appends plain to dst so that only Open of this kind, id and expiry (Unix
// seconds) reads it: the active key's number, a nonce, AES-256-GCM. Without an
// active key it appends nothing.
//
// A key seals for one day of expiry only, so that random nonces stay far from
// 2^32 values of one key (NIST SP 800-38D §8.3) at any rate of issuing.
func (r *Ring) Seal(dst []byte, kind byte, id store.ID, expires int64, plain []byte) []byte {
	mac := r.ActiveMAC()
	if mac == nil {
		return dst
	}
	n := 1 + nonceBytes + len(plain) + tagBytes
	dst, place := withPlace(dst, n, kind, id, expires)
	return mac.days.aead(expires).Seal(append(dst, mac.Number), nil, plain, place)
}

// Open appends to dst what Seal sealed. Every error means the same: the value is not ours, a miss.
func (r *Ring) Open(dst []byte, kind byte, id store.ID, expires int64, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+nonceBytes+tagBytes {
		return dst, errForeign
	}
	mac := r.MAC(sealed[0])
	if mac == nil {
		return dst, errForeign
	}
	dst, place := withPlace(dst, len(sealed), kind, id, expires)
	plain, err := mac.days.aead(expires).Open(dst, nil, sealed[1:], place)
	if err != nil {
		return dst, errForeign
	}
	return plain, nil
}

// withPlace makes room for n bytes in dst and writes the associated data behind
// them: on the stack it would escape through cipher.AEAD and cost an allocation.
func withPlace(dst []byte, n int, kind byte, id store.ID, expires int64) (grown, place []byte) {
	dst = slices.Grow(dst, n+placeBytes)
	end := len(dst) + n
	place = append(dst[end:end:end+placeBytes], kind)
	place = append(place, id[:]...)
	return dst, binary.BigEndian.AppendUint64(place, uint64(expires))
}

// days is a key's AEADs, one a day of expiry. The day chooses the slot; a slot
// holds one day, so the memory is bounded whatever is asked for.
type days struct {
	private []byte
	slots   [cachedAEADs]atomic.Pointer[dayAEAD]
}

type dayAEAD struct {
	day  int64
	aead cipher.AEAD
}

func (d *days) aead(expires int64) cipher.AEAD {
	day := expires / daySeconds
	slot := &d.slots[uint64(day)%cachedAEADs]
	// Fast path: the day was seen before.
	if cached := slot.Load(); cached != nil && cached.day == day {
		return cached.aead
	}
	// Slow path: derive its key. Two at once derive the same.
	fresh := &dayAEAD{day, newAEAD(derive(d.private, labelCache+strconv.FormatInt(day, 10)))}
	slot.Store(fresh)
	return fresh.aead
}
