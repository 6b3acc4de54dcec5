package oauth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"

	"oauth2-server/store"
)

// KeySets is the keys that clients publish themselves.
type KeySets interface {
	// Keys is the client's keys behind the URI, fetched again where none of them has the id. [store.ErrUnavailable]: none were ever read.
	Keys(ctx context.Context, client, uri, kid string) ([]jose.JSONWebKey, error)
}

// AssertionType is the client_assertion_type of RFC 7523 §2.2.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of an assertion.
const (
	maxAssertion     = 8 << 10 // bytes
	maxAssertionLife = 600     // seconds
	maxAhead         = 60      // seconds that a client's clock may be ahead (FAPI 2.0 §5.3.2.1: accept 10, refuse more than 60)
	maxJTI           = 255     // bytes
)

// assertionAlgs is the algorithms that a client can be registered for, by its method of authentication: one of them, and no
// assertion chooses (RFC 8725 §3.1).
var assertionAlgs = map[string][]jose.SignatureAlgorithm{
	store.AuthPrivateKeyJWT:   {jose.RS256, jose.PS256, jose.ES256, jose.EdDSA},
	store.AuthClientSecretJWT: {jose.HS256},
}

// anyAssertionAlg is what a text may say before it is known whose it is.
var anyAssertionAlg = slices.Concat(assertionAlgs[store.AuthPrivateKeyJWT], assertionAlgs[store.AuthClientSecretJWT])

// AssertionAlgs is the names of the algorithms of a method's assertions, for metadata.
func AssertionAlgs(method string) []string {
	var names []string
	for _, alg := range assertionAlgs[method] {
		names = append(names, string(alg))
	}
	return names
}

// An assertion is a client's JWT (RFC 7523 §3), nothing of which is proved before its signature is.
type assertion struct {
	jws    *jose.JSONWebSignature
	Issuer string  `json:"iss"`
	Sub    string  `json:"sub"`
	Aud    string  `json:"aud"` // one string: a list would let another server replay it here (audience injection)
	Exp    float64 `json:"exp"` // Unix seconds, perhaps with a fraction (RFC 7519 §2)
	NBF    float64 `json:"nbf"`
	IAT    float64 `json:"iat"`
	JTI    string  `json:"jti"`
}

// parseAssertion reads the compact form alone. Member names count by case and stand once (RFC 7519 §4).
func parseAssertion(text []byte) (*assertion, bool) {
	if len(text) > maxAssertion {
		return nil, false
	}
	jws, err := jose.ParseSignedCompact(string(text), anyAssertionAlg)
	if err != nil || len(jws.Signatures) != 1 || !knownHeader(&jws.Signatures[0].Protected) {
		return nil, false
	}
	a := assertion{jws: jws}
	if strict.Unmarshal(jws.UnsafePayloadWithoutVerification(), &a) != nil {
		return nil, false
	}
	return &a, true
}

// knownHeader reports whether a header asks for nothing but to be verified: a type for this use (RFC 8725 §3.11), no extension that must be understood.
func knownHeader(h *jose.Header) bool {
	if _, critical := h.ExtraHeaders["crit"]; critical {
		return false
	}
	switch h.ExtraHeaders[jose.HeaderType] {
	case nil, "JWT", "jwt", "client-authentication+jwt":
		return true
	}
	return false
}

// proveAssertion is the method that an assertion proved its client by, "" if it did not. What costs nothing is judged
// first, then the signature, and the store is asked last: garbage costs no I/O (promise P6). The store remembers the jti beyond the
// assertion's end by as much as that may lie ahead: no difference of clocks makes it forget an assertion that is accepted.
func (s *Rules) proveAssertion(c *Credentials) (client *store.Client, method string, err error) {
	a, ok := parseAssertion(c.Assertion)
	if !ok || c.ID != nil && string(c.ID) != a.Sub { // RFC 7521 §4.2
		return nil, "", nil
	}
	client = s.Clients.Client([]byte(a.Sub))
	if client == nil || client.Disabled || !s.fits(a, client) {
		return nil, "", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), assertionWithin)
	defer cancel()
	signed, err := s.signed(ctx, a, client)
	if err != nil || !signed {
		return nil, "", err
	}
	if a.Exp <= float64(s.now()) { // its keys may have been waited for
		return nil, "", nil
	}
	err = s.Once.SpendJTI(ctx, client.ID, a.JTI, int64(a.Exp)+1+maxAssertionLife+maxAhead)
	switch {
	case errors.Is(err, store.ErrSpent):
		return nil, "", nil // RFC 7523 §3: seen before
	case err != nil:
		return nil, "", fmt.Errorf("spend assertion of %q: %w", client.ID, err)
	}
	c.ID = []byte(client.ID)
	return client, client.AuthMethod, nil
}

// fits reports whether the assertion is one by this client, for this server, and for now (RFC 7523 §3).
func (s *Rules) fits(a *assertion, client *store.Client) bool {
	now := float64(s.now())
	alg := a.jws.Signatures[0].Protected.Algorithm
	return a.Issuer == client.ID && a.Sub == client.ID &&
		a.Aud == s.Issuer &&
		a.JTI != "" && len(a.JTI) <= maxJTI &&
		a.Exp > now && a.Exp <= now+maxAssertionLife+maxAhead &&
		a.NBF <= now+maxAhead && a.IAT <= now+maxAhead &&
		alg == client.AuthAlg && slices.Contains(assertionAlgs[client.AuthMethod], jose.SignatureAlgorithm(alg))
}

// signed verifies the signature by what the client is registered with.
func (s *Rules) signed(ctx context.Context, a *assertion, client *store.Client) (bool, error) {
	if client.AuthMethod == store.AuthClientSecretJWT {
		secret, err := s.Secrets.OpenText(client.ID, client.SealedSecret)
		if err != nil {
			return false, fmt.Errorf("secret of client %q: %w (%w)", client.ID, err, store.ErrUnavailable)
		}
		return verifies(a.jws, []byte(secret)), nil
	}
	kid := a.jws.Signatures[0].Protected.KeyID
	keys, err := s.clientKeys(ctx, client, kid)
	if err != nil {
		return false, fmt.Errorf("keys of client %q: %w", client.ID, err)
	}
	for i := range keys {
		key := &keys[i]
		if kid != "" && key.KeyID != "" && key.KeyID != kid || !key.Valid() || !keyFits(key, client.AuthAlg) || !sound(key) {
			continue
		}
		if verifies(a.jws, key.Key) {
			return true, nil
		}
	}
	return false, nil
}

func verifies(jws *jose.JSONWebSignature, key any) bool {
	_, err := jws.Verify(key)
	return err == nil
}

// sound reports whether a key is long enough to prove something, and short enough to be worth the work.
func sound(key *jose.JSONWebKey) bool {
	public, ok := key.Key.(*rsa.PublicKey)
	return !ok || public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits
}

// clientKeys is the keys of a client, from where it said that they are.
func (s *Rules) clientKeys(ctx context.Context, client *store.Client, kid string) ([]jose.JSONWebKey, error) {
	if len(client.JWKS) == 0 {
		return s.KeySets.Keys(ctx, client.ID, client.JWKSURI, kid)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(client.JWKS, &set); err != nil {
		return nil, fmt.Errorf("read the registered key set: %w", err)
	}
	return set.Keys, nil
}
