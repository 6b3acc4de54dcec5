package main

import (
	"context"
	"crypto/rand"
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
