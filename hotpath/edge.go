package hotpath

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"
)

// A refusal answers a request that no handler sees. The connection is closed
// behind it: after a request that two readers may frame in two ways, nobody
// knows where the next one begins.
type refusal struct {
	status int
	body   []byte // the error object of RFC 6749 §5.2

	description string // as in body
}

func newRefusal(status int, code, description string) *refusal {
	return &refusal{status, []byte(`{"error":"` + code + `","error_description":"` + description + `"}`), description}
}

func malformed(description string) *refusal {
	return newRefusal(fasthttp.StatusBadRequest, "invalid_request", description)
}

// allowedMethods is the Allow header of a 405 (RFC 9110 §15.5.6).
const allowedMethods = "GET, HEAD, POST, OPTIONS"

var (
	refuseMethod  = newRefusal(fasthttp.StatusMethodNotAllowed, "invalid_request", "method is not one of "+allowedMethods)
	refuseVersion = malformed("version is neither HTTP/1.0 nor HTTP/1.1")
	refuseTarget  = malformed("request target is not an absolute path in visible ASCII without a fragment")

	refuseLineEnd   = malformed("header line does not end in CR LF")
	refuseFold      = malformed("header line is folded")
	refuseName      = malformed("header name is not a token followed by a colon")
	refuseValue     = malformed("header value has a control character")
	refuseRepeated  = malformed("header that may be given once is repeated")
	refuseNoHost    = malformed("Host header is missing")
	refuseHost      = malformed("Host header is not a host and an optional port")
	refuseLength    = malformed("Content-Length is not a number of bytes")
	refuseEncoding  = malformed("Transfer-Encoding is not exactly chunked over HTTP/1.1")
	refuseAmbiguous = malformed("both Content-Length and Transfer-Encoding are given")
	refuseExpect    = newRefusal(fasthttp.StatusExpectationFailed, "invalid_request", "Expect is not 100-continue")
)

// refuse is the one filter before every handler: it returns nil for a request
// that can be read in one way only, and otherwise what to answer. It reads the
// header bytes as they came, in one pass, and allocates nothing.
//
// It repeats much of what the HTTP library checks, on purpose: the library's
// leniency differs from release to release, and a request that a proxy in
// front of us frames in another way is a second, hidden request (RFC 9112
// §11.2).
func refuse(h *fasthttp.RequestHeader) *refusal {
	http10 := false
	switch string(h.Protocol()) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		http10 = true
	default:
		return refuseVersion
	}
	switch string(h.Method()) {
	case fasthttp.MethodGet, fasthttp.MethodPost, fasthttp.MethodHead, fasthttp.MethodOptions:
	default:
		return refuseMethod
	}
	f := fields{http10: http10}
	if r := f.read(h.RawHeaders()); r != nil {
		return r
	}
	return checkTarget(h.RequestURI(), f.host)
}

// fields is what the filter remembers of a header: which of the fields that
// may be given once were given.
type fields struct {
	http10                                                          bool
	hasHost, hasLength, hasEncoding, hasExpect, hasAuth, hasContent bool
	host                                                            []byte // aliases the header
}

// read walks over raw, the lines behind the request line up to and including
// the empty one.
func (f *fields) read(raw []byte) *refusal {
	if len(raw) == 0 && f.http10 {
		return nil // not a single header, which HTTP/1.0 allows
	}
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return refuseLineEnd
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			if len(raw) > 0 {
				return refuseLineEnd
			}
			return f.complete()
		}
		if r := f.line(line); r != nil {
			return r
		}
	}
	return refuseLineEnd
}

// line checks one header line without its line end.
func (f *fields) line(line []byte) *refusal {
	if line[0] == ' ' || line[0] == '\t' {
		return refuseFold // RFC 9112 §5.2
	}
	n := 0
	for n < len(line) && byteKinds[line[n]]&kindToken != 0 {
		n++
	}
	// A space before the colon ends here as well (RFC 9112 §5.1).
	if n == 0 || n == len(line) || line[n] != ':' {
		return refuseName
	}
	value := line[n+1:]
	if !allOf(value, kindValue) {
		return refuseValue
	}
	return f.field(line[:n], value)
}

// field judges the fields that frame, address or authenticate a request. The
// length of the name tells them apart, so other fields cost no comparison.
func (f *fields) field(name, value []byte) *refusal {
	switch len(name) {
	case len("Host"):
		if foldEqual(name, "host") {
			return f.takeHost(trimBlank(value))
		}
	case len("Expect"):
		if foldEqual(name, "expect") {
			return once(&f.hasExpect, foldEqual(trimBlank(value), "100-continue"), refuseExpect)
		}
	case len("Content-Type"):
		if foldEqual(name, "content-type") {
			return once(&f.hasContent, true, nil)
		}
	case len("Authorization"):
		if foldEqual(name, "authorization") {
			return once(&f.hasAuth, true, nil)
		}
	case len("Content-Length"):
		if foldEqual(name, "content-length") {
			return once(&f.hasLength, isLength(trimBlank(value)), refuseLength)
		}
	case len("Transfer-Encoding"):
		if foldEqual(name, "transfer-encoding") {
			// RFC 9112 §6.1: with HTTP/1.0 the framing is faulty.
			return once(&f.hasEncoding, !f.http10 && foldEqual(trimBlank(value), "chunked"), refuseEncoding)
		}
	}
	return nil
}

