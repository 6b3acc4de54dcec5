package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// signers is one private key for each algorithm. RSA keys are slow to make: once for all tests.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"RS256": pair, "PS256": pair, "ES256": curve, "EdDSA": edwards}
})

const assertionSecret = "the secret of a client that signs with it 0123456789"

// newAsserting is rules with a client of private_key_jwt for each algorithm, named after it; one of client_secret_jwt, HS256; and the clients of newDesk.
func newAsserting(t testing.TB) (*desk, *Rules) {
	t.Helper()
	d, rules := newDesk(t)
	for alg, signer := range signers() {
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signer.Public(), KeyID: "k", Use: "sig"}}}
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		d.clients[alg] = &store.Client{ID: alg, AuthMethod: store.AuthPrivateKeyJWT, AuthAlg: alg, JWKS: text}
	}
	secrets, err := keys.ParseSecrets("a-secret-of-the-tests-with-more-than-32-bytes")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secrets.SealText("HS256", assertionSecret)
	if err != nil {
		t.Fatal(err)
	}
	rules.Secrets = secrets
	d.clients["HS256"] = &store.Client{ID: "HS256", AuthMethod: store.AuthClientSecretJWT, AuthAlg: "HS256", SealedSecret: sealed}
	return d, rules
}

// claims is what a right assertion of the client says, with changes: a name and its value; nil leaves it out.
func claims(rules *Rules, client string, changes ...any) jwt.MapClaims {
	now := rules.now()
	c := jwt.MapClaims{
		"iss": client, "sub": client, "aud": rules.Issuer, "exp": now + 60, "iat": now,
		"jti": store.NewID(time.Now()).String(),
	}
	for i := 0; i < len(changes); i += 2 {
		name := changes[i].(string)
		if c[name] = changes[i+1]; changes[i+1] == nil {
			delete(c, name)
		}
	}
	return c
}

// sign is the assertion, signed with the key of alg; headers are a name and its value.
func sign(t testing.TB, alg string, c jwt.MapClaims, headers ...any) []byte {
	t.Helper()
	text := jwt.NewWithClaims(jwt.GetSigningMethod(alg), c)
	text.Header["kid"] = "k"
	for i := 0; i < len(headers); i += 2 {
		if name := headers[i].(string); headers[i+1] == nil {
			delete(text.Header, name)
		} else {
			text.Header[name] = headers[i+1]
		}
	}
	var key any = []byte(assertionSecret)
	switch alg {
	case "HS256":
	case "none":
		key = jwt.UnsafeAllowNoneSignatureType
	default:
		key = signers()[alg]
	}
	signed, err := text.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(signed)
}

func present(rules *Rules, text []byte) (Caller, error) {
	return rules.Authenticate(&Credentials{Method: MethodAssertion, Assertion: text})
}

