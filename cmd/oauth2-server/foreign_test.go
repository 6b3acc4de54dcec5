package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"oauth2-server/store"
)

// Clients that nobody here wrote, against three replicas behind one address: each library does what it can, unchanged. None
// is told more than the issuer, and what the client is registered as.

func TestForeignClients(t *testing.T) {
	s := newSite(t, 3)
	anna := s.newPerson("anna")
	t.Run("golang.org/x/oauth2", func(t *testing.T) { goOAuth2(t, s, anna.in(t)) })
	t.Run("github.com/coreos/go-oidc", func(t *testing.T) { goOIDC(t, s, anna.in(t)) })
	t.Run("github.com/zitadel/oidc", func(t *testing.T) { zitadelRP(t, s, anna.in(t)) })

	modules := nodeModules(t)
	node := func(script, method string) func(*testing.T) {
		return func(t *testing.T) {
			as := s.register(store.Client{ID: "node-" + t.Name(), AuthMethod: method, Introspect: store.IntrospectOwn})
			command := exec.Command("node", filepath.Join(modules, script))
			command.Dir = modules
			converse(t, s, anna.in(t), as, command)
		}
	}
	t.Run("openid-client", node("openid-client.mjs", store.AuthBasic))
	t.Run("openid-client with client_secret_jwt", node("openid-client.mjs", store.AuthClientSecretJWT))
	t.Run("openid-client of a public client", node("openid-client.mjs", store.AuthNone))
	t.Run("oauth4webapi", node("oauth4webapi.mjs", store.AuthPost))
	t.Run("authlib", func(t *testing.T) {
		as := s.register(store.Client{ID: "authlib"})
		converse(t, s, anna.in(t), as, exec.Command("/usr/bin/python3", "testdata/clients/python/authlib_client.py"))
	})
	guides(t, s, anna, modules)
}

// in is the person at a new browser, in another test.
func (p *person) in(t *testing.T) *person {
	again := *p
	again.t, again.browser = t, newBrowser()
	return &again
}

// answered is what a client gets from the person who was sent to the address.
func (p *person) answered(address string) url.Values {
	p.t.Helper()
	w := p.walk(address)
	if w.sent == nil {
		p.t.Fatalf("the browser does not come back to the client: %s", p.last)
	}
	return w.sent.Query()
}

func goOAuth2(t *testing.T, s *site, anna *person) {
	as := s.register(store.Client{ID: "go-oauth2", AccessTTL: 9}) // short, so that the library refreshes
	config := &oauth2.Config{
		ClientID: as.id, ClientSecret: as.secret, RedirectURL: callback, Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: s.issuer + "/oauth/authorize", TokenURL: s.issuer + "/oauth/token"},
	}
	verifier := oauth2.GenerateVerifier()
	got := anna.answered(config.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier)))
	if got.Get("state") != "a state" {
		t.Errorf("got state %q", got.Get("state"))
	}
	first, err := config.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	// The library takes a token for expired ten seconds early: this one is, at once.
	source := config.TokenSource(t.Context(), first)
	second, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken || second.RefreshToken == "" {
		t.Error("the refresh did not bring another access token and another refresh token")
	}
	if a := (&replica{t: t, url: s.issuer}).introspect(as, second.AccessToken); a.field("active") != true || a.field("sub") != anna.id {
		t.Errorf("the refreshed token: %s", a)
	}
}

