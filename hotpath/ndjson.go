package hotpath

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLines bounds one batch.
const maxLines = 1000

var errLinesTooMany = errors.New("body has more than 1000 lines")

// isNDJSON reports whether contentType is application/x-ndjson.
func isNDJSON(contentType []byte) bool { return isMediaType(contentType, "application/x-ndjson") }

// tokenLines is a parsed batch: newline-delimited objects {"token":"…"}.
type tokenLines struct {
	// tokens holds one token a line, in order. They alias the body, or a buffer
	// that the next parse overwrites; clone what is kept.
	tokens [][]byte
	buf    []byte
}

// parse reads body, or names the first line that is not an object with the one
// string member "token". An empty body has no lines; after the last newline
// nothing is expected, so that lines may be terminated or separated by it.
//
// It is stricter than encoding/json where that would guess: names match in
// their own case only, no member is repeated, strings are valid UTF-8 without
// lone surrogates.
func (l *tokenLines) parse(body []byte) error {
	l.tokens, l.buf = l.tokens[:0], l.buf[:0]
	if cap(l.buf) < len(body) && bytes.IndexByte(body, '\\') >= 0 {
		l.buf = make([]byte, 0, len(body)) // decoding never lengthens: no growth moves the tokens
	}
	for len(body) > 0 {
		if len(l.tokens) == maxLines {
			return errLinesTooMany
		}
		var line []byte
		line, body, _ = bytes.Cut(body, newline)
		token, ok := l.line(line)
		if !ok {
			return fmt.Errorf("line %d is not a JSON object with the one string member token", len(l.tokens)+1)
		}
		l.tokens = append(l.tokens, token)
	}
	return nil
}

var newline = []byte("\n")

// wipe forgets the tokens and zeroes those that were decoded.
func (l *tokenLines) wipe() {
	clear(l.buf)
	clear(l.tokens)
	l.tokens, l.buf = l.tokens[:0], l.buf[:0]
}

func (l *tokenLines) line(line []byte) (token []byte, ok bool) {
	c := cursor{line}
	if !c.take('{') {
		return nil, false
	}
	name, ok := l.text(&c)
	if !ok || string(name) != "token" || !c.take(':') {
		return nil, false
	}
	token, ok = l.text(&c)
	return token, ok && c.take('}') && c.atEnd()
}

// text reads a JSON string (RFC 8259 §7).
func (l *tokenLines) text(c *cursor) (text []byte, ok bool) {
	if !c.take('"') {
		return nil, false
	}
	for i, b := range c.rest {
		switch {
		case b == '"': // Fast path: what the line holds is what it means.
			text, c.rest = c.rest[:i], c.rest[i+1:]
			return text, utf8.Valid(text)
		case b == '\\':
			return l.escapedText(c)
		case b < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escapedText reads the rest of a JSON string into the buffer.
func (l *tokenLines) escapedText(c *cursor) (text []byte, ok bool) {
	start := len(l.buf)
	for len(c.rest) > 0 {
		b := c.rest[0]
		c.rest = c.rest[1:]
		switch {
		case b == '"':
			text = l.buf[start:len(l.buf):len(l.buf)]
			return text, utf8.Valid(text)
		case b < ' ':
			return nil, false
		case b != '\\':
			l.buf = append(l.buf, b)
		default:
			r, ok := c.escape()
			if !ok {
				return nil, false
			}
			l.buf = utf8.AppendRune(l.buf, r)
		}
	}
	return nil, false
}

// cursor is what is left of a line.
type cursor struct{ rest []byte }

// take skips blanks and then b, if it is there.
func (c *cursor) take(b byte) bool {
	if c.atEnd() || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// atEnd skips blanks and reports whether nothing is left. The carriage return
// before a newline is one of them.
func (c *cursor) atEnd() bool {
	for len(c.rest) > 0 && (c.rest[0] == ' ' || c.rest[0] == '\t' || c.rest[0] == '\r') {
		c.rest = c.rest[1:]
	}
	return len(c.rest) == 0
}

// escape reads what follows a backslash.
func (c *cursor) escape() (rune, bool) {
	if len(c.rest) == 0 {
		return 0, false
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	switch b {
	case '"', '\\', '/':
		return rune(b), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return c.codePoint()
	}
	return 0, false
}

// codePoint reads the four digits of \uXXXX, and the second half of a pair.
func (c *cursor) codePoint() (rune, bool) {
	r, ok := c.codeUnit()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if len(c.rest) < 2 || c.rest[0] != '\\' || c.rest[1] != 'u' {
		return 0, false
	}
	c.rest = c.rest[2:]
	low, ok := c.codeUnit()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

func (c *cursor) codeUnit() (rune, bool) {
	if len(c.rest) < 4 {
		return 0, false
	}
	var r rune
	for _, b := range c.rest[:4] {
		d := hexDigit(b)
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	c.rest = c.rest[4:]
	return r, true
}
