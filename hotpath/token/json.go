package token

import "bytes"

// AppendAudience appends one resource as a string and several as an array (RFC 7519 §4.1.3).
func AppendAudience(dst, audience []byte) []byte {
	if bytes.IndexByte(audience, ' ') < 0 {
		return AppendString(dst, audience)
	}
	sep := byte('[')
	for one := range bytes.SplitSeq(audience, []byte{' '}) {
		dst = AppendString(append(dst, sep), one)
		sep = ','
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// AppendString appends a JSON string (RFC 8259 §7), escaping what must be escaped and no more.
func AppendString[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
