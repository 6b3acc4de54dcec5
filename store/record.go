package store

import (
	"encoding/binary"
	"errors"
	"time"
)

// MaxTokenLife is the longest life of an access token: the horizon for which
// the store has partitions, and a deny set must be kept.
const MaxTokenLife = 24 * time.Hour

// A Record is what a token says. It is written once and never changes: caches
// of it need no invalidation. The same bytes lie in the store, in Redis and in
// process memory.
//
// The byte fields of a parsed record alias the bytes it was parsed from.
type Record struct {
	ID       ID
	Grant    ID       // zero for tokens without a grant (client_credentials)
	Issued   int64    // Unix seconds, the store's clock
	Expires  int64    // Unix seconds, the store's clock
	Position Position // feed position its issuer had applied before it read the client
	Client   []byte
	Subject  []byte
	Scope    []byte // space separated, RFC 6749 §3.3
	Audience []byte // space separated; a URI or name holds no space
}

const (
	recordVersion = 1
	recordFixed   = 1 + 16 + 16 + 4 + 4 + 8
)

// errRecord is what damage looks like: a record is sealed or comes from the
// store, so no outsider can cause it.
var errRecord = errors.New("record is damaged")

// Append appends the record's bytes to dst. A field is at most 65,535 bytes,
// which the limits on requests and clients make sure of.
func (r *Record) Append(dst []byte) []byte {
	dst = append(dst, recordVersion)
	dst = append(dst, r.ID[:]...)
	dst = append(dst, r.Grant[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Issued))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Expires))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Position))
	for _, field := range [...][]byte{r.Client, r.Subject, r.Scope, r.Audience} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(field)))
		dst = append(dst, field...)
	}
	return dst
}

// Parse reads what Append wrote. r's byte fields alias b.
func (r *Record) Parse(b []byte) error {
	if len(b) < recordFixed || b[0] != recordVersion {
		return errRecord
	}
	copy(r.ID[:], b[1:])
	copy(r.Grant[:], b[17:])
	r.Issued = int64(binary.BigEndian.Uint32(b[33:]))
	r.Expires = int64(binary.BigEndian.Uint32(b[37:]))
	r.Position = Position(binary.BigEndian.Uint64(b[41:]))
	b = b[recordFixed:]
	for _, field := range [...]*[]byte{&r.Client, &r.Subject, &r.Scope, &r.Audience} {
		if len(b) < 2 {
			return errRecord
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return errRecord
		}
		*field, b = b[2:2+n], b[2+n:]
	}
	if len(b) != 0 {
		return errRecord
	}
	return nil
}

// A TokenKey finds a token's row: the expiry, which the token carries, leads
// to the one partition that can hold it.
type TokenKey struct {
	ID      ID
	Expires int64 // Unix seconds
}

// A Token is a row of the token table.
type Token struct {
	TokenKey
	Record []byte // see [Record]
}
