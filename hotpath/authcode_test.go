package hotpath

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// RFC 6749 §5.1, OpenID Connect Core §3.1.3.3: what a code is worth.
func TestCodeIsAnsweredWithTokens(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"web", "spa", "once"} {
		r := s.redeem(client, s.code(client))
		access, refresh := wantTokens(t, r)
		if (refresh != "") != (client != "once") {
			t.Errorf("%s: refresh token %q", client, refresh)
		}
		if r.header.Get("Cache-Control") != "no-store" || r.field("token_type") != "Bearer" || r.field("expires_in") != 3600.0 {
			t.Errorf("%s: %v %s", client, r.header, r.body)
		}
		claims := payload(t, r.field("id_token"))
		seen := s.wantActive("auditor", access)
		if claims["nonce"] != nonce || claims["aud"] != client || claims["sub"] != seen.field("sub") || seen.field("client_id") != client {
			t.Errorf("%s: id_token %v, access token %s", client, claims, seen.body)
		}
		if seen.field("scope") != "openid offline_access read write" || len(seen.field("aud").([]any)) != 2 {
			t.Errorf("%s: got %s", client, seen.body)
		}
	}
	r := s.redeem("web", s.code("web", func(c *store.Code) { c.Grant.Scope = "read" }))
	if r.status != 200 || r.field("id_token") != nil { // OpenID Connect Core §3.1.2.1: without openid it is plain OAuth
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func payload(t testing.TB, jwt any) (claims map[string]any) {
	t.Helper()
	text, _ := jwt.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("got %q, want a JWT", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		t.Fatalf("got %q, %v", raw, err)
	}
	return claims
}

// Each binding refuses alone (RFC 6749 §4.1.3, RFC 7636 §4.6), changes nothing, and the code is good afterwards: only a valid second use
// may revoke (OAuth 2.1 §4.1.3).
func TestCodeIsBound(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name   string
		client string
		more   []string
		code   string
	}{
		{"RFC 6749 §4.1.3: another client", "static", nil, "invalid_grant"},
		{"a public client that says it is the one", "spa", nil, "invalid_grant"},
		{"§4.1.3: another redirect URI", "web", []string{"redirect_uri", callback + "/"}, "invalid_grant"},
		{"§4.1.3: the redirect URI left out", "web", []string{"redirect_uri", ""}, "invalid_grant"},
		{"RFC 7636 §4.6: another verifier", "web", []string{"code_verifier", strings.Repeat("a", 43)}, "invalid_grant"},
		{"§4.6: the verifier left out", "web", []string{"code_verifier", ""}, "invalid_grant"},
		{"§4.1: a verifier of 42 characters", "web", []string{"code_verifier", verifier[:42]}, "invalid_grant"},
		{"§4.1: a verifier of 129 characters", "web", []string{"code_verifier", strings.Repeat("a", 129)}, "invalid_grant"},
		{"§4.1: a reserved character", "web", []string{"code_verifier", verifier[:42] + "="}, "invalid_grant"},
		{"§4.2: plain is no method: the challenge as the verifier", "web", []string{"code_verifier", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "invalid_grant"},
		{"RFC 6749 §4.1.3: the code left out", "web", []string{"code", ""}, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := s.code("web")
			wantError(t, s.redeem(test.client, code, test.more...), 400, test.code)
			wantTokens(t, s.redeem("web", code))
		})
	}
}

// RFC 7636 §4.1: a verifier out of its grammar is refused though the challenge is its hash.
func TestVerifierHasItsGrammar(t *testing.T) {
	s := newSite(t)
	f := func(verifier string, good bool) {
		t.Helper()
		code := s.code("web", func(c *store.Code) { c.Challenge = sha256.Sum256([]byte(verifier)) })
		r := s.redeem("web", code, "code_verifier", verifier)
		if good {
			wantTokens(t, r)
		} else {
			wantError(t, r, 400, "invalid_grant")
		}
	}
	f(strings.Repeat("aZ09-._~", 16), true) // 128
	f(strings.Repeat("~", 43), true)
	f(strings.Repeat("a", 42), false)
	f(strings.Repeat("a", 129), false)
	for _, c := range []string{"=", "+", "/", " ", "@", "[", "`", "{", "é"} {
		f(strings.Repeat("a", 43)+c, false)
	}
}

