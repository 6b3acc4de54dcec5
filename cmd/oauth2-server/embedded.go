package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// secretFile is where the embedded default keeps the secret it made: beside the database and not
// in it, so that a copy of the database alone opens nothing.
func (c *Config) secretFile() string { return c.fileName + ".secret" }

// embeddedSecret takes the secret that the embedded default made at first start,
// or makes it. With OAUTH2_JWT_SECRET set there is nothing to do.
func (c *Config) embeddedSecret(log *slog.Logger) error {
	if c.JWTSecret != "" {
		return nil
	}
	err := c.readSecretFile()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var random [32]byte
	rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString(random[:])
	file, err := os.OpenFile(c.secretFile(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep the generated secret: %w", err)
	}
	_, err = io.WriteString(file, text+"\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("keep the generated secret: %w", err)
	}
	log.Info("made a secret for the key ring; keep this file with the database", "file", c.secretFile())
	return c.readSecretFile()
}

// readSecretFile takes the generated secret; fs.ErrNotExist when there is none yet.
func (c *Config) readSecretFile() error {
	content, err := os.ReadFile(c.secretFile())
	if err != nil {
		return fmt.Errorf("read the generated secret: %w", err)
	}
	c.JWTSecret = Secret(strings.TrimSpace(string(content)))
	if c.secrets, err = keys.ParseSecrets(string(c.JWTSecret)); err != nil {
		return fmt.Errorf("%s: %w", c.secretFile(), err)
	}
	return nil
}

const demoID = "demo"

// startDemo makes sure of the demo client, and prints how to use it. The client's secret is derived from the
// server's, so that the lines are the same at every start and nothing is kept in clear.
func startDemo(ctx context.Context, r *running, out io.Writer) error {
	mac := hmac.New(sha256.New, []byte(r.config.JWTSecret))
	mac.Write([]byte("oauth2-server demo client"))
	secret := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	actor := store.Actor{Kind: "cli", ID: "serve --demo"}
	_, err := r.db.CreateClient(ctx, actor, store.Client{
		ID: demoID, Name: "Demo", Secrets: []store.SecretHash{sha256.Sum256([]byte(secret))},
		Grants: []string{oauth.GrantClientCredentials.String()}, Scopes: []string{"read", "write"},
	})
	if err != nil && !errors.Is(err, store.ErrConflict) { // it is there since the first start
		return fmt.Errorf("create the demo client: %w", err)
	}
	for r.tier.Client([]byte(demoID)) == nil && ctx.Err() == nil {
		r.tier.AwaitPoll()
	}
	fmt.Fprintf(out, `
oauth2-server answers at %[1]s. Issue, introspect and revoke a token:

TOKEN=$(curl -s -u %[2]s:%[3]s -d grant_type=client_credentials %[1]s/oauth/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/'); echo "$TOKEN"
curl -u %[2]s:%[3]s -d token="$TOKEN" %[1]s/oauth/introspect
curl -u %[2]s:%[3]s -d token="$TOKEN" -w 'revoked: %%{http_code}\n' -o /dev/null -s %[1]s/oauth/revoke

`, r.issuer, demoID, secret)
	return nil
}
