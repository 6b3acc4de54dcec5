package keys

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"
)

// FuzzDER compares both ways with encoding/asn1.
func FuzzDER(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add(append(bytes.Repeat([]byte{0}, 63), 0x80))
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add([]byte{0x30, 4, 2, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 64 {
			want, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:])})
			if err != nil {
				t.Fatal(err)
			}
			if got := appendDER(nil, b); !bytes.Equal(got, want) {
				t.Errorf("got %x, want %x", got, want)
			}
			if got, err := appendScalars(nil, want); err != nil || !bytes.Equal(got, b) {
				t.Errorf("got %x, %v, want %x", got, err, b)
			}
		}
		if got, err := appendScalars(nil, b); err == nil && len(got) != 64 {
			t.Errorf("%x became %d bytes", b, len(got))
		}
	})
}
