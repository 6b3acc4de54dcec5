package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// people is tiers with clients, a user, and what is done when somebody signs out.
type people struct {
	tiers
	clients map[string]*store.Client
	user    store.User
	missing error // of User
	grants  []store.Grant
	denied  []store.Denial
	revoked []store.GrantQuery
	queued  []store.Logout
	done    []string // in which order
	gone    error    // of what changes something
}

func (p *people) Client(id []byte) *store.Client { return p.clients[string(id)] }
func (p *people) User(_ context.Context, id store.ID) (store.User, error) {
	if p.missing == nil && id != p.user.ID {
		return store.User{}, store.ErrNotFound
	}
	return p.user, p.missing
}

func (p *people) Deny(d store.Denial) error {
	p.denied, p.done = append(p.denied, d), append(p.done, "deny")
	return p.gone
}

func (p *people) Grants(_ context.Context, q store.GrantQuery) ([]store.Grant, error) {
	var found []store.Grant
	for _, g := range slices.Backward(p.grants) {
		if g.Subject == q.Subject && len(found) < q.Limit && (q.Before.IsZero() || string(g.ID[:]) < string(q.Before[:])) {
			found = append(found, g)
		}
	}
	return found, nil
}

func (p *people) RevokeGrants(_ context.Context, _ store.Actor, q store.GrantQuery) (int, error) {
	p.revoked, p.done = append(p.revoked, q), append(p.done, "revoke")
	return 0, p.gone
}

func (p *people) QueueLogouts(_ context.Context, all []store.Logout) error {
	p.queued, p.done = append(p.queued, all...), append(p.done, "queue")
	return p.gone
}

const issuerOfTests = "https://auth.example.com"

// newPeople is rules with a user, the client web, and one for each algorithm of id_tokens.
func newPeople(t testing.TB) (*people, *Rules) {
	t.Helper()
	p := &people{user: store.User{ID: store.NewID(time.Now()), Username: "ann", Email: "ann@example.com"}, clients: map[string]*store.Client{}}
	p.clients["web"] = &store.Client{
		ID: "web", PostLogoutURIs: []string{"https://web.example.com/bye", "https://web.example.com/bye?a=b"},
		BackchannelLogout: "https://web.example.com/backchannel",
	}
	p.clients["other"] = &store.Client{ID: "other", PostLogoutURIs: []string{"https://other.example.com/bye"}}
	for _, alg := range keys.IDTokenAlgs() {
		p.clients[string(alg)] = &store.Client{ID: string(alg), IDTokenAlg: string(alg)}
	}
	secrets, err := keys.ParseSecrets("a-secret-of-the-tests-with-more-than-32-bytes")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := keys.Generate(secrets, keys.ES256, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := keys.GenerateIDTokens(secrets, time.Now(), stored)
	if err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(secrets, keys.ES256)
	if err := ring.Replace(append(stored, signing...)); err != nil {
		t.Fatal(err)
	}
	return p, New(Options{
		Issuer: issuerOfTests, Clients: p, Tokens: p, Ring: ring, People: p, Departures: p,
		AccessTTL: time.Hour, SessionLife: 12 * time.Hour,
	})
}

// grant is what the user has allowed a client in a session.
func (p *people) grant(client string, session store.ID) store.Grant {
	return store.Grant{
		ID: store.NewID(time.Now()), Client: client, Subject: p.user.ID.String(), Session: session, AuthTime: 1_700_000_000, Created: time.Now(),
	}
}

// idTokenOf is an id_token of a grant.
func idTokenOf(t testing.TB, rules *Rules, client *store.Client, g store.Grant, nonce string) string {
	t.Helper()
	now := time.Now().Unix()
	text, err := rules.idToken([]byte("kept"), &g, idTokenInput{Client: client, Nonce: nonce, Access: []byte("access"), Issued: now, Expires: now + 60})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(text), "kept")
}

