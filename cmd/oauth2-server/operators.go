package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"oauth2-server/admin"
	"oauth2-server/admin/doctor"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// newAdmin builds the listener for operators of the parts that they look at and work with.
func newAdmin(r *running, hasher *login.Hasher, log *slog.Logger) (*admin.Server, error) {
	c := r.config
	return admin.New(admin.Options{
		DB: r.db, Tier: r.tier, Ring: r.ring, Rules: r.rules, Sessions: r.sessions,
		Door:    &login.Door{Users: r.db, Limits: r.limiter, Hasher: hasher, Role: store.RoleAdmin, Space: admin.NameSpace},
		Clients: c.AdminClients, Trusted: c.trusted, TLS: r.certificate.config(), Metrics: r.metrics, Log: log,
		Secrets: c.secrets, Alg: r.alg, PublishAhead: c.PublishAhead,
		Version: version(), Settings: func() []admin.Setting { return r.reload.config().adminSettings() },
		Gather: func(ctx context.Context) *doctor.Facts {
			return doctor.Gather(ctx, r.reload.config().doctorSources(r.db, r.redis))
		},
	})
}

// sessions seals those of people. The embedded default derives its key from what seals the key ring.
func (c *Config) sessions() (*login.Sessions, error) {
	name, text := c.sessionKey()
	sessions, err := login.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return sessions, nil
}

// sessionKey is the variable that seals sessions, and what it holds.
func (c *Config) sessionKey() (name string, text Secret) {
	if c.SessionKey == "" {
		return "OAUTH2_JWT_SECRET", c.JWTSecret
	}
	return "OAUTH2_SESSION_KEY", c.SessionKey
}

// nameAbsent tells of names in OAUTH2_ADMIN_CLIENT_IDS that no client has: a typing error, or one that is yet to be made.
func nameAbsent(ctx context.Context, names []string, db database, log *slog.Logger) error {
	if len(names) == 0 {
		return nil
	}
	all, err := db.Clients(ctx)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	absent := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(all, func(c store.Client) bool { return c.ID == name })
	})
	if len(absent) > 0 {
		log.Warn("OAUTH2_ADMIN_CLIENT_IDS names clients that there are not: create them, or mend the names", "clients", absent)
	}
	return nil
}

// adminInClear reports whether passwords of operators may cross a network in clear: from elsewhere, without TLS here and
// without a proxy that is known to be in front.
func (c *Config) adminInClear() bool {
	host, err := netip.ParseAddr(c.AdminHost)
	local := c.AdminHost == "localhost" || err == nil && host.IsLoopback()
	return !local && c.TLSCert == "" && len(c.trusted) == 0
}

// adminSettings is settings as the listener for operators shows them.
func (c *Config) adminSettings() []admin.Setting {
	var all []admin.Setting
	for _, s := range c.settings() {
		all = append(all, admin.Setting(s))
	}
	return all
}
