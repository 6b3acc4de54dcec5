package hotpath

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func basicHeader(plain string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(plain))
}

func TestBasicSuccess(t *testing.T) {
	f := func(header, wantID, wantSecret string) {
		t.Helper()
		id, secret, err := parseBasic([]byte(header), nil)
		if err != nil || string(id) != wantID || string(secret) != wantSecret {
			t.Errorf("%q: got %q, %q, %v, want %q, %q", header, id, secret, err, wantID, wantSecret)
		}
	}
	f("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV") // RFC 6749 §2.3.1
	f("bAsIc czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV")
	f(basicHeader("a:"), "a", "")
	f(basicHeader("a:b:c"), "a", "b:c")
	f(basicHeader("a%3Ab:c%3ad"), "a:b", "c:d")
	f(basicHeader("a+b:c%2Bd%20e"), "a b", "c+d e")
	f(basicHeader("https%3A%2F%2Fa:~"), "https://a", "~")
	f(basicHeader(strings.Repeat("i", 500)+":"+strings.Repeat("s", 1000)), strings.Repeat("i", 500), strings.Repeat("s", 1000))
}

func TestBasicFailure(t *testing.T) {
	f := func(header string, want error) {
		t.Helper()
		id, secret, err := parseBasic([]byte(header), nil)
		if !errors.Is(err, want) || id != nil || secret != nil {
			t.Errorf("%q: got %q, %q, %v, want %v", header, id, secret, err, want)
		}
	}
	f("", errBasicAbsent)
	f("Bearer abc", errBasicScheme)
	f("Basi YTpi", errBasicScheme)
	f("BasicYTpi", errBasicScheme)
	f(" Basic YTpi", errBasicScheme)
	f("Basic\tYTpi", errBasicScheme)

	f("Basic", errBasicMalformed)
	f("Basic ", errBasicMalformed)
	f("Basic  YTpi", errBasicMalformed) // exactly one space
	f("Basic YTpi ", errBasicMalformed)
	f("Basic YTpi, Basic YTpi", errBasicMalformed)
	f("Basic YTp", errBasicMalformed)      // length
	f("Basic YTo", errBasicMalformed)      // no padding
	f("Basic YTo==", errBasicMalformed)    // too much of it
	f("Basic YTp=", errBasicMalformed)     // spare bits
	f("Basic YT\npi", errBasicMalformed)   // which encoding/base64 skips
	f("Basic YTpi\r\n", errBasicMalformed) // the same
	f("Basic Pz8/Oj8_", errBasicMalformed) // base64url
	f(basicHeader("ab"), errBasicMalformed)
	f(basicHeader(":b"), errBasicMalformed)
	f(basicHeader("%:b"), errBasicMalformed)
	f(basicHeader("a:%4"), errBasicMalformed)
	f(basicHeader("a:%zz"), errBasicMalformed)
	f(basicHeader("a%00:b"), errBasicMalformed)
	f(basicHeader("a:b%0a"), errBasicMalformed)
	f(basicHeader("a:b\x7f"), errBasicMalformed)
	f(basicHeader("ä:b"), errBasicMalformed)
	f(basicHeader("a:%C3%A4"), errBasicMalformed)
	f(basicHeader("a:"+strings.Repeat("b", maxBasicBytes)), errBasicMalformed)
}

func TestBasicAllocatesNothingInItsBuffer(t *testing.T) {
	header := []byte(basicHeader("demo%2D1:" + strings.Repeat("s", 1000)))
	buf := make([]byte, 0, maxBasicBytes)
	allocs := testing.AllocsPerRun(100, func() {
		if _, _, err := parseBasic(header, buf); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// FuzzBasic wants what is accepted to have one text only, and to be read alike
// by net/http; and whatever a client writes as RFC 6749 asks to be read back.
func FuzzBasic(f *testing.F) {
	f.Add([]byte("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"))
	f.Add([]byte(basicHeader("a%3Ab:c+d")))
	f.Add([]byte("Basic YTo="))
	f.Fuzz(func(t *testing.T, header []byte) {
		input := bytes.Clone(header)
		id, secret, err := parseBasic(header, nil)
		if !bytes.Equal(header, input) {
			t.Fatal("the header was changed")
		}
		if err != nil {
			return
		}
		request := http.Request{Header: http.Header{"Authorization": {string(header)}}}
		otherID, otherSecret, ok := request.BasicAuth()
		if !ok {
			t.Fatalf("%q passes, net/http refuses it", header)
		}
		if text := basicHeader(otherID + ":" + otherSecret); !strings.EqualFold(text[:6], string(header[:6])) || text[6:] != string(header[6:]) {
			t.Errorf("%q and %q are the same credentials", header, text)
		}
		plainID, errID := url.QueryUnescape(otherID)
		plainSecret, errSecret := url.QueryUnescape(otherSecret)
		if errID != nil || errSecret != nil || plainID != string(id) || plainSecret != string(secret) {
			t.Errorf("%q: got %q, %q, net/url reads %q, %q", header, id, secret, plainID, plainSecret)
		}
		again := basicHeader(url.QueryEscape(string(id)) + ":" + url.QueryEscape(string(secret)))
		if len(again) > maxBasicBytes {
			return
		}
		if id2, secret2, err := parseBasic([]byte(again), nil); err != nil || !bytes.Equal(id2, id) || !bytes.Equal(secret2, secret) {
			t.Errorf("%q written again: got %q, %q, %v", again, id2, secret2, err)
		}
	})
}

func BenchmarkBasic(b *testing.B) {
	header := []byte(basicHeader("demo:c2VjcmV0LW9mLXRoZS1kZW1vLWNsaWVudC0wMTIzNDU2Nzg5"))
	buf := make([]byte, 0, maxBasicBytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseBasic(header, buf); err != nil {
			b.Fatal(err)
		}
	}
}