// claimsOf verifies a JWT with the published keys, as others do, and reads its header and claims.
func claimsOf(t testing.TB, rules *Rules, text, alg, typ string) map[string]any {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(rules.Ring.JWKS().Body, &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatalf("%s: %v", alg, err)
	}
	header := jws.Signatures[0].Header
	if got := header.ExtraHeaders["typ"]; got != typ || len(set.Key(header.KeyID)) != 1 {
		t.Fatalf("typ %v, want %s; %d keys of the kid", got, typ, len(set.Key(header.KeyID)))
	}
	payload, err := jws.Verify(set.Key(header.KeyID)[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// OpenID Connect Core §2 and §3.1.3.6, for each algorithm a client can be registered with; RS256 where it chose none.
func TestIDTokenSaysWhatCoreAsksFor(t *testing.T) {
	p, rules := newPeople(t)
	g := p.grant("", store.NewID(time.Now()))
	g.ACR, g.Scope = "urn:example:bronze", "openid profile email"
	for name, alg := range map[string]string{"web": "RS256", "RS256": "RS256", "ES256": "ES256", "EdDSA": "EdDSA"} {
		g.Client = name
		nonce := `n-"\ é` + strings.Repeat("x", 64)
		got := claimsOf(t, rules, idTokenOf(t, rules, p.clients[name], g, nonce), alg, "JWT")
		want := map[string]any{
			"iss": issuerOfTests, "sub": p.user.ID.String(), "aud": name, "auth_time": float64(1_700_000_000), "nonce": nonce,
			"sid": g.Session.String(), "acr": "urn:example:bronze",
		}
		for claim, value := range want {
			if got[claim] != value {
				t.Errorf("%s: %s is %v, want %v", name, claim, got[claim], value)
			}
		}
		if got["exp"].(float64)-got["iat"].(float64) != 60 {
			t.Errorf("%s: iat %v, exp %v", name, got["iat"], got["exp"])
		}
		// §5.4: what the scopes ask for is told by userinfo; §2: one audience, no azp.
		if len(got) != len(want)+3 { // exp, iat, at_hash
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// OpenID Connect Core §2: nonce and acr only if there is one. §12.2: a refresh need not repeat the nonce.
func TestIDTokenWithoutNonce(t *testing.T) {
	p, rules := newPeople(t)
	got := claimsOf(t, rules, idTokenOf(t, rules, p.clients["web"], p.grant("web", store.NewID(time.Now())), ""), "RS256", "JWT")
	for _, claim := range []string{"nonce", "acr"} {
		if value, ok := got[claim]; ok {
			t.Errorf("%s is %q", claim, value)
		}
	}
}

func TestIDTokenLivesAtMostAnHour(t *testing.T) {
	p, rules := newPeople(t)
	g := p.grant("web", store.NewID(time.Now()))
	text, err := rules.idToken(nil, &g, idTokenInput{Client: p.clients["web"], Issued: 1000, Expires: 1000 + 86400})
	if err != nil {
		t.Fatal(err)
	}
	if got := claimsOf(t, rules, string(text), "RS256", "JWT"); got["exp"] != float64(1000+3600) {
		t.Errorf("exp %v", got["exp"])
	}
}

// OpenID Connect Core §3.1.3.6, with the example of §A.3: the left half of SHA-256 for RS256 and ES256; Ed25519 hashes with SHA-512.
func TestAtHashVectors(t *testing.T) {
	f := func(alg keys.Alg, text, want string) {
		t.Helper()
		if got := string(appendHalfHash(nil, alg, []byte(text))); got != want {
			t.Errorf("%s: got %s, want %s", alg, got, want)
		}
	}
	const example = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	f(keys.RS256, example, "77QmUPtjPfzWtF2AnpK9RQ")
	f(keys.ES256, example, "77QmUPtjPfzWtF2AnpK9RQ")
	long := sha512.Sum512([]byte(example))
	f(keys.EdDSA, example, base64.RawURLEncoding.EncodeToString(long[:32]))
	short := sha256.Sum256(nil)
	f(keys.RS256, "", base64.RawURLEncoding.EncodeToString(short[:16]))
}

// RFC 9068 §4, RFC 8725 §3.11: an id_token is no access token, and an access token or a logout token no id_token.
func TestNoTokenPassesForAnotherKind(t *testing.T) {
	p, rules := newPeople(t)
	session := store.NewID(time.Now())
	for _, alg := range keys.IDTokenAlgs() {
		client := p.clients[string(alg)]
		if alive, err := rules.verdict([]byte(idTokenOf(t, rules, client, p.grant(client.ID, session), "")), new(Reading)); alive || err != nil {
			t.Errorf("%s: an id_token passes for an access token: %v, %v", alg, alive, err)
		}
		r := store.Record{ID: session, Expires: time.Now().Unix() + 60, Client: []byte(client.ID), Subject: []byte(p.user.ID.String()), Audience: []byte(client.ID)}
		access, err := token.AppendJWT(nil, rules.Ring.SignerOf(alg), rules.Issuer, &r)
		if err != nil {
			t.Fatal(err)
		}
		client.BackchannelLogout = "https://client.example.com/"
		logout, _, err := rules.LogoutToken(&store.Logout{Client: client.ID, Subject: p.user.ID.String(), Session: session})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{access, logout} {
			if _, _, _, ok := rules.hint(string(text)); ok {
				t.Errorf("%s: %.60s passes for an id_token", alg, text)
			}
		}
		if alive, err := rules.verdict(logout, new(Reading)); alive || err != nil {
			t.Errorf("%s: a logout token passes for an access token: %v, %v", alg, alive, err)
		}
	}
}

// A ring whose keys of id_tokens are still being made is a fault of the server, no fault of the client (promise P5).
func TestIDTokenWithoutKeyIsAFault(t *testing.T) {
	rules, _ := newRules(t, new(tiers))
	if _, err := rules.idToken(nil, &store.Grant{}, idTokenInput{Client: &store.Client{}}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
