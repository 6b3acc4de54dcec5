package token

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// OpaqueLen is the length of an opaque token's text.
const OpaqueLen = prefixBytes + 52

const (
	bodyBytes = 1 + 16 + 4 // key number, id, expiry or generation
	rawBytes  = bodyBytes + keys.MACBytes
)

// Opaque is what an opaque token says of itself.
type Opaque struct {
	ID      store.ID
	Expires int64 // Unix seconds; of a refresh token its generation
	Key     byte
}

// AppendOpaque appends a token of the kind, any but a JWT, made with the MAC
// key. expires is in Unix seconds and ends in 2106, with its 32 bits.
func AppendOpaque(dst []byte, mac *keys.MAC, kind Kind, id store.ID, expires int64) []byte {
	var raw [rawBytes]byte
	raw[0] = mac.Number
	copy(raw[1:], id[:])
	binary.BigEndian.PutUint32(raw[17:], uint32(expires))
	sum := authenticate(mac, kind, raw[:bodyBytes])
	copy(raw[bodyBytes:], sum[:])

	dst = append(dst, kind.prefix()...)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:])
}

// AppendRefresh appends the refresh token of a grant's generation. It has no
// expiry, which is the grant's: the generation stands in its place. One key,
// grant and generation make one text, so that it needs to be kept nowhere.
func AppendRefresh(dst []byte, mac *keys.MAC, grant store.ID, generation uint32) []byte {
	return AppendOpaque(dst, mac, Refresh, grant, int64(generation))
}

// Generation is that of a refresh token.
func (o Opaque) Generation() uint32 { return uint32(o.Expires) }

// ParseOpaque reads what AppendOpaque wrote for the kind, and nothing else:
// there is one text for a token. It touches no memory but the text and the
// ring, so garbage costs a microsecond.
//
// Errors: [ErrMalformed]; [ErrUnknownKey] and [ErrMAC], with which it returns
// what the text claims, unproven, for explaining and for awaiting the key.
func ParseOpaque(ring *keys.Ring, kind Kind, text []byte) (Opaque, error) {
	var raw [rawBytes]byte
	if len(text) != OpaqueLen || string(text[:prefixBytes]) != kind.prefix() || !decode(raw[:], text[prefixBytes:]) {
		return Opaque{}, ErrMalformed
	}
	claimed := Opaque{
		ID:      store.ID(raw[1:17]),
		Expires: int64(binary.BigEndian.Uint32(raw[17:])),
		Key:     raw[0],
	}
	mac := ring.MAC(claimed.Key)
	if mac == nil {
		return claimed, ErrUnknownKey
	}
	sum := authenticate(mac, kind, raw[:bodyBytes])
	if subtle.ConstantTimeCompare(sum[:], raw[bodyBytes:]) != 1 {
		return claimed, ErrMAC
	}
	return claimed, nil
}

// authenticate is the MAC of kind and body: one kind never passes for another.
func authenticate(mac *keys.MAC, kind Kind, body []byte) (sum [keys.MACBytes]byte) {
	var message [1 + bodyBytes]byte
	message[0] = byte(kind)
	copy(message[1:], body)
	mac.Sum(&sum, message[:])
	return sum
}
