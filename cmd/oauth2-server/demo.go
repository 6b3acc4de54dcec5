package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// What serve --demo makes sure of: a service, and an app with a user to sign in.
const (
	demoID       = "demo"
	demoApp      = "demo-app"
	demoUser     = "demo"
	demoRedirect = "http://127.0.0.1:8400/callback" // where nothing answers: the code is read from the browser's address
)

var demoActor = store.Actor{Kind: store.ActorCLI, ID: "serve --demo"}

// startDemo makes sure of the demo, and prints how to use it. Its secrets are derived from the server's, so that
// the lines are the same at every start and nothing is kept in clear.
func startDemo(ctx context.Context, r *running, out io.Writer) error {
	if r.config.postgres() {
		return errors.New("--demo is for the embedded default: unset OAUTH2_DATABASE_URL, or leave --demo out")
	}
	service := store.Client{ID: demoID, Name: "Demo", Scopes: []string{"read", "write"}}
	app := store.Client{ID: demoApp, Name: "Demo app", AuthMethod: store.AuthNone, RedirectURIs: []string{demoRedirect}}
	secret := r.demoSecret("client")
	err := errors.Join(r.demoClient(ctx, service, secret), r.demoClient(ctx, app, ""), r.demoPerson(ctx))
	if err != nil {
		return err
	}
	for r.tier.Client([]byte(demoApp)) == nil && ctx.Err() == nil {
		r.tier.AwaitPoll()
	}
	fmt.Fprintf(out, `
oauth2-server answers at %[1]s. Issue, introspect and revoke a token:

TOKEN=$(curl -s -u %[2]s:%[3]s -d grant_type=client_credentials %[1]s/oauth/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/'); echo "$TOKEN"
curl -u %[2]s:%[3]s -d token="$TOKEN" -w '\n' %[1]s/oauth/introspect
curl -u %[2]s:%[3]s -d token="$TOKEN" -w 'revoked: %%{http_code}\n' -o /dev/null -s %[1]s/oauth/revoke

`, r.issuer, demoID, secret)
	verifier := r.demoSecret("verifier")
	fmt.Fprintf(out, `Sign in: open this in a browser, as user %[1]s with the password %[2]s

%[3]s

The browser ends at %[4]s, where nothing answers. With the code from its address, within a minute:

curl -d grant_type=authorization_code -d client_id=%[5]s -d redirect_uri=%[4]s -d code_verifier=%[6]s -w '\n' %[7]s/oauth/token -d code=CODE

`, demoUser, r.demoSecret("user"), authorizeURL(r.issuer, verifier), demoRedirect, demoApp, verifier, r.issuer)
	return nil
}

// demoSecret is derived from the server's secret, for a purpose.
func (r *running) demoSecret(purpose string) string {
	mac := hmac.New(sha256.New, []byte(r.config.JWTSecret))
	mac.Write([]byte("oauth2-server demo " + purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (r *running) demoClient(ctx context.Context, c store.Client, secret string) error {
	if _, err := oauth.Enrol(&c, secret, r.config.secrets); err != nil {
		return fmt.Errorf("make the demo client %q: %w", c.ID, err)
	}
	_, err := r.db.CreateClient(ctx, demoActor, c)
	if err != nil && !errors.Is(err, store.ErrConflict) { // it is there since the first start
		return fmt.Errorf("create the demo client %q: %w", c.ID, err)
	}
	return nil
}

// demoPerson makes the user, unless there is one of the name.
func (r *running) demoPerson(ctx context.Context) error {
	_, err := r.db.UserByName(ctx, demoUser)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	u := store.User{ID: store.NewID(time.Now()), Username: demoUser, Email: "demo@example.com", Role: store.RoleUser}
	if err := login.NewHasher().Enrol(ctx, &u, r.demoSecret("user")); err != nil {
		return fmt.Errorf("make the demo user: %w", err)
	}
	_, err = r.db.ChangeUser(ctx, demoActor, "user.create", u.ID, func(*store.User) (*store.User, error) { return &u, nil })
	if err != nil {
		return fmt.Errorf("create the demo user: %w", err)
	}
	return nil
}

// authorizeURL begins the code flow with PKCE (RFC 7636 §4.3).
func authorizeURL(issuer, verifier string) string {
	challenge := sha256.Sum256([]byte(verifier))
	return issuer + "/oauth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {demoApp}, "redirect_uri": {demoRedirect},
		"scope": {"openid profile email offline_access"}, "prompt": {"consent"}, "state": {"demo"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}
