package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// A herald tells of what a start has made: to the log what happened, to out alone what is secret.
type herald struct {
	out io.Writer
	log *slog.Logger
}

// seedOperator makes sure of the first operator, and tells what it did. It may be called again after [store.ErrUnavailable].
func seedOperator(ctx context.Context, c *Config, db login.SeedStore, actor store.Actor, tell herald) error {
	first := login.Operator{Username: c.SeedUsername, Email: c.SeedEmail, Password: string(c.SeedPassword)}
	done, err := login.Seed(ctx, db, login.NewHasher(), actor, first)
	if err != nil {
		return err
	}
	switch done.Action {
	case "":
		return nil
	case "user.create":
		tell.log.Info("made the first operator", "username", done.Username)
	default:
		tell.log.Warn("OAUTH2_SEED_PASSWORD has changed: the operator has the new password, and its sessions are ended", "username", done.Username)
	}
	if done.Password != "" {
		fmt.Fprintf(tell.out, "\nSign in to the listener for operators as %q with the password\n\n%s\n\n"+
			"(shown this once; \"oauth2-server user set-password %s\" sets another)\n\n", done.Username, done.Password, done.Username)
	}
	return nil
}