func goOIDC(t *testing.T, s *site, anna *person) {
	as := s.register(store.Client{ID: "go-oidc"})
	provider, err := oidc.NewProvider(t.Context(), s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := &oauth2.Config{
		ClientID: as.id, ClientSecret: as.secret, RedirectURL: callback, Endpoint: provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
	verifier, nonce := oauth2.GenerateVerifier(), randomText()
	got := anna.answered(config.AuthCodeURL("s", oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	tokens, err := config.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: as.id}).Verify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != nonce || id.Subject != anna.id {
		t.Errorf("got nonce %q, sub %q", id.Nonce, id.Subject)
	}
	if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	info, err := provider.UserInfo(t.Context(), config.TokenSource(t.Context(), tokens))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != anna.id || info.Email != "anna@example.com" {
		t.Errorf("userinfo tells of %+v", info)
	}
}

func zitadelRP(t *testing.T, s *site, anna *person) {
	as := s.register(store.Client{ID: "zitadel"})
	party, err := rp.NewRelyingPartyOIDC(t.Context(), s.issuer, as.id, as.secret, callback, []string{"openid", "profile", "email", "offline_access"})
	if err != nil {
		t.Fatal(err)
	}
	verifier := oauth2.GenerateVerifier()
	got := anna.answered(rp.AuthURL("s", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier))))
	tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](t.Context(), got.Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	info, err := rp.Userinfo[*zitadel.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party)
	if err != nil {
		t.Fatal(err)
	}
	if info.PreferredUsername != "anna" || info.Email != "anna@example.com" {
		t.Errorf("userinfo tells of %+v", info)
	}
	fresh, err := rp.RefreshTokens[*zitadel.IDTokenClaims](t.Context(), party, tokens.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.RevokeToken(t.Context(), party, fresh.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	s.untilDead(t, as, fresh.AccessToken)
	// The library posts to the endpoint and tells where the browser is to go.
	after, err := rp.EndSession(t.Context(), party, tokens.IDToken, signedOff, "bye", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if after == nil || after.String() != signedOff+"?state=bye" {
		t.Errorf("after the logout the browser goes to %v", after)
	}
	s.front.await("end the session that the id_token tells of", func() bool { return anna.walk(s.issuer + "/profile").signedIn() })
}

// converse runs a client in another language. It writes a line of JSON for each thing that it wants, or has found out; what it wants is
// a browser sent to an address, and it reads where that came back to.
func converse(t *testing.T, s *site, anna *person, as identity, command *exec.Cmd) {
	t.Helper()
	command.Env = append(os.Environ(),
		"ISSUER="+s.issuer, "CLIENT_ID="+as.id, "CLIENT_SECRET="+as.secret, "REDIRECT_URI="+callback, "POST_LOGOUT_REDIRECT_URI="+signedOff,
		"SUBJECT="+anna.id, "AUTHLIB_INSECURE_TRANSPORT=1", "AUTH_METHOD="+methodOf(t, s, as))
	in, errIn := command.StdinPipe()
	out, errOut := command.StdoutPipe()
	faults := new(logBuffer)
	command.Stderr = faults
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%v; scripts/deps installs what runs it", err)
	}
	over := time.AfterFunc(30*time.Second, func() { _ = command.Process.Kill() })
	defer over.Stop()
	did := serveLines(t, anna, out, in)
	in.Close()
	if err := command.Wait(); err != nil {
		t.Fatalf("%v, after it did %v:\n%s", err, did, faults)
	}
	t.Logf("did %s", strings.Join(did, ", "))
}

// serveLines serves the client until it has nothing more to say, and returns what it did.
func serveLines(t *testing.T, anna *person, out io.Reader, in io.Writer) (did []string) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said := decodeJSON[struct{ Did, Open string }](t, lines.Text())
		if said.Did != "" {
			did = append(did, said.Did)
			continue
		}
		w := anna.walk(said.Open)
		if w.sent == nil {
			t.Errorf("sent to %s the browser stays at %s", said.Open, anna.last)
			return did
		}
		reply, err := json.Marshal(map[string]string{"at": w.sent.String()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(reply, '\n')); err != nil {
			t.Errorf("the client is gone: %v", err)
			return did
		}
	}
	return did
}

func methodOf(t *testing.T, s *site, as identity) string {
	t.Helper()
	client, err := s.db.Client(t.Context(), as.id)
	if err != nil {
		t.Fatal(err)
	}
	return client.AuthMethod
}

// nodeModules is a folder with the libraries of the lock file, and our scripts.
func nodeModules(t *testing.T) string {
	t.Helper()
	version, err := exec.Command("node", "--version").Output()
	if major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), "."); err != nil || len(major) < 2 || major < "20" {
		t.Fatalf("node %s %v: install nodejs 20 or newer, and npm (scripts/deps)", version, err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/clients/node")); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return folder
}