// RFC 7523 §2.2, OpenID Connect Core §9: each algorithm, and the method that was proved.
func TestAssertionsProveTheirClient(t *testing.T) {
	_, rules := newAsserting(t)
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		want := store.AuthPrivateKeyJWT
		if alg == "HS256" {
			want = store.AuthClientSecretJWT
		}
		for _, id := range [][]byte{nil, []byte(alg)} {
			c := &Credentials{Method: MethodAssertion, ID: id, Assertion: sign(t, alg, claims(rules, alg))}
			caller, err := rules.Authenticate(c)
			if err != nil || caller.ID != alg || caller.Proved != want || caller.Position != 1 || string(c.ID) != alg {
				t.Errorf("%s: got %+v, %v", alg, caller, err)
			}
		}
	}
	for name, text := range map[string][]byte{
		"typ client-authentication+jwt": sign(t, "ES256", claims(rules, "ES256"), "typ", "client-authentication+jwt"),
		"no typ":                        sign(t, "ES256", claims(rules, "ES256"), "typ", nil),
		"no kid":                        sign(t, "ES256", claims(rules, "ES256"), "kid", nil),
		"FAPI 2.0 §5.3.2.1: nbf and iat 10 s ahead":    sign(t, "ES256", claims(rules, "ES256", "nbf", rules.now()+10, "iat", rules.now()+10)),
		"RFC 7519 §2: a time with a fraction":          sign(t, "ES256", claims(rules, "ES256", "exp", float64(rules.now())+30.5)),
		"no iat":                                       sign(t, "ES256", claims(rules, "ES256", "iat", nil)),
		"claims that are not known":                    sign(t, "ES256", claims(rules, "ES256", "x", []string{"y"})),
		"RFC 7515 §4.1.3: embedded key, not looked at": sign(t, "ES256", claims(rules, "ES256"), "jku", "https://evil.example"),
	} {
		if _, err := present(rules, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 7523 §3, RFC 8725 §3, FAPI 2.0 §5.3.2.1: what is not exactly right proves nothing, and costs no I/O.
func TestAssertionsThatAreRefused(t *testing.T) {
	d, rules := newAsserting(t)
	d.clients["off"].AuthMethod, d.clients["off"].AuthAlg, d.clients["off"].JWKS = store.AuthPrivateKeyJWT, "ES256", d.clients["ES256"].JWKS
	now := rules.now()
	good := func(changes ...any) jwt.MapClaims { return claims(rules, "ES256", changes...) }
	es := func(changes ...any) []byte { return sign(t, "ES256", good(changes...)) }
	public, err := x509.MarshalPKIXPublicKey(signers()["RS256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(rules, "RS256")).SignedString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	if err != nil {
		t.Fatal(err)
	}
	right := string(es())
	parts := strings.Split(right, ".")
	for name, text := range map[string][]byte{
		"§3 iss missing":                 es("iss", nil),
		"iss of another":                 es("iss", "RS256"),
		"sub missing":                    es("sub", nil),
		"sub of another":                 es("sub", "RS256"),
		"unknown client":                 es("iss", "nobody", "sub", "nobody"),
		"disabled client":                es("iss", "off", "sub", "off"),
		"client of secrets":              es("iss", "web", "sub", "web"),
		"public client":                  es("iss", "native", "sub", "native"),
		"aud missing":                    es("aud", nil),
		"aud token endpoint":             es("aud", rules.Issuer+"/oauth/token"),
		"aud PAR endpoint":               es("aud", rules.Issuer+"/oauth/par"),
		"aud with slash":                 es("aud", rules.Issuer+"/"),
		"aud a list of the issuer":       es("aud", []string{rules.Issuer}),
		"aud a list of two":              es("aud", []string{rules.Issuer, "https://evil.example"}),
		"aud empty list":                 es("aud", []string{}),
		"aud null":                       sign(t, "ES256", jwt.MapClaims{"iss": "ES256", "sub": "ES256", "aud": nil, "exp": now + 60, "jti": "1"}),
		"aud number":                     es("aud", 1),
		"aud another":                    es("aud", "https://evil.example"),
		"exp missing":                    es("exp", nil),
		"exp past":                       es("exp", now-300),
		"exp now":                        es("exp", now-1),
		"exp far":                        es("exp", now+3600),
		"exp text":                       es("exp", "1"),
		"exp huge":                       es("exp", 1e300),
		"nbf ahead":                      es("nbf", now+120),
		"iat ahead":                      es("iat", now+120),
		"jti missing":                    es("jti", nil),
		"jti empty":                      es("jti", ""),
		"jti number":                     es("jti", 7),
		"jti long":                       es("jti", strings.Repeat("j", 256)),
		"RFC 8725 §3.11 an access token": sign(t, "ES256", good(), "typ", "at+jwt"),
		"typ number":                     sign(t, "ES256", good(), "typ", 1),
		"crit":                           sign(t, "ES256", good(), "crit", []string{"exp"}),
		"unknown kid":                    sign(t, "ES256", good(), "kid", "other"),
		"none":                           sign(t, "none", good()),
		"nOnE":                           sign(t, "none", good(), "alg", "nOnE"),
		"HS256 with the public key":      []byte(confused),
		"alg of another key":             sign(t, "RS256", claims(rules, "PS256")), // the same RSA key, registered for PS256
		"HS256 for a key":                sign(t, "HS256", good()),
		"a key for HS256":                sign(t, "ES256", claims(rules, "HS256")),
		"EdDSA for ES256":                sign(t, "EdDSA", good()),
		"no signature":                   []byte(parts[0] + "." + parts[1] + "."),
		"zero signature":                 []byte(parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86)),
		"other payload":                  []byte(parts[0] + "." + strings.Split(string(es("x", 1)), ".")[1] + "." + parts[2]),
		"JSON serialisation":             []byte(`{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`),
		"empty":                          nil,
		"dots":                           []byte(strings.Repeat(".", 60<<10)),
		"too long":                       es("x", strings.Repeat("x", maxAssertion)),
	} {
		c := &Credentials{Method: MethodAssertion, Assertion: text}
		if caller, err := rules.Authenticate(c); !errors.Is(err, error(ErrClient)) {
			t.Errorf("%s: got %+v, %v", name, caller, err)
		}
	}
	c := &Credentials{Method: MethodAssertion, ID: []byte("RS256"), Assertion: es()}
	if _, err := rules.Authenticate(c); !errors.Is(err, error(ErrClient)) {
		t.Errorf("RFC 7521 §4.2, another client_id: got %v", err)
	}
	if d.asked != 0 {
		t.Errorf("promise P6: the store was asked %d times", d.asked)
	}
}

// RFC 8259 §4: a member twice, or in another case, is how two readers see two assertions.
func TestAssertionWithAmbiguousMembers(t *testing.T) {
	_, rules := newAsserting(t)
	now := rules.now()
	for _, payload := range []string{
		`{"iss":"ES256","sub":"ES256","aud":"https://evil.example","aud":"%s","exp":%d,"jti":"1"}`,
		`{"iss":"ES256","sub":"ES256","Aud":"%s","exp":%d,"jti":"2"}`,
	} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signers()["ES256"]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(fmt.Appendf(nil, payload, rules.Issuer, now+60))
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := present(rules, []byte(text)); !errors.Is(err, error(ErrClient)) {
			t.Errorf("%s: got %v", payload, err)
		}
	}
}

// A client is admitted by its registered method alone.
func TestClientThatSignsIsAdmittedByNothingElse(t *testing.T) {
	d, rules := newAsserting(t)
	for _, id := range []string{"ES256", "HS256"} {
		d.clients[id].Secrets = []store.SecretHash{store.HashSecret(assertionSecret)}
		for _, method := range []Method{MethodNone, MethodBasic, MethodPost} {
			if _, err := rules.Authenticate(&Credentials{Method: method, ID: []byte(id), Secret: []byte(assertionSecret)}); !errors.Is(err, error(ErrClient)) {
				t.Errorf("%s by method %d: got %v", id, method, err)
			}
		}
	}
}

// A key that is left over in a client's registration opens nothing: its method is another.
func TestAssertionOfAClientWithAnotherMethodIsRefused(t *testing.T) {
	d, rules := newAsserting(t)
	for _, method := range []string{"", store.AuthBasic, store.AuthPost, store.AuthNone, store.AuthClientSecretJWT} {
		d.clients["ES256"].AuthMethod = method
		if _, err := present(rules, sign(t, "ES256", claims(rules, "ES256"))); !errors.Is(err, error(ErrClient)) {
			t.Errorf("method %q: got %v", method, err)
		}
	}
}

// RFC 7523 §3: accepted once, promise P3: at any concurrency; remembered until it expires.
func TestAssertionIsAcceptedOnce(t *testing.T) {
	d, rules := newAsserting(t)
	text := sign(t, "ES256", claims(rules, "ES256", "jti", "once"))
	var group sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for range 16 {
		group.Go(func() {
			if _, err := present(rules, text); err == nil {
				mu.Lock()
				accepted++
				mu.Unlock()
			} else if !errors.Is(err, error(ErrClient)) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if accepted != 1 {
		t.Errorf("accepted %d times", accepted)
	}
	if until := d.jtis["ES256 once"]; until < rules.now()+55+maxAssertionLife+maxAhead {
		t.Errorf("remembered until %d", until)
	}
	if _, err := present(rules, sign(t, "EdDSA", claims(rules, "EdDSA", "jti", "once"))); err != nil {
		t.Errorf("the same jti of another client: %v", err)
	}
}

// Promise P5: what cannot be known is 503.
func TestAssertionFaultsAreNoRefusals(t *testing.T) {
	d, rules := newAsserting(t)
	want := func(name, alg string) {
		t.Helper()
		if _, err := present(rules, sign(t, alg, claims(rules, alg))); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
	d.down = true
	want("the store is down", "ES256")
	d.down, d.stale = false, true
	d.clients["new"], d.clients["ES256"] = d.clients["ES256"], nil
	want("not known here, cut off", "ES256")
	d.stale = false
	rules.Secrets = keys.Secrets{}
	want("the secret cannot be opened", "HS256")
	d.clients["RS256"].JWKS, d.clients["RS256"].JWKSURI = nil, "https://app.example.com/jwks"
	rules.KeySets = published{fault: store.ErrUnavailable}
	want("the keys cannot be fetched", "RS256")
	if d.asked != 1 {
		t.Errorf("the store was asked %d times", d.asked)
	}
}

type published struct {
	keys  []jose.JSONWebKey
	fault error
}

func (p published) Keys(context.Context, string, string, string) ([]jose.JSONWebKey, error) {
	return p.keys, p.fault
}

// RFC 7518 §3.3, §3.4, RFC 7517 §4.2, §4.4: published keys that do not suit are passed over.
func TestPublishedKeys(t *testing.T) {
	d, rules := newAsserting(t)
	d.clients["RS256"].JWKS, d.clients["RS256"].JWKSURI = nil, "https://app.example.com/jwks"
	public := signers()["RS256"].Public()
	for _, test := range []struct {
		name string
		key  jose.JSONWebKey
		ok   bool
	}{
		{"suits", jose.JSONWebKey{Key: public, KeyID: "k"}, true},
		{"says so", jose.JSONWebKey{Key: public, KeyID: "k", Use: "sig", Algorithm: "RS256"}, true},
		{"without kid", jose.JSONWebKey{Key: public}, true},
		{"for encryption", jose.JSONWebKey{Key: public, KeyID: "k", Use: "enc"}, false},
		{"for PS256", jose.JSONWebKey{Key: public, KeyID: "k", Algorithm: "PS256"}, false},
		{"another kid", jose.JSONWebKey{Key: public, KeyID: "j"}, false},
		{"private", jose.JSONWebKey{Key: signers()["RS256"], KeyID: "k"}, false},
		{"symmetric", jose.JSONWebKey{Key: []byte(assertionSecret), KeyID: "k"}, false},
	} {
		rules.KeySets = published{keys: []jose.JSONWebKey{test.key}}
		if _, err := present(rules, sign(t, "RS256", claims(rules, "RS256"))); (err == nil) != test.ok {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims(rules, "RS256")).SignedString(weak)
	if err != nil {
		t.Fatal(err)
	}
	rules.KeySets = published{keys: []jose.JSONWebKey{{Key: weak.Public()}}}
	if _, err := present(rules, []byte(text)); !errors.Is(err, error(ErrClient)) {
		t.Errorf("1024 bits: got %v", err)
	}
}

func FuzzAssertion(f *testing.F) {
	d, rules := newAsserting(f)
	d.clients["RS256"].JWKS, d.clients["RS256"].JWKSURI = nil, "https://app.example.com/jwks"
	rules.KeySets = published{fault: store.ErrUnavailable}
	f.Add(sign(f, "ES256", claims(rules, "ES256", "iss", "RS256")))
	f.Add([]byte("eyJhbGciOiJub25lIn0.e30."))
	f.Add([]byte("a.b.c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if caller, err := present(rules, text); err == nil {
			t.Fatalf("%q proved %s", text, caller.ID)
		}
		if d.asked > 0 {
			t.Fatal("garbage asked the store")
		}
	})
}
