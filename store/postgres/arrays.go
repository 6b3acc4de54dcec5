package postgres

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"oauth2-server/store"
)

// arrays are the parameters uuid[], timestamptz[] and bytea[] in Postgres'
// binary format (array_recv in its arrayfuncs.c), written straight into buffers that are
// used again. Against pgx's own encoding this saves most of the time the client spends on a
// batch, and every allocation by row: see BenchmarkInsertTokens.
type arrays struct {
	ids, expires, records []byte
}

var arraysPool = sync.Pool{New: func() any { return new(arrays) }}

// binaryFormat asks for the binary format of all parameters or columns.
var binaryFormat = []int16{pgtype.BinaryFormatCode}

// epoch is where Postgres' timestamps begin, in Unix seconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// begin makes the arrays be of n elements, which must be added next.
func (a *arrays) begin(n int) {
	a.ids = appendArray(a.ids[:0], pgtype.UUIDOID, n)
	a.expires = appendArray(a.expires[:0], pgtype.TimestamptzOID, n)
	a.records = appendArray(a.records[:0], pgtype.ByteaOID, n)
}

func (a *arrays) addKey(key *store.TokenKey) {
	a.ids = binary.BigEndian.AppendUint32(a.ids, uint32(len(key.ID)))
	a.ids = append(a.ids, key.ID[:]...)
	a.expires = binary.BigEndian.AppendUint32(a.expires, 8)
	a.expires = binary.BigEndian.AppendUint64(a.expires, uint64((key.Expires-epoch)*1e6)) // microseconds
}

func (a *arrays) addRecord(record []byte) {
	if record == nil {
		a.records = binary.BigEndian.AppendUint32(a.records, ^uint32(0)) // null, which the table refuses
		return
	}
	a.records = binary.BigEndian.AppendUint32(a.records, uint32(len(record)))
	a.records = append(a.records, record...)
}

// appendArray appends the head of a one-dimensional array: dimensions, no
// nulls announced, element type, length, lower bound.
func appendArray(dst []byte, element uint32, n int) []byte {
	for _, field := range [...]uint32{1, 0, element, uint32(n), 1} {
		dst = binary.BigEndian.AppendUint32(dst, field)
	}
	return dst
}
