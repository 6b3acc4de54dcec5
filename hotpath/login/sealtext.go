package login

import (
	"encoding/binary"
	"errors"
	"time"
)

// MaxSealed bounds a text that OpenText looks at, in characters.
const MaxSealed = 8400

// ErrSealed means that a text was not sealed here for the audience, or that its time is over.
var ErrSealed = errors.New("the text was not sealed here, or has expired")

// SealText seals a text for the audience until it expires, in base64url.
func (s *Sessions) SealText(audience Audience, text string, expires time.Time) string {
	plain := make([]byte, 0, 8+len(text))
	plain = binary.BigEndian.AppendUint64(plain, uint64(expires.Unix()))
	return encoding.EncodeToString((*s.keys.Load())[0].Seal(nil, nil, append(plain, text...), []byte(audience)))
}

// OpenText reads what SealText wrote for the same audience. [ErrSealed].
func (s *Sessions) OpenText(audience Audience, text string, now time.Time) (string, error) {
	if len(text) > MaxSealed {
		return "", ErrSealed
	}
	sealed, err := encoding.DecodeString(text)
	if err != nil || encoding.EncodedLen(len(sealed)) != len(text) { // the decoder skips line ends
		return "", ErrSealed
	}
	for _, key := range *s.keys.Load() {
		plain, err := key.Open(nil, nil, sealed, []byte(audience))
		if err != nil {
			continue
		}
		if len(plain) < 8 || now.Unix() >= int64(binary.BigEndian.Uint64(plain)) {
			return "", ErrSealed
		}
		return string(plain[8:]), nil
	}
	return "", ErrSealed
}
