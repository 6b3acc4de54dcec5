package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func testSecrets(t *testing.T) keys.Secrets {
	t.Helper()
	secrets, err := keys.ParseSecrets("registration-test-secret-0123456789")
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

// enrolled is the client as it is registered.
func enrolled(t *testing.T, c store.Client) (store.Client, string) {
	t.Helper()
	secret, err := Enrol(&c, "", testSecrets(t))
	if err != nil {
		t.Fatal(err)
	}
	return c, secret
}

func faultsOf(err error) (fields []string) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			fields = append(fields, faultsOf(one)...)
		}
		return fields
	}
	if fault, ok := errors.AsType[*store.FieldError](err); ok {
		fields = append(fields, fault.Field)
	}
	return fields
}

func TestEnrolGivesWhatPeopleExpect(t *testing.T) {
	redirect := []string{"https://app.example.com/cb"}
	f := func(name string, c store.Client, grants, scopes string, secret bool) {
		t.Helper()
		c.ID = "x"
		made, text := enrolled(t, c)
		if got := strings.Join(made.Grants, " "); got != grants || made.ScopeText() != scopes || (text != "") != secret {
			t.Errorf("%s: got grants %q, scopes %q, secret %t, want %q, %q, %t", name, got, made.ScopeText(), text != "", grants, scopes, secret)
		}
	}
	const both, all = "authorization_code refresh_token", "openid profile email offline_access"
	f("a service", store.Client{}, "client_credentials", "", true)
	f("an app", store.Client{RedirectURIs: redirect}, both, all, true)
	f("a page", store.Client{RedirectURIs: redirect, AuthMethod: store.AuthNone}, both, all, false)
	f("public, and nothing", store.Client{AuthMethod: store.AuthNone}, "", "", false)
	f("without refresh", store.Client{RedirectURIs: redirect, Grants: []string{"authorization_code"}}, "authorization_code", "openid profile email", true)
	f("its own scopes", store.Client{RedirectURIs: redirect, Scopes: []string{"a"}}, both, "a", true)
	f("no scopes", store.Client{RedirectURIs: redirect, Scopes: []string{}}, both, "", true)
	f("no grants", store.Client{RedirectURIs: redirect, Grants: []string{}}, "", "", true)
}

// TestASecretIsKeptAsItsMethodNeeds: a hash, or sealed where the check needs the text (OpenID Connect Core §9), never both.
func TestASecretIsKeptAsItsMethodNeeds(t *testing.T) {
	c, secret := enrolled(t, store.Client{ID: "x", AuthMethod: store.AuthClientSecretJWT})
	opened, err := testSecrets(t).OpenText("x", c.SealedSecret)
	if err != nil || opened != secret || len(c.Secrets) > 0 || c.AuthAlg != "HS256" || SecretCount(&c) != 1 {
		t.Errorf("got %d hashes, algorithm %q and %v, want the secret sealed for the client", len(c.Secrets), c.AuthAlg, err)
	}
	if _, err := testSecrets(t).OpenText("y", c.SealedSecret); err == nil {
		t.Error("the secret opens for another client")
	}
	masked, _ := json.Marshal(c.Masked())
	if strings.Contains(string(masked), "sealed") {
		t.Error("the sealed secret is shown")
	}

	before := slices.Clone(c.SealedSecret)
	if err := Rotate(&c, store.NewSecret(), testSecrets(t)); err != nil || slices.Equal(before, c.SealedSecret) || len(c.Secrets) > 0 {
		t.Errorf("got %v and %d hashes, want another sealed secret", err, len(c.Secrets))
	}
	if err := Retire(&c); !errors.Is(err, ErrOneSecret) {
		t.Errorf("got %v, want %v", err, ErrOneSecret)
	}

	secret, err = Amend(&c, testSecrets(t), func(c *store.Client) { c.AuthMethod = store.AuthBasic })
	if err != nil || len(c.SealedSecret) > 0 || c.AuthAlg != "" || len(c.Secrets) != 1 || c.Secrets[0] != store.HashSecret(secret) {
		t.Errorf("got %+v and %v, want a hash of a new secret alone", c, err)
	}
	secret, err = Amend(&c, testSecrets(t), func(c *store.Client) { c.AuthMethod = store.AuthPost })
	if err != nil || secret != "" || len(c.Secrets) != 1 {
		t.Errorf("got %v, want the same secret under another method of sending it", err)
	}
	none := store.Client{ID: "x", AuthMethod: store.AuthClientSecretJWT}
	if _, err := Enrol(&none, "", keys.Secrets{}); err == nil || !strings.Contains(err.Error(), "OAUTH2_JWT_SECRET") {
		t.Errorf("got %v, want what is missing", err)
	}
}