// RFC 6749 §5.2, §10.2: who authenticates wrongly gets nothing, and who is not registered for codes neither.
func TestCodeNeedsItsClient(t *testing.T) {
	s := newSite(t)
	code := s.code("web")
	wrong := tokenForm("web", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
	wrong.pass = "another secret"
	wantError(t, s.do(wrong), 401, "invalid_client")
	wrong.basic, wrong.pass = "", ""
	wrong.form.Set("client_id", "web") // RFC 6749 §3.2.1: it has a secret, and must use it
	wantError(t, s.do(wrong), 401, "invalid_client")
	wantError(t, s.redeem("app", code), 400, "unauthorized_client")
	wantTokens(t, s.redeem("web", code))
}

// OAuth 2.1 §4.1.3, RFC 6749 §4.1.2: a second valid use is refused, and revokes what the first was given.
func TestCodeRedeemedTwiceRevokesItsTokens(t *testing.T) {
	s := newSite(t)
	code := s.code("web")
	access, refresh := wantTokens(t, s.redeem("web", code))
	wantError(t, s.redeem("spa", code), 400, "invalid_grant") // not by a stranger
	wantError(t, s.redeem("web", code, "code_verifier", strings.Repeat("a", 43)), 400, "invalid_grant")
	s.applied()
	s.wantActive("auditor", access)
	wantError(t, s.redeem("web", code), 400, "invalid_grant")
	s.wantGone(access, refresh)
}

// Promise P3: one success, at any concurrency; and the others have revoked it.
func TestCodeHasOneSuccess(t *testing.T) {
	s := newSite(t)
	for range 4 {
		code := s.code("web")
		replies := atOnce(64, func() reply { return s.redeem("web", code) })
		if ok, refused := count(replies, 200), count(replies, 400); ok != 1 || refused != 63 {
			t.Fatalf("got %d successes and %d refusals of 64", ok, refused)
		}
		for _, r := range replies {
			if r.status == 200 {
				access, refresh := wantTokens(t, r)
				s.wantGone(access, refresh)
			}
		}
	}
}

// RFC 6749 §4.1.2: a code ends after a minute.
func TestCodeExpires(t *testing.T) {
	s := newSite(t)
	wantError(t, s.redeem("web", s.code("web", func(c *store.Code) { c.Expires = time.Now().Unix() })), 400, "invalid_grant")
}

// What ended between the user's consent and the redemption gives nothing: the user, by cut-off; the session of a grant that is not offline.
func TestCodeOfWhatHasEndedIsRefused(t *testing.T) {
	s := newSite(t)
	var grant store.Grant
	online := func(c *store.Code) { c.Grant.Offline, grant = false, c.Grant }
	cut := s.code("web", online)
	if _, err := s.db.CutOff(t.Context(), actor(), store.CutSubject, grant.Subject); err != nil {
		t.Fatal(err)
	}
	s.applied()
	wantError(t, s.redeem("web", cut), 400, "invalid_grant")

	ended := s.code("web", online)
	s.endSession(grant.Session)
	wantError(t, s.redeem("web", ended), 400, "invalid_grant")
	wantTokens(t, s.redeem("web", s.code("web", func(c *store.Code) { c.Grant.Session = grant.Session }))) // offline

	old := s.code("web", online, func(c *store.Code) { c.Grant.AuthTime -= 12 * 3600 })
	wantError(t, s.redeem("web", old), 400, "invalid_grant")
}

func (s *site) endSession(id store.ID) {
	s.t.Helper()
	err := s.tier.Deny(store.Denial{Kind: store.DenySession, ID: id, Expires: time.Now().Unix() + 12*3600, Actor: actor().String()})
	if err != nil {
		s.t.Fatal(err)
	}
}

// RFC 8707 §2.2: of what was granted, the resource that is asked.
func TestCodeForOneResource(t *testing.T) {
	s := newSite(t)
	access, _ := wantTokens(t, s.redeem("web", s.code("web"), "resource", "files"))
	if got := s.wantActive("auditor", access).field("aud"); got != "files" {
		t.Errorf("got aud %v", got)
	}
	wantError(t, s.redeem("web", s.code("web"), "resource", "https://other.example.com"), 400, "invalid_target")
}

// The text of one kind in the place of another is refused, under its own prefix and under the other's.
func TestKindsDoNotPassForEachOther(t *testing.T) {
	s := newSite(t)
	access, refresh := s.family("web")
	mac := s.server.ring.ActiveMAC()
	texts := map[string]string{
		"oac_": s.code("web"), "oat_": access, "ort_": refresh,
		"oar_": string(token.AppendOpaque(nil, mac, token.Pushed, store.NewID(time.Now()), time.Now().Unix()+60)),
	}
	for own, text := range texts {
		for prefix := range texts {
			if prefix == own {
				continue
			}
			for _, text := range []string{text, prefix + text[4:]} {
				if own != "oac_" {
					wantError(t, s.redeem("web", text), 400, "invalid_grant")
				}
				if own != "ort_" {
					wantError(t, s.refresh("web", text), 400, "invalid_grant")
				}
				if own == "oac_" || own == "oar_" || prefix != own && text[:4] == prefix {
					s.wantInactive("auditor", text)
				}
			}
		}
	}
	s.wantActive("auditor", access)
	wantTokens(t, s.refresh("web", refresh))
	wantTokens(t, s.redeem("web", texts["oac_"]))
}
