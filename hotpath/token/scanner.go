package token

import (
	"bytes"
	"slices"
)

// maxDepth bounds the nesting of values that are passed over.
const maxDepth = 4

// scanner reads JSON as we write it: no white space, and of the escapes only
// those that AppendString makes. What it reads was signed by a key of the ring, so strictness
// costs nobody anything. Once bad it stays bad, and returns zero values.
type scanner struct {
	rest []byte
	bad  bool
}

// accept takes c if it is next.
func (s *scanner) accept(c byte) bool {
	if s.bad || len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) expect(c byte) {
	if !s.accept(c) {
		s.bad = true
	}
}

// text reads a string. Escapes are resolved in place; the result aliases what was read.
func (s *scanner) text() []byte {
	s.expect('"')
	in := s.rest
	out := in[:0]
	for !s.bad && len(in) > 0 {
		c := in[0]
		in = in[1:]
		switch {
		case c == '"':
			s.rest = in
			return slices.Clip(out) // appending to it must not reach the next claim
		case c == '\\':
			c, in, s.bad = unescape(in)
		case c < 0x20:
			s.bad = true
		}
		out = append(out, c)
	}
	s.bad = true
	return nil
}

// unescape reads what stands behind a backslash.
func unescape(in []byte) (c byte, rest []byte, bad bool) {
	if len(in) > 0 && (in[0] == '"' || in[0] == '\\') {
		return in[0], in[1:], false
	}
	if len(in) < 5 || string(in[:3]) != "u00" {
		return 0, in, true
	}
	high, low := bytes.IndexByte([]byte(hexDigits), in[3]), bytes.IndexByte([]byte(hexDigits), in[4])
	if high < 0 || high > 1 || low < 0 {
		return 0, in, true
	}
	return byte(high<<4 | low), in[5:], false
}

// number reads an integer from 0 to limit: no sign, fraction, exponent or leading zero.
func (s *scanner) number(limit int64) int64 {
	var value int64
	digits := 0
	for len(s.rest) > 0 && s.rest[0] >= '0' && s.rest[0] <= '9' {
		digit := int64(s.rest[0] - '0')
		if value > (limit-digit)/10 || digits > 0 && value == 0 {
			s.bad = true
			return 0
		}
		value = value*10 + digit
		digits++
		s.rest = s.rest[1:]
	}
	s.bad = s.bad || digits == 0
	return value
}

// skip passes over any value that is nested no deeper than depth.
func (s *scanner) skip(depth int) {
	switch {
	case s.bad || len(s.rest) == 0 || depth == 0:
		s.bad = true
	case s.rest[0] == '"':
		s.text()
	case s.accept('['):
		s.skipList(']', func() { s.skip(depth - 1) })
	case s.accept('{'):
		s.skipList('}', func() {
			s.text()
			s.expect(':')
			s.skip(depth - 1)
		})
	default:
		s.skipWord()
	}
}

func (s *scanner) skipList(end byte, item func()) {
	if s.accept(end) {
		return
	}
	item()
	for s.accept(',') {
		item()
	}
	s.expect(end)
}

// skipWord passes over true, false, null or an integer that we would write.
func (s *scanner) skipWord() {
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.rest, []byte(word)) {
			s.rest = s.rest[len(word):]
			return
		}
	}
	s.accept('-')
	s.number(1<<63 - 1)
}
