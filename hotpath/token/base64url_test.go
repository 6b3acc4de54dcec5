package token

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// FuzzDecode: whatever is accepted is the one text that encodes the value.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "AA", "AB", "AAA", "AAB", "AAAA", "A", "AA==", "AA\n", "A+/A", "-_-_", "AAAA\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := make([]byte, decodedLen(len(text)))
		ok := decode(got, []byte(text))
		want, err := base64.RawURLEncoding.DecodeString(text)
		canonical := err == nil && base64.RawURLEncoding.EncodeToString(want) == text
		if ok != canonical {
			t.Fatalf("%q: got %v, want %v", text, ok, canonical)
		}
		if ok && !bytes.Equal(got, want) {
			t.Errorf("%q: got %x, want %x", text, got, want)
		}
	})
}
