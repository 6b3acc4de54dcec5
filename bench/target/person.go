package target

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"

	"oauth2-server/bench/load"
)

// An App is a client that people use, and where it has their browsers sent back to.
type App struct {
	Client
	Redirect string
}

// A Person signs in with a password.
type Person struct{ Name, Password string }

// A Grant is what an app got by an authorization code.
type Grant struct{ Access, Refresh string }

// Where people go. Every server has pages of its own: these are of this project's.
const (
	authorizePath = "/oauth/authorize"
	signInPath    = "/auth/login"
)

// SignIn sends the form of the page to sign in, as a browser does.
func (t *Target) SignIn(replica int, p Person) *load.Shot { return t.signIn(replica, p, "") }

// signIn is SignIn for an authorization request, as the page carries it.
func (t *Target) signIn(replica int, p Person, request string) *load.Shot {
	form := url.Values{"username": {p.Name}, "password": {p.Password}}
	if request != "" {
		form.Set("request", request)
	}
	body := form.Encode()
	head := fmt.Sprintf("Sec-Fetch-Site: same-origin\r\nContent-Type: %s\r\nContent-Length: %d\r\n", formType, len(body))
	return t.shot("sign-in", replica, signInPath, http.MethodPost, head, []byte(body))
}

// Refresh asks for new tokens (RFC 6749 §6).
func (t *Target) Refresh(replica int, c Client, token string) *load.Shot {
	return t.form("refresh", replica, t.Paths.Token, c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// NewGrants makes n grants, at least one, by authorization codes with PKCE (RFC 6749 §4.1, RFC 7636), concurrently and at the replicas in
// turn. The person signs in once, and must not be asked for consent.
func (t *Target) NewGrants(ctx context.Context, a App, p Person, n int) ([]Grant, error) {
	b, grants := &browser{target: t, app: a, person: p}, make([]Grant, n)
	err := b.grant(ctx, 0, &grants[0]) // which signs in
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(directParallel)
	for i := 1; i < n && err == nil; i++ {
		group.Go(func() error { return b.grant(within, i%len(t.URLs), &grants[i]) })
	}
	if err = errors.Join(err, group.Wait()); err != nil {
		return nil, fmt.Errorf("make %d grants: %w", n, err)
	}
	return grants, nil
}

// A browser is a person's, who uses an app. Once signed in it may be used concurrently.
type browser struct {
	target  *Target
	app     App
	person  Person
	session string // the cookie, "name=value"; "": nobody is signed in
}

// grant walks from the authorization request to the tokens.
func (b *browser) grant(ctx context.Context, replica int, g *Grant) error {
	verifier := rand.Text() + rand.Text() // 52 characters; RFC 7636 §4.1 wants 43
	code, err := b.code(ctx, replica, verifier)
	if err != nil {
		return err
	}
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	err = b.target.ask(ctx, b.target.form("code", replica, b.target.Paths.Token, b.app.Client, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {b.app.Redirect}, "code_verifier": {verifier},
	}), &answer)
	if err != nil {
		return fmt.Errorf("redeem a code: %w", err)
	}
	if answer.Access == "" || answer.Refresh == "" {
		return errNoToken
	}
	*g = Grant(answer)
	return nil
}

// code asks for an authorization code, and signs in where that is asked for.
func (b *browser) code(ctx context.Context, replica int, verifier string) (string, error) {
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {b.app.ID}, "redirect_uri": {b.app.Redirect}, "scope": {b.target.Scope},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	head := ""
	if b.session != "" {
		head = "Cookie: " + b.session + "\r\n"
	}
	sent, err := b.follow(ctx, b.target.shot("authorize", replica, authorizePath+"?"+query.Encode(), http.MethodGet, head, nil))
	if err == nil && sent.Path == signInPath && b.session == "" {
		sent, err = b.follow(ctx, b.target.signIn(replica, b.person, sent.Query().Get("request")))
	}
	if err != nil {
		return "", fmt.Errorf("ask for a code: %w", err)
	}
	code := sent.Query().Get("code")
	if code == "" || !strings.HasPrefix(sent.String(), b.app.Redirect) {
		return "", fmt.Errorf("ask for a code: sent to %s, error %q", sent.Path, sent.Query().Get("error"))
	}
	return code, nil
}

// follow is where an answer sends the browser, which keeps the first session that begins.
func (b *browser) follow(ctx context.Context, shot *load.Shot) (*url.URL, error) {
	answer, err := b.target.do(ctx, shot)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		return nil, &refusal{status: answer.StatusCode}
	}
	if cookies := answer.Cookies(); b.session == "" && len(cookies) > 0 {
		b.session = cookies[0].Name + "=" + cookies[0].Value
	}
	return answer.Location()
}
