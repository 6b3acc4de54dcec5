package main

import (
	"context"
	"fmt"
	"log/slog"

	"oauth2-server/hotpath/oauth"
)

// shutSecrets says what is wrong with the clients that are named after it, and what to do.
const shutSecrets = `the secrets of these client_secret_jwt clients were sealed by an OAUTH2_JWT_SECRET that is not given, and no assertion of theirs is accepted: ` +
	`give that one too, as "new,old", until a server has started with both, or the clients new secrets (client rotate-secret)`

// resealSecrets seals the secrets of clients as the keys of the ring are: for the newest OAUTH2_JWT_SECRET as well.
func resealSecrets(ctx context.Context, r *running, log *slog.Logger) error {
	shut, err := oauth.Reseal(ctx, r.db, r.actor(), r.config.secrets)
	if err != nil {
		return fmt.Errorf("prepare the secrets of clients: %w", err)
	}
	if len(shut) > 0 {
		log.Warn(shutSecrets, "clients", shut)
	}
	return nil
}
