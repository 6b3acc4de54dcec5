package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// shutSecrets says what is wrong with the clients that are named after it, and what to do.
const shutSecrets = `the secrets of these client_secret_jwt clients were sealed by an OAUTH2_JWT_SECRET that is not given, and no assertion of theirs is accepted: ` +
	`give that one too, as "new,old", until a server has started with both, or the clients new secrets (client rotate-secret)`

// secretsKept is how long the seals of an OAUTH2_JWT_SECRET stay after a server that had it was last seen: a rollout may be taken back.
const secretsKept = time.Hour

// forgetSecrets takes the seals of old secrets from keys and clients, once no server needs them. It reads no clients unless
// it is told to, or the ring has such seals.
func forgetSecrets(ctx context.Context, r *running, clients bool) error {
	if !clients && !r.ring.OldSecrets() {
		return nil
	}
	all, err := r.db.ReplicasSince(ctx, time.Unix(0, r.tier.Now()).Add(-secretsKept))
	if err != nil {
		return err
	}
	if !haveNoOther(all, r.config.secrets.Fingerprints()) {
		return nil
	}
	if err := oauth.ForgetSecrets(ctx, r.db, r.actor(), r.config.secrets); err != nil {
		return err
	}
	return keys.ForgetSecrets(ctx, r.db, r.actor(), r.config.secrets)
}

// haveNoOther reports whether all replicas say which secrets they have, and have none but those given. Of a list that is cut nobody knows.
func haveNoOther(all []store.Replica, given []string) bool {
	if len(all) == 0 || len(all) >= store.MaxReplicas {
		return false
	}
	for _, r := range all {
		other := func(name string) bool { return !slices.Contains(given, name) }
		if len(r.Vitals.Secrets) == 0 || slices.ContainsFunc(r.Vitals.Secrets, other) {
			return false
		}
	}
	return true
}

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
