package proxy

import (
	"bytes"
	"net/netip"
)

// parseHop reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func parseHop(text []byte) (netip.Addr, bool) {
	if text[0] == '[' {
		address, port, closed := bytes.Cut(text[1:], bracket)
		if !closed || len(port) > 0 && !isPort(port) {
			return netip.Addr{}, false
		}
		return parse6(address)
	}
	switch first, last := bytes.IndexByte(text, ':'), bytes.LastIndexByte(text, ':'); {
	case first < 0:
		return parse4(text)
	case first == last:
		address, ok := parse4(text[:first])
		return address, ok && isPort(text[first:])
	}
	return parse6(text)
}

var bracket = []byte("]")

// isPort reports whether text is a colon and one to five digits.
func isPort(text []byte) bool {
	if len(text) < 2 || len(text) > 6 || text[0] != ':' {
		return false
	}
	for _, b := range text[1:] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// parse4 is netip.ParseAddr of IPv4, which takes a string and keeps it in its error.
func parse4(text []byte) (netip.Addr, bool) {
	var a [4]byte
	for i := range a {
		digits := text
		if i < len(a)-1 {
			dot := bytes.IndexByte(text, '.')
			if dot < 0 {
				return netip.Addr{}, false
			}
			digits, text = text[:dot], text[dot+1:]
		}
		var ok bool
		if a[i], ok = parseOctet(digits); !ok {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4(a), true
}

// parseOctet reads 0 to 255. A leading zero is refused: some read octal behind it.
func parseOctet(digits []byte) (byte, bool) {
	if len(digits) == 0 || len(digits) > 3 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n := 0
	for _, b := range digits {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return byte(n), n <= 255
}

// parse6 is netip.ParseAddr of IPv6 without a zone (RFC 4291 §2.2). IPv4 in IPv6 comes out as IPv4.
func parse6(text []byte) (netip.Addr, bool) {
	var a [16]byte
	left, right, short := bytes.Cut(text, doubleColon)
	n, ok := parseGroups(a[:], left)
	if !ok || !short && n != len(a) {
		return netip.Addr{}, false
	}
	if short {
		var tail [16]byte
		m, ok := parseGroups(tail[:], right)
		if !ok || n+m > len(a)-2 || n > 0 && hasDot(left) { // :: stands for one group or more, and IPv4 for the last two
			return netip.Addr{}, false
		}
		copy(a[len(a)-m:], tail[:m])
	}
	return netip.AddrFrom16(a).Unmap(), true
}

var doubleColon = []byte("::")

func hasDot(text []byte) bool { return bytes.IndexByte(text, '.') >= 0 }

// parseGroups writes groups of four hexadecimal digits, of which the last may be IPv4, and says how many bytes there are.
func parseGroups(dst []byte, text []byte) (n int, ok bool) {
	for more := len(text) > 0; more; {
		var group []byte
		group, text, more = bytes.Cut(text, colon)
		if !more && hasDot(group) {
			four, ok := parse4(group)
			if !ok || n > len(dst)-4 {
				return 0, false
			}
			octets := four.As4()
			return n + copy(dst[n:], octets[:]), true
		}
		value, ok := parseGroup(group)
		if !ok || n > len(dst)-2 {
			return 0, false
		}
		dst[n], dst[n+1] = byte(value>>8), byte(value)
		n += 2
	}
	return n, true
}

var colon = []byte(":")

func parseGroup(digits []byte) (value uint16, ok bool) {
	if len(digits) == 0 || len(digits) > 4 {
		return 0, false
	}
	for _, b := range digits {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			b = b | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		value = value<<4 | uint16(b)
	}
	return value, true
}
