package token

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// invalid marks bytes outside the alphabet: its high bits survive any OR.
const invalid = 0x80

var sextets = func() (table [256]byte) {
	for i := range table {
		table[i] = invalid
	}
	for i, c := range []byte(alphabet) {
		table[c] = byte(i)
	}
	return table
}()

// decodedLen is how many bytes n characters hold.
func decodedLen(n int) int { return n * 6 / 8 }

// decode reads base64url without padding (RFC 4648 §5) into dst, which has
// decodedLen(len(src)) bytes. There is exactly one text for a value: no padding, no line
// ends, which the standard decoder skips even when strict, and no spare bit set.
func decode(dst, src []byte) bool {
	for len(src) >= 4 {
		a, b, c, d := sextets[src[0]], sextets[src[1]], sextets[src[2]], sextets[src[3]]
		if (a|b|c|d)&invalid != 0 {
			return false
		}
		dst[0], dst[1], dst[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		dst, src = dst[3:], src[4:]
	}
	return decodeTail(dst, src)
}

// decodeTail reads the last up to three characters.
func decodeTail(dst, src []byte) bool {
	switch len(src) {
	case 0:
		return true
	case 2:
		a, b := sextets[src[0]], sextets[src[1]]
		dst[0] = a<<2 | b>>4
		return (a|b)&invalid == 0 && b&0x0f == 0
	case 3:
		a, b, c := sextets[src[0]], sextets[src[1]], sextets[src[2]]
		dst[0], dst[1] = a<<2|b>>4, b<<4|c>>2
		return (a|b|c)&invalid == 0 && c&0x03 == 0
	}
	return false // one character alone is less than a byte
}
