package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// An Alg is an algorithm that signs JWTs (RFC 7518 §3.1, RFC 8037 §3.1).
type Alg string

// The algorithms there are.
const (
	ES256 Alg = "ES256"
	EdDSA Alg = "EdDSA"
	RS256 Alg = "RS256"
	PS256 Alg = "PS256"
	HS256 Alg = "HS256"
)

var algs = []Alg{ES256, EdDSA, RS256, PS256, HS256}

// idTokenAlgs sign id_tokens beside whatever signs access tokens; the first is the one of clients that chose none, which every
// library can verify (OpenID Connect Core §15.1).
var idTokenAlgs = []Alg{RS256, ES256, EdDSA}

const rsaBits = 2048

// ParseAlg reads the name of an algorithm, as OAUTH2_JWT_ALG gives it.
func ParseAlg(text string) (Alg, error) {
	if !slices.Contains(algs, Alg(text)) {
		return "", fmt.Errorf("algorithm %q is none of %s", text, strings.Trim(fmt.Sprint(algs), "[]"))
	}
	return Alg(text), nil
}

// Algs is the names of all algorithms, the default first.
func Algs() []Alg { return slices.Clone(algs) }

// IDTokenAlgs is the names of the algorithms that an id_token may be signed with, the default first. The ring has keys of all.
func IDTokenAlgs() []Alg { return slices.Clone(idTokenAlgs) }

// A pair is what differs between the algorithms.
type pair interface {
	sign(dst, message []byte) ([]byte, error)
	verify(message, signature []byte) bool
	appendJWK(dst []byte) []byte // the public members that depend on the type of key
}

// generatePrivate makes the private half of a new pair.
func generatePrivate(alg Alg) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("algorithm %q has no stored keys", alg)
}

// parsePair reads the private half (PKCS #8) and hands back the public one
// (PKIX) with it. It refuses keys that are not what the algorithm asks for.
func parsePair(alg Alg, private []byte) (pair, []byte, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("parse private key: %w", err)
	}
	var p pair
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		if alg == ES256 && key.Curve == elliptic.P256() {
			p = es256{key}
		}
	case ed25519.PrivateKey:
		if alg == EdDSA {
			p = eddsa{key}
		}
	case *rsa.PrivateKey:
		if (alg == RS256 || alg == PS256) && key.N.BitLen() >= rsaBits {
			p = rsaPair{key, alg == PS256}
		}
	}
	if p == nil {
		return nil, nil, fmt.Errorf("private key does not suit %s", alg)
	}
	public, err := x509.MarshalPKIXPublicKey(parsed.(crypto.Signer).Public())
	return p, public, err
}

// eddsa is EdDSA with Ed25519 (RFC 8037).
type eddsa struct{ key ed25519.PrivateKey }

func (p eddsa) public() ed25519.PublicKey { return ed25519.PublicKey(p.key[ed25519.SeedSize:]) }

func (p eddsa) sign(dst, message []byte) ([]byte, error) {
	return append(dst, ed25519.Sign(p.key, message)...), nil
}

func (p eddsa) verify(message, signature []byte) bool {
	return ed25519.Verify(p.public(), message, signature)
}

func (p eddsa) appendJWK(dst []byte) []byte {
	return appendMember(append(dst, `"kty":"OKP","crv":"Ed25519"`...), "x", p.public())
}

// rsaPair is RS256, or PS256 with a salt as long as the hash (RFC 7518 §3.5).
type rsaPair struct {
	key *rsa.PrivateKey
	pss bool
}

var saltLikeHash = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func (p rsaPair) sign(dst, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	var options crypto.SignerOpts = crypto.SHA256
	if p.pss {
		options = saltLikeHash
	}
	signature, err := p.key.Sign(rand.Reader, digest[:], options)
	return append(dst, signature...), err
}

func (p rsaPair) verify(message, signature []byte) bool {
	digest := sha256.Sum256(message)
	if p.pss {
		return rsa.VerifyPSS(&p.key.PublicKey, crypto.SHA256, digest[:], signature, saltLikeHash) == nil
	}
	return rsa.VerifyPKCS1v15(&p.key.PublicKey, crypto.SHA256, digest[:], signature) == nil
}

func (p rsaPair) appendJWK(dst []byte) []byte {
	dst = appendMember(append(dst, `"kty":"RSA"`...), "n", p.key.N.Bytes())
	return appendMember(dst, "e", big.NewInt(int64(p.key.E)).Bytes())
}

// appendMember appends a further member whose value is base64url of bytes, as JWKs have them.
func appendMember(dst []byte, name string, value []byte) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":"`...)
	dst = base64.RawURLEncoding.AppendEncode(dst, value)
	return append(dst, '"')
}
