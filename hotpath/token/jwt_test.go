package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

func appendJWT(t testing.TB, ring *keys.Ring, r *store.Record) []byte {
	t.Helper()
	text, err := AppendJWT(nil, ring.Signer(), issuer, r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signed is a token of the active key with claims of any kind.
func signed(t testing.TB, ring *keys.Ring, claims string) []byte {
	t.Helper()
	text := append(slices.Clone(ring.Signer().Header()), '.')
	text = base64.RawURLEncoding.AppendEncode(text, []byte(claims))
	signature, err := ring.Signer().Sign(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.AppendEncode(append(text, '.'), signature)
}

func equal(a, b *store.Record) bool { return bytes.Equal(a.Append(nil), b.Append(nil)) }

func TestJWTRoundTripEveryAlg(t *testing.T) {
	for _, alg := range keys.Algs() {
		ring := newRing(t, alg)
		for _, alter := range []func(r *store.Record){
			func(*store.Record) {},
			func(r *store.Record) { r.Scope = nil },
			func(r *store.Record) { r.Audience = []byte("a b https://c.example/d?e=f") },
			func(r *store.Record) { r.Grant = store.NewID(now) },
			func(r *store.Record) { r.Issued, r.Expires, r.Position = 0, 1<<32-1, 1<<63-1 },
			func(r *store.Record) { r.Subject = []byte("\"\\\x00\x1f\x7f/<>&é\u2028😀") },
		} {
			want := newRecord()
			alter(want)
			text, err := AppendJWT([]byte("before"), ring.Signer(), issuer, want)
			if err != nil || !bytes.HasPrefix(text, []byte("before")) || KindOf(text[6:]) != JWT {
				t.Fatalf("%s: %v", alg, err)
			}
			var got store.Record
			if err := ParseJWT(ring, issuer, text[6:], &got); err != nil || !equal(&got, want) {
				t.Errorf("%s: got %+v, %v, want %+v", alg, got, err, want)
			}
		}
	}
}

func TestJWTRecordIsFreshMemory(t *testing.T) {
	ring := newRing(t, keys.EdDSA)
	want := newRecord()
	text := appendJWT(t, ring, want)
	var got store.Record
	if err := ParseJWT(ring, issuer, text, &got); err != nil {
		t.Fatal(err)
	}
	clear(text)
	for _, field := range [][]byte{got.Client, got.Subject, got.Scope, got.Audience} {
		_ = append(field, "overwritten"...)
	}
	if !equal(&got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// RFC 9068 §2.2: names and types of the claims, as any other reader sees them.
func TestJWTClaimsAreThoseOfRFC9068(t *testing.T) {
	r := newRecord()
	r.Audience = []byte("a b")
	b, err := appendClaims(nil, issuer, r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"iss":"https://issuer.example","sub":"client","aud":["a","b"],"client_id":"client","scope":"read write",` +
		`"iat":1767323045,"exp":1767326645,"jti":"` + r.ID.String() + `","pos":42}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestJWTIsReadByGolangJWT(t *testing.T) {
	for _, alg := range keys.Algs() {
		ring := newRing(t, alg)
		r := newRecord()
		text := appendJWT(t, ring, r)
		find := func(token *jwt.Token) (any, error) {
			if token.Header["typ"] != "at+jwt" {
				t.Errorf("%s: typ is %v", alg, token.Header["typ"])
			}
			return publicKey(t, ring, token.Header["kid"].(string)), nil
		}
		var claims jwt.RegisteredClaims
		_, err := jwt.ParseWithClaims(string(text), &claims, find, jwt.WithValidMethods([]string{string(alg)}),
			jwt.WithIssuer(issuer), jwt.WithAudience("https://api.example"), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding())
		if err != nil || claims.Subject != "client" || claims.ID != r.ID.String() {
			t.Errorf("%s: got %+v, %v", alg, claims, err)
		}
	}
}

func TestJWTIsReadByGoJose(t *testing.T) {
	for _, alg := range keys.Algs() {
		ring := newRing(t, alg)
		text := appendJWT(t, ring, newRecord())
		parsed, err := jose.ParseSignedCompact(string(text), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		claims, err := parsed.Verify(publicKey(t, ring, parsed.Signatures[0].Header.KeyID))
		if err != nil || !bytes.Contains(claims, []byte(`"client_id":"client"`)) {
			t.Errorf("%s: got %s, %v", alg, claims, err)
		}
	}
}

// publicKey is what a resource server verifies with: from the JWKS, or the shared key it was given.
func publicKey(t *testing.T, ring *keys.Ring, kid string) any {
	t.Helper()
	if shared := secrets(t).HS256()[0]; shared.KID == kid {
		var key jose.JSONWebKey
		if err := json.Unmarshal(shared.JWK(), &key); err != nil {
			t.Fatal(err)
		}
		return key.Key
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS().Body, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Key(kid)) != 1 {
		t.Fatalf("key %s is not published once", kid)
	}
	return set.Key(kid)[0].Key
}

func TestJWTAlteredTextIsRefused(t *testing.T) {
	for _, alg := range []keys.Alg{keys.ES256, keys.EdDSA, keys.RS256, keys.HS256} {
		ring := newRing(t, alg)
		text := appendJWT(t, ring, newRecord())
		f := func(name string, i int, text []byte) {
			t.Helper()
			var r store.Record
			if err := ParseJWT(ring, issuer, text, &r); err == nil || r.Client != nil {
				t.Errorf("%s: %s at %d: got %v", alg, name, i, err)
			}
		}
		for i := range text {
			for _, c := range []byte{text[i] ^ 1, text[i] ^ 0x20, '.', '\n', '=', 'A', '-'} {
				if c != text[i] {
					flipped := slices.Clone(text)
					flipped[i] = c
					f("flip", i, flipped)
				}
				f("insert", i, slices.Insert(slices.Clone(text), i, c))
			}
			f("delete", i, slices.Delete(slices.Clone(text), i, i+1))
		}
		for _, more := range []string{"A", "AA", ".", "=", "==", "\n", "\r\n", " ", "\x00"} {
			f("extended", len(text), append(slices.Clone(text), more...))
			f("preceded", 0, append([]byte(more), text...))
		}
		last := bytes.LastIndexByte(text, '.')
		f("no signature", 0, text[:last+1])
		f("two segments", 0, text[:last])
		f("zero signature", 0, base64.RawURLEncoding.AppendEncode(text[:last+1:last+1], make([]byte, 64)))
		f("upper case", 0, bytes.ToUpper(text))
	}
}

func TestJWTErrorsTellWhy(t *testing.T) {
	ring, other := newRing(t, keys.ES256), newRing(t, keys.ES256)
	text := appendJWT(t, ring, newRecord())
	f := func(ring *keys.Ring, text []byte, want error) {
		t.Helper()
		if err := ParseJWT(ring, issuer, text, new(store.Record)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(ring, nil, ErrMalformed)
	f(ring, []byte("a.b"), ErrMalformed)
	f(ring, []byte("a.b.c.d"), ErrMalformed)
	f(ring, bytes.Repeat([]byte("."), MaxJWTBytes+1), ErrMalformed)
	f(ring, append(slices.Clone(text), '\n'), ErrMalformed)
	f(ring, signed(t, ring, `{}`), ErrMalformed)
	f(other, text, ErrUnknownKey)
	f(ring, append(text[:len(text)-86:len(text)-86], bytes.Repeat([]byte("A"), 86)...), ErrSignature)

	var r store.Record
	if err := ParseJWT(ring, "https://other.example", text, &r); !errors.Is(err, ErrIssuer) || string(r.Client) != "client" {
		t.Errorf("got %v with client %q", err, r.Client)
	}
}

// RFC 8725 §2.1: the algorithm is the key's, never the token's.
func TestJWTAlgorithmConfusionIsRefused(t *testing.T) {
	ring := newRing(t, keys.RS256)
	kid := ring.Signer().KID
	public := publicKey(t, ring, kid)
	pem, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := appendClaims(nil, issuer, newRecord())
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, method jwt.SigningMethod, key any) {
		t.Helper()
		var typed jwt.MapClaims
		if err := json.Unmarshal(claims, &typed); err != nil {
			t.Fatal(err)
		}
		made := jwt.NewWithClaims(method, typed)
		made.Header["kid"], made.Header["typ"] = kid, "at+jwt"
		text, err := made.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := ParseJWT(ring, issuer, []byte(text), new(store.Record)); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: got %v, want %v", name, err, ErrUnknownKey)
		}
	}
	f("HS256 keyed with the public key", jwt.SigningMethodHS256, pem)
	f("none", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)

	// Even with the right header the signature must be the algorithm's.
	text := append(slices.Clone(ring.Signer().Header()), '.')
	text = base64.RawURLEncoding.AppendEncode(text, claims)
	mac, err := jwt.SigningMethodHS256.Sign(string(text), pem)
	if err != nil {
		t.Fatal(err)
	}
	text = base64.RawURLEncoding.AppendEncode(append(text, '.'), mac)
	if err := ParseJWT(ring, issuer, text, new(store.Record)); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v, want %v", err, ErrSignature)
	}
}

// Promise P6: a flood of dots or a long text costs nothing.
func TestJWTLongTextIsRefused(t *testing.T) {
	ring := newRing(t, keys.EdDSA)
	r := newRecord()
	r.Scope = bytes.Repeat([]byte("s"), MaxJWTBytes)
	if got, err := AppendJWT([]byte("x"), ring.Signer(), issuer, r); !errors.Is(err, errTooLong) || string(got) != "x" {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	b, err := appendClaims(nil, issuer, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := ParseJWT(ring, issuer, signed(t, ring, string(b)), r); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v", err, ErrMalformed)
	}
}

func TestAppendJWTRefusesWhatItCouldNotRead(t *testing.T) {
	ring := newRing(t, keys.EdDSA)
	f := func(want error, alter func(r *store.Record)) {
		t.Helper()
		r := newRecord()
		alter(r)
		if _, err := AppendJWT(nil, ring.Signer(), issuer, r); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(errIncomplete, func(r *store.Record) { r.Subject = nil })
	f(errIncomplete, func(r *store.Record) { r.Client = nil })
	f(errIncomplete, func(r *store.Record) { r.Audience = nil })
	f(errNotUTF8, func(r *store.Record) { r.Scope = []byte("\xff") })
}

func TestParseClaimsStrict(t *testing.T) {
	id := store.NewID(now).String()
	good := `{"iss":"i","sub":"s","aud":"a","client_id":"c","iat":1,"exp":2,"jti":"` + id + `","pos":3}`
	accepted := func(claims string) {
		t.Helper()
		var r store.Record
		if _, ok := parseClaims([]byte(claims), &r); !ok || string(r.Client) != "c" || r.Position != 3 {
			t.Errorf("%s: refused", claims)
		}
	}
	refused := func(claims string) {
		t.Helper()
		r := store.Record{Position: 99}
		if _, ok := parseClaims([]byte(claims), &r); ok || r.Position != 99 {
			t.Errorf("%s: accepted", claims)
		}
	}
	with := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the claims", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	accepted(good)
	accepted(with(`"aud":"a"`, `"aud":["a"]`))
	accepted(with(`"aud":"a"`, `"aud":["a","b"]`))
	// A newer version may write more.
	accepted(with(`{`, `{"new":{"a":[1,-2,"x",null,true,false],"b":{}},"list":[],`))

	for _, name := range []string{"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "pos"} {
		refused(with(`"`+name+`"`, `"x`+name+`"`)) // required, RFC 9068 §2.2
		start := strings.Index(good, `"`+name+`"`)
		end := start + strings.IndexAny(good[start:], ",}")
		refused(with(`{`, `{`+good[start:end]+`,`)) // twice
		for _, value := range []string{`null`, `true`, `{}`, `[]`, `[1]`, `""`, `[""]`, `-1`, `1.0`, `1e3`, `01`, `"1"x`, `99999999999999999999`} {
			refused(good[:start] + `"` + name + `":` + value + good[end:])
		}
	}
	refused(with(`"iat":1`, `"iat":"1"`))
	refused(with(`"iat":1`, `"iat":`))
	refused(with(`"exp":2`, `"exp":4294967296`))
	refused(with(`"pos":3`, `"pos":9223372036854775808`))
	refused(with(`"sub":"s"`, `"sub":1`))
	refused(with(`"sub":"s"`, `"Sub":"s"`))
	refused(with(`"sub":"s"`, "\"sub\":\"\x01\""))
	refused(with(`"sub":"s"`, "\"sub\":\"\xff\""))
	refused(with(`"sub":"s"`, `"sub":"\u00e9"`)) // we write no such escape
	refused(with(`"sub":"s"`, `"sub":"\ud800"`))
	refused(with(`"sub":"s"`, `"sub":"\n"`))
	refused(with(`"aud":"a"`, `"aud":["a",]`))
	refused(with(`"aud":"a"`, `"aud":["a",""]`))
	refused(with(`"aud":"a"`, `"aud":["a",1]`))
	refused(with(`"aud":"a"`, `"aud":["a" ,"b"]`))
	refused(with(`"aud":"a"`, `"aud":"a b"`))
	refused(with(id, strings.ToUpper(id)))
	refused(with(id, "00000000-0000-0000-0000-000000000000"))
	refused(with(`{`, `{"scope":"",`))
	refused(with(`{`, `{"grant":"x",`))
	refused(with(`{`, `{"deep":[[[[[1]]]]],`))
	refused(with(`{`, `{"x":1.5,`))
	refused(with(`{`, `{"x":nul,`))
	refused(with(`{`, `{,`))
	refused(with(`{`, ` {`))
	refused(with(`}`, `,}`))
	refused(with(`}`, ``))
	refused(good + "{}")
	refused(good + "\n")
	refused("")
	refused("{}")
	refused("[]")
	refused(`{"`)
	refused(`{"\`)
	refused(`{"\u00`)
}

// FuzzAppendString: encoding/json reads back any text that is UTF-8, and so do we.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\/", "\x00\x1f\x7f", "é\u2028😀", "<&>", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		written := AppendString(nil, text)
		var got string
		if err := json.Unmarshal(written, &got); err != nil || got != strings.ToValidUTF8(text, "\uFFFD") && strings.ToValidUTF8(text, "") == text {
			t.Fatalf("%q became %s, read as %q, %v", text, written, got, err)
		}
		s := scanner{rest: written}
		if own := s.text(); s.bad || string(own) != text || len(s.rest) != 0 {
			t.Errorf("%q was read as %q", text, own)
		}
	})
}

// FuzzParseClaims: what we accept, encoding/json accepts and understands alike.
func FuzzParseClaims(f *testing.F) {
	r := newRecord()
	r.Audience = []byte("a b")
	good, err := appendClaims(nil, issuer, r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), "{", `{"new":[1,{"a":null}],`, 1)))
	f.Add([]byte(`{"iss":"\u001f\"\\","iss":"b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var oracle struct {
			Iss, Sub, Scope string
			Aud             any
			Client          string `json:"client_id"`
			Iat, Exp, Pos   int64
			Jti             store.ID
		}
		// Other cases of a name are other claims to us, and the same to encoding/json.
		sameNames := json.Unmarshal(b, &oracle) == nil && bytes.Equal(b, bytes.ToLower(b))
		valid := json.Valid(b)
		var r store.Record
		iss, ok := parseClaims(bytes.Clone(b), &r)
		if !ok {
			return
		}
		if !valid {
			t.Fatalf("%s is no JSON", b)
		}
		if sameNames && (oracle.Iss != string(iss) || oracle.Sub != string(r.Subject) || oracle.Scope != string(r.Scope) ||
			oracle.Client != string(r.Client) || oracle.Iat != r.Issued || oracle.Exp != r.Expires ||
			oracle.Pos != int64(r.Position) || oracle.Jti != r.ID) {
			t.Errorf("%s: got %+v, want %+v", b, r, oracle)
		}
	})
}

func FuzzParseJWT(f *testing.F) {
	ring := goldenRing(f)
	const good = goldenJWT
	f.Add(good)
	f.Add(good + "\n")
	f.Add(strings.Repeat(".", 100))
	f.Add(string(ring.Signer().Header()) + "..")
	f.Fuzz(func(t *testing.T, text string) {
		if err := ParseJWT(ring, issuer, []byte(text), new(store.Record)); (err == nil) != (text == good) {
			t.Errorf("%q: got %v", text, err)
		}
	})
}
