package hotpath

import (
	"bytes"
	"unicode/utf8"

	"oauth2-server/hotpath/oauth"
)

// What a form is refused for.
var (
	errFormType     = &oauth.Error{Code: oauth.InvalidRequest, Description: "content type is not application/x-www-form-urlencoded in UTF-8"}
	errFormEncoding = &oauth.Error{Code: oauth.InvalidRequest, Description: "body has a bad percent-encoding"}
	errFormText     = &oauth.Error{Code: oauth.InvalidRequest, Description: "body has a control character or is not UTF-8"}
	errFormRepeated = &oauth.Error{Code: oauth.InvalidRequest, Description: "parameter is repeated"}
	errFormTooMany  = &oauth.Error{Code: oauth.InvalidRequest, Description: "body has more than 64 parameters"}
)

// maxParameters bounds the work one body can cause.
const maxParameters = 64

// form is a decoded application/x-www-form-urlencoded body. Names and values
// are valid until the next parse or wipe; clone what is kept. Once its buffer
// is as long as the longest body, parsing allocates nothing.
type form struct {
	buf   []byte
	pairs [maxParameters]parameter
	n     int
}

// A parameter aliases the buffer of its form.
type parameter struct{ name, value []byte }

// parse decodes body. No parameter may be given twice (RFC 6749 §3.2), not even
// without a value, but for the repeatable ones (RFC 8707 §2: resource).
//
// Names and values are UTF-8 without control characters other than the tab:
// what RFC 6749 Appendix A allows for the most liberal of its parameters,
// username and password.
func (f *form) parse(body []byte, repeatable ...string) error {
	f.n = 0
	if cap(f.buf) < len(body) {
		f.buf = make([]byte, 0, len(body)) // decoding never lengthens: no growth moves the slices handed out
	}
	f.buf = f.buf[:0]
	for len(body) > 0 {
		var pair []byte
		pair, body, _ = bytes.Cut(body, ampersand)
		if len(pair) == 0 {
			continue
		}
		if err := f.add(pair, repeatable); err != nil {
			return err
		}
	}
	return nil
}

var (
	ampersand = []byte("&")
	equals    = []byte("=")
)

// add decodes one name=value.
func (f *form) add(pair []byte, repeatable []string) error {
	if f.n == maxParameters {
		return errFormTooMany
	}
	rawName, rawValue, _ := bytes.Cut(pair, equals)
	name, err := f.decode(rawName)
	if err != nil {
		return err
	}
	value, err := f.decode(rawValue)
	if err != nil {
		return err
	}
	if f.has(name) && !contains(repeatable, name) {
		return errFormRepeated
	}
	f.pairs[f.n] = parameter{name, value}
	f.n++
	return nil
}

func (f *form) decode(raw []byte) ([]byte, error) {
	start := len(f.buf)
	var ok bool
	if f.buf, ok = unescape(f.buf, raw); !ok {
		return nil, errFormEncoding
	}
	text := f.buf[start:len(f.buf):len(f.buf)]
	if !isText(text) {
		return nil, errFormText
	}
	return text, nil
}

func (f *form) has(name []byte) bool {
	for i := range f.pairs[:f.n] {
		if bytes.Equal(f.pairs[i].name, name) {
			return true
		}
	}
	return false
}

func contains(names []string, name []byte) bool {
	for _, n := range names {
		if n == string(name) {
			return true
		}
	}
	return false
}

// get returns the value of a parameter, or nil. A parameter without a value
// counts as omitted (RFC 6749 §3.2).
func (f *form) get(name string) []byte {
	for i := range f.pairs[:f.n] {
		if p := &f.pairs[i]; string(p.name) == name && len(p.value) > 0 {
			return p.value
		}
	}
	return nil
}

// all calls do with each value of a repeatable parameter that is not empty, in order.
func (f *form) all(name string, do func(value []byte)) {
	for i := range f.pairs[:f.n] {
		if p := &f.pairs[i]; string(p.name) == name && len(p.value) > 0 {
			do(p.value)
		}
	}
}

// wipe forgets the parameters and zeroes their bytes, secrets among them.
func (f *form) wipe() {
	clear(f.buf)
	f.buf = f.buf[:0]
	clear(f.pairs[:f.n])
	f.n = 0
}

// unescape appends src with its form encoding undone: %XX is a byte, + a
// space. It reports false where % is not followed by two hexadecimal digits.
// dst may be the beginning of src itself.
func unescape(dst, src []byte) ([]byte, bool) {
	for i := 0; i < len(src); i++ {
		b := src[i]
		switch b {
		case '+':
			b = ' '
		case '%':
			if len(src)-i < 3 || hexDigit(src[i+1]) > 15 || hexDigit(src[i+2]) > 15 {
				return dst, false
			}
			b = hexDigit(src[i+1])<<4 | hexDigit(src[i+2])
			i += 2
		}
		dst = append(dst, b)
	}
	return dst, true
}

// hexDigit returns the value of a hexadecimal digit, or 255.
func hexDigit(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10
	}
	return 255
}

// isText reports whether text is UTF-8 without control characters but the tab.
func isText(text []byte) bool {
	ascii := true
	for _, b := range text {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
		ascii = ascii && b < utf8.RuneSelf
	}
	return ascii || utf8.Valid(text)
}

// isForm reports whether contentType is application/x-www-form-urlencoded.
// Anything else is invalid_request, 400: RFC 6749 §5.2 knows no 415.
func isForm(contentType []byte) bool {
	return isMediaType(contentType, "application/x-www-form-urlencoded")
}

// isMediaType reports whether contentType is the media type want, in lower
// case, with no parameter but charset=utf-8 (RFC 9110 §8.3.1).
func isMediaType(contentType []byte, want string) bool {
	kind, rest, more := bytes.Cut(contentType, semicolon)
	if !foldEqual(trimBlank(kind), want) {
		return false
	}
	rest = trimBlank(rest)
	return !more || foldEqual(rest, "charset=utf-8") || foldEqual(rest, `charset="utf-8"`)
}

var semicolon = []byte(";")

// queryHasParameter reports whether a query holds a parameter that belongs into
// the body. Queries end up in logs, so credentials there are refused (RFC 6749
// §2.3.1), and a grant there would hide from the check for repetition. Other
// queries are ignored, as unknown parameters are.
func queryHasParameter(query []byte) bool {
	var buf [96]byte
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, ampersand)
		raw, _, _ := bytes.Cut(pair, equals)
		if len(raw) > len(buf) {
			continue // longer than any name, even one written as %XX
		}
		if name, ok := unescape(buf[:0], raw); ok && isBodyParameter(name) {
			return true
		}
	}
	return false
}

func isBodyParameter(name []byte) bool {
	switch string(name) {
	case "client_id", "client_secret", "client_assertion", "client_assertion_type",
		"grant_type", "scope", "resource", "audience", "redirect_uri",
		"code", "code_verifier", "device_code", "assertion", "username", "password",
		"token", "token_type_hint", "access_token", "refresh_token",
		"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type":
		return true
	}
	return false
}
