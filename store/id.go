package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// An ID names a token, grant, session, key or replica: a UUIDv7 (RFC 9562
// §5.7), time-ordered for the index. Its time is for people; no decision uses
// it. It is safe to log and to show: a token cannot be made from it.
type ID [16]byte

// NewID makes an id of the given time. It allocates nothing.
func NewID(now time.Time) ID {
	var id ID
	rand.Read(id[6:]) // never fails: the runtime aborts instead
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(id[0:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:6], uint32(ms))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String writes the id as a UUID, 36 characters.
func (id ID) String() string { return string(id.Append(make([]byte, 0, 36))) }

// Append appends the id as a UUID to dst.
func (id ID) Append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, id[0:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, id[10:16])
}

// ParseID reads what String writes, and nothing else: one text per id.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return ID{}, fmt.Errorf("id is not a UUID of 36 characters")
	}
	digits := text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, fmt.Errorf("id is not a UUID: %w", err)
	}
	if id.String() != text {
		return ID{}, fmt.Errorf("id is not in lower case")
	}
	return id, nil
}

// MarshalText and UnmarshalText make an id a UUID in JSON.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