func (f *fields) takeHost(host []byte) *refusal {
	f.host = host
	return once(&f.hasHost, isHost(host), refuseHost)
}

// once marks a field as seen, and refuses it when it was seen before or is not valid.
func once(seen *bool, valid bool, r *refusal) *refusal {
	if *seen {
		return refuseRepeated
	}
	*seen = true
	if !valid {
		return r
	}
	return nil
}

// complete judges what only the whole header tells.
func (f *fields) complete() *refusal {
	if f.hasLength && f.hasEncoding {
		return refuseAmbiguous // RFC 9112 §6.3: an attempt at smuggling
	}
	if !f.hasHost && !f.http10 {
		return refuseNoHost // RFC 9112 §3.2
	}
	return nil
}

// checkTarget wants an absolute path, or the absolute form with the same host
// (RFC 9112 §3.2.2). A path that begins with two slashes is refused: the HTTP
// library reads a host out of some of them.
func checkTarget(target, host []byte) *refusal {
	if !allOf(target, kindTarget) {
		return refuseTarget
	}
	path := target
	if target[0] != '/' {
		path = afterAuthority(target, host)
	}
	if len(path) == 0 || path[0] != '/' || len(path) > 1 && path[1] == '/' {
		return refuseTarget
	}
	return nil
}

// afterAuthority returns the path and query of an absolute-form target for
// host, or nil.
func afterAuthority(target, host []byte) []byte {
	for _, scheme := range [...]string{"http://", "https://"} {
		n := len(scheme)
		if len(target) < n || !foldEqual(target[:n], scheme) {
			continue
		}
		rest := target[n:]
		if len(host) > 0 && len(rest) > len(host) && bytes.EqualFold(rest[:len(host)], host) {
			return rest[len(host):]
		}
	}
	return nil
}

// isHost reports whether host is a name, an IPv4 address or an IPv6 address in
// brackets, with an optional port. Of what RFC 3986 §3.2.2 allows in a name,
// the letters that no name in use has (percent-encoding, sub-delimiters) are
// left out.
func isHost(host []byte) bool {
	name := host
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && host[len(host)-1] != ']' {
		if !isPort(host[i+1:]) {
			return false
		}
		name = host[:i]
	}
	kind := kindHost
	if len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']' {
		name, kind = name[1:len(name)-1], kindIPv6
	}
	return len(name) > 0 && allOf(name, kind)
}

func isPort(port []byte) bool {
	n, err := strconv.ParseUint(string(port), 10, 16) // the text does not escape
	return err == nil && n > 0
}

// isLength reports whether value is 1*DIGIT (RFC 9110 §8.6) and small enough
// for any reader: no sign, no list, no overflow.
func isLength(value []byte) bool {
	for _, b := range value {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(value) > 0 && len(value) <= 18
}

// foldEqual compares ASCII without regard to case. lower is in lower case.
func foldEqual(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// trimBlank cuts the optional whitespace around a field value (RFC 9110 §5.6.3).
func trimBlank(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value
}

// Kinds of bytes by where they may stand.
const (
	kindToken  byte = 1 << iota // header names: RFC 9110 §5.6.2
	kindValue                   // header values: visible, obs-text, space, tab
	kindTarget                  // request targets: visible ASCII without '#'
	kindHost                    // host names and IPv4 addresses
	kindIPv6                    // between the brackets of an IPv6 address
)

// allOf reports whether all bytes of text are of the kind.
func allOf(text []byte, kind byte) bool {
	for _, b := range text {
		kind &= byteKinds[b] // no branch a byte
	}
	return kind != 0
}

var byteKinds = makeByteKinds()

func makeByteKinds() (kinds [256]byte) {
	const (
		digits  = "0123456789"
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	mark := func(kind byte, set string) {
		for i := range len(set) {
			kinds[set[i]] |= kind
		}
	}
	mark(kindToken, digits+letters+"!#$%&'*+-.^_`|~")
	mark(kindHost, digits+letters+"-._~")
	mark(kindIPv6, digits+"abcdefABCDEF:.")
	for b := 0x21; b <= 0xff; b++ {
		if b != 0x7f {
			kinds[b] |= kindValue
		}
		if b < 0x7f && b != '#' {
			kinds[b] |= kindTarget
		}
	}
	mark(kindValue, " \t")
	return kinds
}