// set is a key set of the keys.
func set(t *testing.T, all ...jose.JSONWebKey) json.RawMessage {
	t.Helper()
	text, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAClientOfKeysChangesThem(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	c := store.Client{ID: "x", AuthMethod: store.AuthPrivateKeyJWT, AuthAlg: "ES256", JWKS: set(t, jose.JSONWebKey{Key: key.Public()})}
	c, secret := enrolled(t, c)
	if secret != "" || SecretCount(&c) != 0 || strings.ContainsAny(string(c.JWKS), " \n") {
		t.Errorf("got a secret (%t), and the keys %s, want none, and no space", secret != "", c.JWKS)
	}
	if err := Rotate(&c, store.NewSecret(), testSecrets(t)); !errors.Is(err, ErrNoSecret) {
		t.Errorf("got %v, want %v", err, ErrNoSecret)
	}
	same := set(t, jose.JSONWebKey{Key: key.Public()})
	if _, err := Amend(&c, testSecrets(t), func(c *store.Client) { c.JWKS = same }); !errors.Is(err, ErrUnchanged) {
		t.Errorf("the same keys with space: got %v, want %v", err, ErrUnchanged)
	}
	if _, err := Amend(&c, testSecrets(t), func(c *store.Client) { c.JWKSURI = "https://app.example.com/jwks" }); err != nil || c.JWKS != nil {
		t.Errorf("got %s and %v, want the URI in the place of the keys", c.JWKS, err)
	}
	if _, err := Amend(&c, testSecrets(t), func(c *store.Client) { c.JWKS = same }); err != nil || c.JWKSURI != "" {
		t.Errorf("got %q and %v, want the keys in the place of the URI", c.JWKSURI, err)
	}
	both := c.Clone()
	_, err := Amend(&both, testSecrets(t), func(c *store.Client) {
		c.JWKSURI, c.JWKS = "https://app.example.com/jwks", set(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public()})
	})
	if got := faultsOf(err); !slices.Equal(got, []string{"jwks"}) {
		t.Errorf("got faults of %v, want both refused when both are given", got)
	}
	secret, err = Amend(&c, testSecrets(t), func(c *store.Client) { c.AuthMethod = "" })
	if err != nil || c.JWKS != nil || c.AuthAlg != "" || c.Secrets[0] != store.HashSecret(secret) {
		t.Errorf("got %+v and %v, want a secret, and the keys gone", c, err)
	}
}

func TestKeysOfAClientSuccess(t *testing.T) {
	p256, n := ecKey(t, elliptic.P256()).Public(), rsaKey(t, 2048).Public()
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := func(alg string, all ...jose.JSONWebKey) {
		t.Helper()
		if err := checkKeys(set(t, all...), alg); err != nil {
			t.Errorf("%s: got %v, want nil", alg, err)
		}
	}
	f("ES256", jose.JSONWebKey{Key: p256})
	f("ES256", jose.JSONWebKey{Key: p256, KeyID: "a", Use: "sig", Algorithm: "ES256"}, jose.JSONWebKey{Key: ecKey(t, elliptic.P384()).Public(), KeyID: "b"})
	f("EdDSA", jose.JSONWebKey{Key: ed})
	f("RS256", jose.JSONWebKey{Key: n})
	f("PS256", jose.JSONWebKey{Key: n, KeyID: "a"}, jose.JSONWebKey{Key: p256, KeyID: "b", Use: "enc"})
}

