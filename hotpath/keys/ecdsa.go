package keys

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// es256 is ECDSA on P-256 with SHA-256. A JWS carries r‖s of 32 bytes each
// (RFC 7518 §3.4), the standard library speaks DER; between the two stands
// this file, because the way over big.Int costs twenty allocations.
type es256 struct{ key *ecdsa.PrivateKey }

const scalarBytes = 32

var errDER = errors.New("signature is no DER sequence of two integers")

func (p es256) sign(dst, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		return dst, fmt.Errorf("sign ES256: %w", err)
	}
	return appendScalars(dst, der)
}

func (p es256) verify(message, signature []byte) bool {
	if len(signature) != 2*scalarBytes {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.VerifyASN1(&p.key.PublicKey, digest[:], appendDER(nil, signature))
}

func (p es256) appendJWK(dst []byte) []byte {
	point, err := p.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic("BUG: public key off its curve: " + err.Error())
	}
	dst = append(dst, `"kty":"EC","crv":"P-256"`...)
	dst = appendMember(dst, "x", point[1:1+scalarBytes])
	return appendMember(dst, "y", point[1+scalarBytes:])
}

// appendScalars turns DER into r‖s.
func appendScalars(dst, der []byte) ([]byte, error) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return dst, errDER
	}
	der = der[2:]
	for range 2 {
		if len(der) < 2 || der[0] != 0x02 || len(der) < 2+int(der[1]) {
			return dst, errDER
		}
		value := der[2 : 2+der[1]]
		der = der[2+der[1]:]
		if len(value) == scalarBytes+1 && value[0] == 0 {
			value = value[1:]
		}
		if len(value) > scalarBytes {
			return dst, errDER
		}
		var fixed [scalarBytes]byte
		copy(fixed[scalarBytes-len(value):], value)
		dst = append(dst, fixed[:]...)
	}
	if len(der) != 0 {
		return dst, errDER
	}
	return dst, nil
}

// appendDER turns r‖s into DER. The library judges whether r and s are in range.
func appendDER(dst, signature []byte) []byte {
	start := len(dst)
	dst = append(dst, 0x30, 0)
	for _, value := range [...][]byte{signature[:scalarBytes], signature[scalarBytes:]} {
		for len(value) > 1 && value[0] == 0 {
			value = value[1:]
		}
		length := byte(len(value))
		if value[0] < 0x80 {
			dst = append(dst, 0x02, length)
		} else {
			dst = append(dst, 0x02, length+1, 0) // else it would be negative
		}
		dst = append(dst, value...)
	}
	dst[start+1] = byte(len(dst) - start - 2)
	return dst
}
