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
	"path/filepath"
	"strings"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// secretFile is where the embedded default keeps the secret it made: beside the database and not
// in it, so that a copy of the database alone opens nothing.
func (c *Config) secretFile() string { return c.fileName + ".secret" }

// embeddedSecret takes the secret that the embedded default made at first start,
// or makes it for a database that has no keys yet. With OAUTH2_JWT_SECRET set there is nothing to do.
func (c *Config) embeddedSecret(ctx context.Context, db database, log *slog.Logger) error {
	if c.JWTSecret != "" {
		return nil
	}
	err := c.readSecretFile()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if all, err := db.Keys(ctx); err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	} else if len(all) > 0 {
		return fmt.Errorf("%s has keys, but the secret that opens them is not in %s: restore that file, or move the database away to begin anew",
			c.fileName, c.secretFile())
	}
	var random [32]byte
	rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString(random[:])
	if err := writeWhole(c.secretFile(), text+"\n"); err != nil {
		return fmt.Errorf("keep the generated secret: %w", err)
	}
	log.Info("made a secret for the key ring; keep this file with the database", "file", c.secretFile())
	return c.readSecretFile()
}

// writeWhole makes a file that is whole once it has its name, for its owner only. If another process has made it meanwhile, that one stays.
func writeWhole(name, text string) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = io.WriteString(file, text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
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
	if r.config.postgres() {
		return errors.New("--demo is for the embedded default: unset OAUTH2_DATABASE_URL, or leave --demo out")
	}
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
curl -u %[2]s:%[3]s -d token="$TOKEN" -w '\n' %[1]s/oauth/introspect
curl -u %[2]s:%[3]s -d token="$TOKEN" -w 'revoked: %%{http_code}\n' -o /dev/null -s %[1]s/oauth/revoke

`, r.issuer, demoID, secret)
	return nil
}