func TestKeysOfAClientFailure(t *testing.T) {
	private := ecKey(t, elliptic.P256())
	p256 := private.Public()
	f := func(name, alg string, text json.RawMessage, part string) {
		t.Helper()
		if err := checkKeys(text, alg); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: got %v, want %q in it", name, err, part)
		}
	}
	f("no JSON", "ES256", []byte("x"), "RFC 7517")
	f("one key", "ES256", []byte(`{"kty":"EC"}`), "RFC 7517")
	f("null", "ES256", []byte(`null`), "RFC 7517")
	f("no key", "ES256", []byte(`{"keys":[]}`), "no key to verify")
	f("no object", "ES256", []byte(`{"keys":[7]}`), "key 1 is no JSON object")
	f("unknown type", "ES256", []byte(`{"keys":[{"kty":"XYZ"}]}`), "key 1 is no public key")
	f("private EC key", "ES256", set(t, jose.JSONWebKey{Key: private}), "key 1 has a private part")
	f("private RSA key", "RS256", set(t, jose.JSONWebKey{Key: rsaKey(t, 2048)}), "has a private part")
	f("symmetric key", "ES256", set(t, jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef")}), "has a private part")
	f("a prime beside a public key", "RS256", withMember(t, set(t, jose.JSONWebKey{Key: rsaKey(t, 2048).Public()}), "p"), "has a private part")
	f("RSA of 1024 bits, RFC 7518 §3.3", "RS256", set(t, jose.JSONWebKey{Key: rsaKey(t, 1024).Public()}), "1024 bits")
	f("a point off the curve", "ES256", []byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}`), "no public key")
	f("same kid", "ES256", set(t, jose.JSONWebKey{Key: p256, KeyID: "a"}, jose.JSONWebKey{Key: p256, KeyID: "a"}), "key 2 needs a kid")
	f("two without kid", "ES256", set(t, jose.JSONWebKey{Key: p256}, jose.JSONWebKey{Key: p256}), "key 2 needs a kid")
	f("of another algorithm", "EdDSA", set(t, jose.JSONWebKey{Key: p256}), "no key to verify")
	f("for encryption", "ES256", set(t, jose.JSONWebKey{Key: p256, Use: "enc"}), "no key to verify")
	f("says another algorithm", "PS256", set(t, jose.JSONWebKey{Key: rsaKey(t, 2048).Public(), Algorithm: "RS256"}), "no key to verify")
	f("another curve", "ES256", set(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P384()).Public()}), "no key to verify")
	f("too many", "ES256", []byte(`{"keys":[`+strings.Repeat("{},", 20)+`{}]}`), "at most 20")
}

// withMember is the set with a member more in its first key.
func withMember(t *testing.T, text json.RawMessage, name string) json.RawMessage {
	t.Helper()
	var all struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	all.Keys[0][name] = "AQAB"
	changed, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestEnrolTellsAllFaultsAtOnce: those of the store and those of the keys.
func TestEnrolTellsAllFaultsAtOnce(t *testing.T) {
	c := store.Client{ID: "a b", AuthMethod: store.AuthPrivateKeyJWT, AuthAlg: "none", JWKS: []byte("x"), Refresh: "x"}
	_, err := Enrol(&c, "", testSecrets(t))
	for _, field := range []string{"id", "auth_signing_alg", "jwks", "refresh"} {
		if !slices.Contains(faultsOf(err), field) {
			t.Errorf("got faults of %v, want %s among them", faultsOf(err), field)
		}
	}
}

// FuzzClientKeys: whatever is taken has public keys only.
func FuzzClientKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`), "ES256")
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`), "HS256")
	f.Fuzz(func(t *testing.T, text []byte, alg string) {
		if checkKeys(text, alg) != nil {
			return
		}
		var all jose.JSONWebKeySet
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("%q is taken and cannot be read: %v", text, err)
		}
		if !slices.ContainsFunc(all.Keys, func(key jose.JSONWebKey) bool { return keyFits(&key, alg) }) ||
			slices.ContainsFunc(all.Keys, func(key jose.JSONWebKey) bool { return !key.IsPublic() }) {
			t.Errorf("%q is taken", text)
		}
	})
}
