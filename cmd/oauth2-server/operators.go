package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"

	"oauth2-server/admin"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// newAdmin builds the listener for operators of the parts that they look at and work with.
func newAdmin(r *running, hasher *login.Hasher, secure *tls.Config, log *slog.Logger) (*admin.Server, error) {
	c := r.config
	sessions, err := c.sessions()
	if err != nil {
		return nil, err
	}
	return admin.New(admin.Options{
		DB: r.db, Tier: r.tier, Ring: r.ring, Rules: r.rules, Sessions: sessions,
		Door:    &login.Door{Users: r.db, Limits: r.limiter, Hasher: hasher, Role: store.RoleAdmin, Space: admin.NameSpace},
		Clients: c.AdminClients, Trusted: c.trusted, TLS: secure, Metrics: r.metrics, Log: log,
		Secrets: c.secrets, Alg: r.alg, PublishAhead: c.PublishAhead,
		Version: version(), Settings: c.adminSettings,
	})
}

// sessions seals those of people. The embedded default derives its key from what seals the key ring.
func (c *Config) sessions() (*login.Sessions, error) {
	text, name := c.SessionKey, "OAUTH2_SESSION_KEY"
	if text == "" {
		text, name = c.JWTSecret, "OAUTH2_JWT_SECRET"
	}
	sessions, err := login.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return sessions, nil
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
