package hotpath

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

func hash(text string) store.SecretHash { return sha256.Sum256([]byte(text)) }

// publicKey finds a P-256 key in a JWK set (RFC 7518 §6.2).
func publicKey(t *testing.T, set []map[string]any, kid any) *ecdsa.PublicKey {
	t.Helper()
	for _, key := range set {
		if key["kid"] == kid {
			point := []byte{4} // SEC 1 §2.3.3: uncompressed, then x and y in full length
			for _, name := range []string{"x", "y"} {
				raw, err := base64.RawURLEncoding.DecodeString(key[name].(string))
				if err != nil {
					t.Fatal(err)
				}
				point = append(point, raw...)
			}
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
			if err != nil {
				t.Fatal(err)
			}
			return public
		}
	}
	t.Fatalf("key %v is not published", kid)
	return nil
}

// RFC 7662 §2.2: the members of an active answer.
func TestIntrospectionAnswer(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"app", "jwt"} {
		r := s.wantActive(client, s.issue(client))
		for name, want := range map[string]any{
			"client_id": client, "sub": client, "scope": "read write", "iss": issuer,
			"token_type": "Bearer", "aud": "https://api.example.com",
		} {
			if got := r.field(name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if exp, iat := r.field("exp").(float64), r.field("iat").(float64); exp-iat != 3600 {
			t.Errorf("exp %v, iat %v", exp, iat)
		}
		if _, err := store.ParseID(r.field("jti").(string)); err != nil {
			t.Errorf("jti: %v", err)
		}
		if r.header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
	}
}

// RFC 7662 §2.1, §4: who may learn of a token. Everybody else is told exactly what is told of garbage.
func TestWhoMaySeeAToken(t *testing.T) {
	s := newSite(t)
	for _, issued := range []string{"app", "jwt"} {
		forAPI, forFiles := s.issue(issued), s.issue(issued, "resource", "files")
		both := s.issue(issued, "resource", "files", "resource", "https://api.example.com")
		s.wantActive(issued, forFiles)    // its own
		s.wantActive("auditor", forFiles) // any
		s.wantActive("gateway", forAPI)   // the resource it is for
		s.wantActive("gateway", both)
		s.wantInactive("gateway", forFiles) // another resource
		s.wantInactive("basic", forAPI)     // a stranger
	}
}

func TestIntrospectionNeedsACallerThatCanAuthenticate(t *testing.T) {
	s := newSite(t)
	token := s.issue("app")
	wantError(t, s.do(call{path: "/oauth/introspect", form: values("token", token)}), 401, "invalid_client")
	wantError(t, s.do(call{path: "/oauth/introspect", form: values("token", token, "client_id", "page")}), 401, "invalid_client")
	wantError(t, s.do(call{path: "/oauth/introspect", basic: "app", pass: "wrong", form: values("token", token)}), 401, "invalid_client")
	wantError(t, s.do(call{path: "/oauth/introspect", basic: "app", form: values("foo", "bar")}), 400, "invalid_request")
	wantError(t, s.do(call{path: "/oauth/introspect", basic: "app", form: values("token", "")}), 400, "invalid_request")
}

func TestTokenTypeHintHidesNothing(t *testing.T) {
	s := newSite(t)
	r := s.do(call{path: "/oauth/introspect", basic: "app", form: values("token", s.issue("app"), "token_type_hint", "refresh_token")})
	if r.field("active") != true { // RFC 7662 §2.1
		t.Errorf("got %s", r.body)
	}
}

// Any single flipped, added or missing byte makes a token inactive.
func TestAlteredTokensAreInactive(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"app", "jwt"} {
		text := s.issue(client)
		step := max(1, len(text)/60)
		for i := 0; i < len(text); i += step {
			other := byte('A')
			if text[i] == 'A' {
				other = 'B'
			}
			s.wantInactive(client, text[:i]+string(other)+text[i+1:])
			s.wantInactive(client, text[:i]+text[i+1:])
			s.wantInactive(client, text[:i]+"A"+text[i:])
		}
		s.wantInactive(client, strings.ToUpper(text))
		s.wantActive(client, text)
	}
}

func TestExpiredTokenIsInactive(t *testing.T) {
	s := newSite(t)
	token := s.issue("short")
	for range 200 { // two seconds of polls
		if s.introspect("short", token).body == oauth.Inactive {
			return
		}
		s.tier.AwaitPoll()
	}
	t.Fatal("a token of one second is still active")
}

func TestBatchIntrospection(t *testing.T) {
	s := newSite(t)
	opaque, jwt, revoked := s.issue("app"), s.issue("jwt"), s.issue("app")
	s.do(call{path: "/oauth/revoke", basic: "app", form: values("token", revoked)})
	batch := func(client, body string) reply {
		return s.do(call{path: batchPath, basic: client, body: body, headers: map[string]string{"Content-Type": "application/x-ndjson"}})
	}
	line := func(token string) string { return fmt.Sprintf(`{"token":%q}`, token) }
	r := batch("auditor", strings.Join([]string{line(opaque), line("garbage"), line(jwt), line(revoked), line(opaque)}, "\n")+"\n")
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	lines := strings.Split(strings.TrimSuffix(r.body, "\n"), "\n")
	want := []string{s.introspect("auditor", opaque).body, oauth.Inactive, s.introspect("auditor", jwt).body, oauth.Inactive, s.introspect("auditor", opaque).body}
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("line %d is %s, want %s", i+1, lines[i], want[i])
		}
	}
	if r := batch("basic", line(opaque)); r.body != oauth.Inactive+"\n" {
		t.Errorf("a stranger is told %s", r.body)
	}
	wantError(t, batch("auditor", line(opaque)+"\n{\"token\":1}\n"), 400, "invalid_request")
	if r := batch("auditor", line(opaque)+"\nnonsense\n"); !strings.Contains(r.body, "line 2") {
		t.Errorf("the malformed line is not named: %s", r.body)
	}
	wantError(t, batch("auditor", strings.Repeat(line("x")+"\n", 1001)), 400, "invalid_request")
	if r := batch("auditor", strings.Repeat(line(opaque)+"\n", 1000)); strings.Count(r.body, `"active":true`) != 1000 {
		t.Errorf("1,000 lines: %d %.200s", r.status, r.body)
	}
	wantError(t, s.do(call{path: batchPath, body: line(opaque), headers: map[string]string{"Content-Type": "application/x-ndjson"}}), 401, "invalid_client")
}

// P6: an answer always belongs to its own request.
func TestAnswersBelongToTheirRequests(t *testing.T) {
	s := newSite(t)
	var all sync.WaitGroup
	for worker := range 16 {
		client := []string{"app", "jwt"}[worker%2]
		all.Go(func() {
			for range 40 {
				token := s.issue(client)
				jti := s.introspect(client, token).field("jti")
				for range 3 {
					if got := s.introspect("auditor", token); got.field("jti") != jti || got.field("client_id") != client {
						t.Errorf("asked for %v of %s, got %s", jti, client, got.body)
					}
				}
			}
		})
	}
	all.Wait()
}
