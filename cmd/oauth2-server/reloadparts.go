package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
)

// reloadable is what can change while the server runs, in the order in which it is taken over.
func (r *running) reloadable(h hooks) []part {
	return []part{
		{names: []string{"OAUTH2_DATABASE_URL"}, first: true, try: r.tryDatabaseURL},
		{names: []string{"OAUTH2_REDIS_URL"}, try: r.tryRedisURL},
		{names: []string{"OAUTH2_TLS_CERT_FILE", "OAUTH2_TLS_KEY_FILE"}, try: r.tryCertificate(h.log)},
		{names: []string{"OAUTH2_JWT_SECRET"}, try: r.trySecrets, settle: r.sealAgain(h.log)},
		{names: []string{"OAUTH2_SESSION_KEY", "OAUTH2_JWT_SECRET"}, try: r.trySessions(h.log)}, // see sessions: the one may be derived from the other
		{names: []string{"OAUTH2_SEED_PASSWORD"}, try: tryNothing, settle: r.seedAgain(h.out, h.log)},
		{names: []string{"OAUTH2_LOG_LEVEL"}, try: tryLevel(h.reload.level)},
		{names: []string{"OAUTH2_BRAND_LOGO_FILE"}, try: func(_ context.Context, fresh *Config) (func(), error) {
			_, err := fresh.brand()
			return nil, err
		}},
	}
}

// errNotPrepared puts off what needs the store.
var errNotPrepared = errors.New("the store is not ready yet")

func (r *running) isPrepared() bool {
	select {
	case <-r.prepared:
		return true
	default:
		return false
	}
}

func (r *running) tryDatabaseURL(ctx context.Context, fresh *Config) (func(), error) {
	db, ok := r.db.(*postgres.DB)
	if !ok || !fresh.postgres() {
		return nil, errors.New("it names another kind of database, which needs a restart")
	}
	return db.TryURL(ctx, string(fresh.DatabaseURL))
}

func (r *running) tryRedisURL(ctx context.Context, fresh *Config) (func(), error) {
	err := cache.TryRedisURL(ctx, string(r.reload.config().RedisURL), string(fresh.RedisURL))
	return func() {}, err // connections ask for the configuration in effect
}

// trySecrets refuses secrets that would close a key of the ring, which makes tokens invalid, or the secret of a client.
func (r *running) trySecrets(ctx context.Context, fresh *Config) (func(), error) {
	if !r.isPrepared() {
		return nil, errNotPrepared
	}
	clients, err := r.db.Clients(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(clients, func(c store.Client) bool { return loses(&c, r.config.secrets, fresh.secrets) }); i >= 0 {
		return nil, fmt.Errorf(`none of the secrets given opens that of the client %q, which proves itself by client_secret_jwt: keep the old one behind, as "new,old", and give it a new one (client rotate-secret)`, clients[i].ID)
	}
	return r.ring.Try(fresh.secrets)
}

// loses reports whether the client's sealed secret opens by the old secrets and not by the new ones.
func loses(c *store.Client, before, after keys.Secrets) bool {
	if len(c.SealedSecret) == 0 {
		return false
	}
	_, errBefore := before.OpenText(c.ID, c.SealedSecret)
	_, errAfter := after.OpenText(c.ID, c.SealedSecret)
	return errBefore == nil && errAfter != nil
}

// sealAgain gives the keys, and the secrets of client_secret_jwt clients, seals of the new secret, as a start does, so that the old one can be dropped.
func (r *running) sealAgain(log *slog.Logger) func(context.Context, *Config) error {
	return func(ctx context.Context, _ *Config) error {
		if _, err := keys.Ensure(ctx, r.db, r.actor(), r.config.secrets, r.alg, time.Now()); err != nil {
			return err
		}
		return resealSecrets(ctx, r, log)
	}
}

func (r *running) trySessions(log *slog.Logger) func(context.Context, *Config) (func(), error) {
	return func(_ context.Context, fresh *Config) (func(), error) {
		sessions, err := fresh.sessions()
		if err != nil {
			return nil, err
		}
		_, before := r.reload.config().sessionKey()
		if _, after := fresh.sessionKey(); !overlap(before, after) {
			log.Warn("none of the old session keys is among the new ones: everybody has to sign in again")
		}
		return func() { r.sessions.Take(sessions) }, nil
	}
}

// overlap reports whether two lists of secrets have one in common.
func overlap(one, other Secret) bool {
	var texts []string
	for text := range strings.SplitSeq(string(one), ",") {
		texts = append(texts, strings.TrimSpace(text))
	}
	for text := range strings.SplitSeq(string(other), ",") {
		if slices.Contains(texts, strings.TrimSpace(text)) {
			return true
		}
	}
	return false
}

func tryNothing(context.Context, *Config) (func(), error) { return func() {}, nil }

func (r *running) seedAgain(out io.Writer, log *slog.Logger) func(context.Context, *Config) error {
	return func(ctx context.Context, fresh *Config) error {
		if !r.isPrepared() {
			return errNotPrepared
		}
		return seedOperator(ctx, fresh, r.db, r.actor(), herald{out: out, log: log})
	}
}

func tryLevel(level *slog.LevelVar) func(context.Context, *Config) (func(), error) {
	return func(_ context.Context, fresh *Config) (func(), error) {
		return func() { level.Set(fresh.logLevel()) }, nil
	}
}

func (r *running) tryCertificate(log *slog.Logger) func(context.Context, *Config) (func(), error) {
	return func(_ context.Context, fresh *Config) (func(), error) {
		pair, err := loadPair(fresh)
		if err != nil {
			return nil, err
		}
		if r.certificate == nil || pair == nil {
			return nil, errors.New("BUG: TLS came or went without a restart")
		}
		warnOfTime(pair, log)
		return func() { r.certificate.take(pair) }, nil
	}
}
