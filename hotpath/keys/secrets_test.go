package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseSecretsFailure(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := ParseSecrets(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		for part := range strings.SplitSeq(text, ",") {
			if err != nil && len(part) > 3 && strings.Contains(err.Error(), part) {
				t.Errorf("error %q tells a secret", err)
			}
		}
	}
	f("", "secret 1 has 0 bytes")
	f("short", "secret 1 has 5 bytes")
	f(newText+",", "secret 2 has 0 bytes")
	f(newText+",short", "secret 2 has 5 bytes")
	f(newText+", "+newText, "secret 2 is given twice")
	f(strings.Repeat(" ", 40), "secret 1 has 0 bytes")
}

func TestFingerprintIsHMAC(t *testing.T) {
	mac := hmac.New(sha256.New, []byte(newText))
	mac.Write([]byte("oauth2-server secret fingerprint"))
	want := hex.EncodeToString(mac.Sum(nil)[:8])
	got := secrets(t, newText+" , "+oldText).Fingerprints()
	if len(got) != 2 || got[0] != want || got[1] == want {
		t.Errorf("got %v, want %s first", got, want)
	}
}

func TestSecretsNeverPrinted(t *testing.T) {
	s := secrets(t, newText)
	shared := s.HS256()[0]
	inside := struct {
		Public  Secrets
		private Secrets
		shared  SharedKey
		ring    *Ring
	}{s, s, shared, NewRing(s, HS256)}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", s)
		if got := fmt.Sprintf(verb, s); got != masked {
			t.Errorf("%s: got %q", verb, got)
		}
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", shared)
		fmt.Fprintf(&out, verb+"\n", inside)
	}
	text, err := json.Marshal(map[string]any{"secrets": s, "shared": shared})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("x", "secrets", s, "shared", shared, "inside", inside)

	raw := shared.key()
	for _, leak := range []string{
		newText, hex.EncodeToString([]byte(newText)), shared.Base64(),
		hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), strings.Trim(fmt.Sprintf("%d", raw), "[]"),
	} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(leak)) {
			t.Errorf("leaked as %.8s…", leak)
		}
	}
	if !strings.Contains(out.String(), "***") {
		t.Errorf("got %q, want ***", out.String())
	}
	if json.Unmarshal([]byte(`"***"`), &s) == nil {
		t.Error("a masked text was read as secrets")
	}
}

func TestOpenedKeysNeverPrinted(t *testing.T) {
	s := secrets(t, newText)
	r := ring(t, s, EdDSA, generate(t, s, EdDSA))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for got, want := range map[string]string{
			fmt.Sprintf(verb, r.Signer()):                      "EdDSA key " + r.Signer().KID,
			fmt.Sprintf(verb, r.Verifier(r.Signer().Header())): "EdDSA key " + r.Signer().KID,
			fmt.Sprintf(verb, r.ActiveMAC()):                   "MAC key " + r.ActiveMAC().Key.String(),
		} {
			if got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
	}
}

func TestHS256KeysBelongToSecrets(t *testing.T) {
	both, old := secrets(t, newText+","+oldText).HS256(), secrets(t, oldText).HS256()
	if both[1].Base64() != old[0].Base64() || both[1].KID != old[0].KID {
		t.Error("the key of a secret depends on the other secrets")
	}
	if both[0].Base64() == both[1].Base64() || both[0].KID == both[1].KID {
		t.Error("two secrets have one key")
	}
	var jwk struct{ Kty, K, Alg, Use, Kid string }
	if err := json.Unmarshal(both[0].JWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	if jwk.Kty != "oct" || jwk.K != both[0].Base64() || jwk.Alg != "HS256" || jwk.Use != "sig" || jwk.Kid != both[0].KID {
		t.Errorf("got %+v", jwk)
	}
}
