package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/proxy"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
	"oauth2-server/store/sqlite"
)

// Config is every variable of the server: the tag env names it, doc is its line in the README's table. A
// variable may be given as NAME_FILE, the path of a file that holds the value.
type Config struct {
	Host          string        `env:"OAUTH2_SERVER_HOST" envDefault:"127.0.0.1" doc:"address of the public listener"`
	Port          int           `env:"OAUTH2_SERVER_PORT" envDefault:"8080" doc:"port of the public listener; 0 takes a free one"`
	PublicBaseURL string        `env:"OAUTH2_SERVER_PUBLIC_BASE_URL" doc:"URL that clients reach the server by, and its issuer; the same on every replica; unset: http://HOST:PORT"`
	DatabaseURL   Secret        `env:"OAUTH2_DATABASE_URL" envDefault:"sqlite:./oauth2.db" doc:"sqlite:PATH, or postgres://…"`
	ReadConns     int           `env:"OAUTH2_DATABASE_READ_CONNECTIONS" envDefault:"4" doc:"Postgres connections for look-ups; the feed has 1, revocations 2, issuing and refreshing 4 beside them"`
	Capacity      capacity      `env:"OAUTH2_DATABASE_CAPACITY" doc:"how large the database may become, like 100GiB, for doctor to say when it is full; unset: the disk, where the database lies on this machine"`
	MigrateOn     string        `env:"OAUTH2_MIGRATE_ON_START" doc:"true or false: bring the schema up to date at start; unset: true with SQLite, false with Postgres"`
	RedisURL      Secret        `env:"OAUTH2_REDIS_URL" doc:"redis://…, rediss://…, redis+cluster://host:port?addr=host:port, redis+sentinel://host:port/0?master_name=NAME; unset: no Redis"`
	JWTSecret     Secret        `env:"OAUTH2_JWT_SECRET" doc:"seals the key ring; 32 bytes or more; \"new,old\" while it is changed; unset with SQLite: made at first start and kept beside the database"`
	JWTAlg        string        `env:"OAUTH2_JWT_ALG" envDefault:"ES256" doc:"ES256, EdDSA, RS256, PS256 or HS256"`
	Format        string        `env:"OAUTH2_ACCESS_TOKEN_FORMAT" envDefault:"opaque" doc:"opaque or jwt, for clients that have no format of their own"`
	AccessTTL     time.Duration `env:"OAUTH2_ACCESS_TOKEN_TTL" envDefault:"1h" doc:"life of access tokens, 1s to 24h, for clients that have none of their own"`
	RefreshTTL    time.Duration `env:"OAUTH2_REFRESH_TOKEN_TTL" envDefault:"720h" doc:"absolute life of a grant with a refresh token, 1m to 8760h, for clients that have none of their own"`
	RefreshGrace  time.Duration `env:"OAUTH2_REFRESH_GRACE" envDefault:"10s" doc:"in which a refresh that is retried gets the same successor, up to 1m; 0: each refresh token is good once"`
	BrandName     string        `env:"OAUTH2_BRAND_NAME" doc:"name at the head of the pages for people; unset: the host of the public URL"`
	BrandLogo     string        `env:"OAUTH2_BRAND_LOGO_FILE" doc:"PNG or SVG at the head of the pages, at most 64 KiB"`
	BrandColor    string        `env:"OAUTH2_BRAND_COLOR" envDefault:"#1f5fbf" doc:"colour of the pages' buttons and links, #rrggbb"`
	StalenessMax  time.Duration `env:"OAUTH2_STALENESS_MAX" envDefault:"30s" doc:"how long a replica that cannot reach the database answers from what it holds; 0: not at all"`
	CacheMiB      int           `env:"OAUTH2_CACHE_MIB" envDefault:"256" doc:"bound of the token cache in process memory, in MiB; 0: none"`
	AdminHost     string        `env:"OAUTH2_ADMIN_HOST" envDefault:"127.0.0.1" doc:"address of the listener for operators; other than loopback it wants TLS (OAUTH2_TLS_CERT_FILE) or a proxy in OAUTH2_TRUSTED_PROXIES that speaks it"`
	AdminPort     int           `env:"OAUTH2_ADMIN_PORT" envDefault:"8081" doc:"port of the listener for operators; 0 takes a free one"`
	AdminClients  []string      `env:"OAUTH2_ADMIN_CLIENT_IDS" doc:"clients, separated by commas, whose tokens with the scope admin may use the listener for operators; unset: none"`
	SessionKey    Secret        `env:"OAUTH2_SESSION_KEY" doc:"seals sessions; 32 bytes or more, the same on every replica; \"new,old\" while it is changed; unset with SQLite: derived from what seals the key ring"`
	SeedUsername  string        `env:"OAUTH2_SEED_USERNAME" envDefault:"admin" doc:"user name of the first operator, who is created at start if absent"`
	SeedPassword  Secret        `env:"OAUTH2_SEED_PASSWORD" doc:"password of the first operator, 12 characters or more; when it changes, the operator has the new one, and its sessions end; unset with SQLite: made at first start and printed once"`
	SeedEmail     string        `env:"OAUTH2_SEED_EMAIL" doc:"mail address of the first operator"`
	TrustProxies  bool          `env:"OAUTH2_SERVER_TRUST_PROXY_HEADERS" envDefault:"false" doc:"true: X-Forwarded-For of the proxies in OAUTH2_TRUSTED_PROXIES tells where a request comes from"`
	Proxies       []string      `env:"OAUTH2_TRUSTED_PROXIES" doc:"addresses or networks (10.0.0.0/8), separated by commas, of the proxies in front of the server"`
	PublishAhead  time.Duration `env:"OAUTH2_KEY_PUBLISH_AHEAD" envDefault:"1h" doc:"how long the next signing key is published before it may sign; no shorter than others cache the JWKS (5m)"`
	Origins       []string      `env:"OAUTH2_ALLOWED_ORIGINS" doc:"web origins, separated by commas, that may read the token and revocation endpoints, beside each client's own"`
	TLSCert       string        `env:"OAUTH2_TLS_CERT_FILE" doc:"certificate chain in PEM; with it and the key both listeners, the public one and the one for operators, speak TLS"`
	TLSKey        string        `env:"OAUTH2_TLS_KEY_FILE" doc:"private key in PEM"`
	MaxConns      int           `env:"OAUTH2_SERVER_MAX_CONNECTIONS" envDefault:"10000" doc:"connections open at once; those above are answered 503"`
	ShutdownDelay time.Duration `env:"OAUTH2_SHUTDOWN_DELAY" envDefault:"0s" doc:"time between SIGTERM, when /ready turns 503, and the end of the listener, for balancers to notice"`
	ShutdownMax   time.Duration `env:"OAUTH2_SHUTDOWN_TIMEOUT" envDefault:"15s" doc:"time that requests under way have to finish"`
	EventsBackend string        `env:"OAUTH2_EVENTS_BACKEND" envDefault:"in_memory" doc:"in_memory or none; no events are published yet, and any other backend makes GET /events/health degraded"`
	LogLevel      string        `env:"OAUTH2_LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`

	trusted  proxy.Trusted     // of Proxies; empty unless TrustProxies
	secrets  keys.Secrets      // of JWTSecret; empty until the embedded default has made its own
	unknown  []string          // OAUTH2_ variables that nothing reads
	given    []string          // variables that were set: NAME for NAME_FILE
	paths    map[string]string // files that those came from which were set as NAME_FILE
	faulty   []string          // variables that have a fault
	fileName string            // of SQLite's database
}

// A fault is what is wrong with a variable. It never repeats the value, which may be a secret in the wrong place.
type fault struct {
	name string // of the variable, without _FILE
	text string // names it
}

func (f *fault) Error() string { return f.text }

// loadConfig reads the environment ("NAME=value" lines) and reports all faults at
// once, one a variable. With faults it still returns what could be read.
func loadConfig(environ []string) (*Config, error) { return readConfig(environ, true) }

// loadStoreConfig is loadConfig for commands that need the store alone: there may be no OAUTH2_JWT_SECRET.
func loadStoreConfig(environ []string) (*Config, error) { return readConfig(environ, false) }

func readConfig(environ []string, needSecret bool) (*Config, error) {
	c := new(Config)
	given, paths, faults := resolve(environ)
	err := env.ParseWithOptions(c, env.Options{Environment: given})
	if aggregate, ok := errors.AsType[env.AggregateError](err); ok {
		for _, err := range aggregate.Errors {
			faults = append(faults, parseFault(err, given))
		}
	} else if err != nil {
		faults = append(faults, &fault{text: err.Error()})
	}
	c.paths = paths
	c.given = slices.Sorted(maps.Keys(given))
	c.unknown = unknownVariables(c.given)
	c.takeApart()
	for _, broken := range c.validate(needSecret) {
		// A value that could not be read is zero now, which breaks rules of its own.
		known := slices.ContainsFunc(faults, func(f *fault) bool { return f.name == broken.name })
		if !known {
			faults = append(faults, broken)
		}
	}
	var all []error
	for _, f := range faults {
		c.faulty = append(c.faulty, f.name)
		all = append(all, f)
	}
	return c, errors.Join(all...)
}

// takeApart prepares what the values mean.
func (c *Config) takeApart() {
	c.PublicBaseURL = strings.TrimRight(c.PublicBaseURL, "/")
	if path, embedded := strings.CutPrefix(string(c.DatabaseURL), "sqlite:"); embedded {
		c.fileName, _, _ = strings.Cut(strings.TrimPrefix(path, "//"), "?")
	}
	for _, list := range []*[]string{&c.Origins, &c.AdminClients, &c.Proxies} {
		for i, text := range *list {
			(*list)[i] = strings.TrimSpace(text)
		}
		*list = slices.DeleteFunc(*list, func(text string) bool { return text == "" })
	}
}

// validate is a table of what may be wrong. It also opens the secrets and the proxies.
func (c *Config) validate(needSecret bool) (faults []*fault) {
	embedded := strings.HasPrefix(string(c.DatabaseURL), "sqlite:")
	_, errAlg := keys.ParseAlg(c.JWTAlg)
	trusted, errProxies := proxy.Parse(c.Proxies)
	if c.TrustProxies {
		c.trusted = trusted
	}
	_, errMigrate := strconv.ParseBool(c.MigrateOn)
	levels := []string{"debug", "info", "warn", "error"}
	for _, rule := range []struct {
		bad     bool
		name    string
		problem string
	}{
		{c.Port < 0 || c.Port > 65535, "OAUTH2_SERVER_PORT", "must be 0 to 65535"},
		{strings.ContainsAny(c.Host, " /@"), "OAUTH2_SERVER_HOST", "must be an address or a host name, 0.0.0.0 for all addresses"},
		{c.PublicBaseURL != "" && !isBaseURL(c.PublicBaseURL), "OAUTH2_SERVER_PUBLIC_BASE_URL", "must be an http or https URL without query, fragment and user"},
		{!c.postgres() && !embedded, "OAUTH2_DATABASE_URL", "must begin with sqlite: or postgres://"},
		{embedded && c.fileName == "", "OAUTH2_DATABASE_URL", "names no file: give sqlite:PATH"},
		{embedded && c.fileName == sqlite.Memory, "OAUTH2_DATABASE_URL", "must name a file: what is kept in memory does not survive the process"},
		{c.postgres() && !isPostgresURL(c.DatabaseURL), "OAUTH2_DATABASE_URL", "is not understood: postgres://USER:PASSWORD@HOST:PORT/NAME, special characters as %XX"},
		{c.postgres() && c.JWTSecret == "" && needSecret, "OAUTH2_JWT_SECRET", "is not set: with Postgres it must hold 32 bytes or more, the same on every replica (openssl rand -base64 48)"},
		{c.RedisURL != "" && cache.CheckRedisURL(string(c.RedisURL)) != nil, "OAUTH2_REDIS_URL", "is not understood: redis://USER:PASSWORD@HOST:PORT/NUMBER, special characters as %XX; rediss://…, redis+cluster://…, redis+sentinel://…?master_name=NAME"},
		{c.AdminPort < 0 || c.AdminPort > 65535, "OAUTH2_ADMIN_PORT", "must be 0 to 65535"},
		{strings.ContainsAny(c.AdminHost, " /@"), "OAUTH2_ADMIN_HOST", "must be an address or a host name, 0.0.0.0 for all addresses"},
		{c.AdminPort == c.Port && c.Port != 0 && c.AdminHost == c.Host, "OAUTH2_ADMIN_PORT", "is the port of the public listener: the one for operators needs its own"},
		{c.postgres() && c.SessionKey == "" && needSecret, "OAUTH2_SESSION_KEY", "is not set: with Postgres it must hold 32 bytes or more, the same on every replica (openssl rand -hex 64)"},
		{c.postgres() && c.SeedPassword == "" && needSecret, "OAUTH2_SEED_PASSWORD", "is not set: with Postgres it must hold the first operator's password, 12 characters or more (openssl rand -base64 18)"},
		{c.SeedPassword != "" && login.CheckPassword(string(c.SeedPassword)) != nil, "OAUTH2_SEED_PASSWORD", "is too short or well known: 12 characters or more (openssl rand -base64 18)"},
		{!isSeedUser(c.SeedUsername, c.SeedEmail), "OAUTH2_SEED_USERNAME", "and OAUTH2_SEED_EMAIL must be a user name of visible ASCII without spaces, and a mail address or nothing"},
		{c.TrustProxies && len(c.Proxies) == 0, "OAUTH2_TRUSTED_PROXIES", "is not set, but OAUTH2_SERVER_TRUST_PROXY_HEADERS is true: name the proxies whose headers tell the truth"},
		{errProxies != nil, "OAUTH2_TRUSTED_PROXIES", "must hold addresses or networks like 10.0.0.0/8, separated by commas"},
		{c.PublishAhead < 0, "OAUTH2_KEY_PUBLISH_AHEAD", "must not be negative"},
		{errAlg != nil, "OAUTH2_JWT_ALG", "must be ES256, EdDSA, RS256, PS256 or HS256"},
		{c.Format != store.FormatOpaque && c.Format != store.FormatJWT, "OAUTH2_ACCESS_TOKEN_FORMAT", "must be opaque or jwt"},
		{c.AccessTTL < time.Second || c.AccessTTL > store.MaxTokenLife || c.AccessTTL%time.Second != 0, "OAUTH2_ACCESS_TOKEN_TTL", "must be whole seconds, 1s to 24h"},
		{c.RefreshTTL < time.Minute || c.RefreshTTL > 8760*time.Hour || c.RefreshTTL%time.Second != 0, "OAUTH2_REFRESH_TOKEN_TTL", "must be whole seconds, 1m to 8760h"},
		{c.RefreshGrace < 0 || c.RefreshGrace > time.Minute, "OAUTH2_REFRESH_GRACE", "must be 0 to 1m"},
		{!isColor(c.BrandColor), "OAUTH2_BRAND_COLOR", "must be like #1f5fbf"},
		{c.StalenessMax < 0, "OAUTH2_STALENESS_MAX", "must not be negative"},
		{c.CacheMiB < 0 || c.CacheMiB > 1<<20, "OAUTH2_CACHE_MIB", "must be 0 to 1048576"},
		{c.ReadConns < 1 || c.ReadConns > 1000, "OAUTH2_DATABASE_READ_CONNECTIONS", "must be 1 to 1000"},
		{c.MaxConns < 1, "OAUTH2_SERVER_MAX_CONNECTIONS", "must be 1 or more"},
		{c.MigrateOn != "" && errMigrate != nil, "OAUTH2_MIGRATE_ON_START", "must be true or false"},
		{c.TLSCert == "" && c.TLSKey != "", "OAUTH2_TLS_CERT_FILE", "is not set, but OAUTH2_TLS_KEY_FILE is: they go together"},
		{c.TLSCert != "" && c.TLSKey == "", "OAUTH2_TLS_KEY_FILE", "is not set, but OAUTH2_TLS_CERT_FILE is: they go together"},
		{c.ShutdownDelay < 0, "OAUTH2_SHUTDOWN_DELAY", "must not be negative"},
		{c.ShutdownMax < 0, "OAUTH2_SHUTDOWN_TIMEOUT", "must not be negative"},
		{!backendName.MatchString(c.EventsBackend), "OAUTH2_EVENTS_BACKEND", "must be the name of a backend, like in_memory"},
		{!slices.Contains(levels, c.LogLevel), "OAUTH2_LOG_LEVEL", "must be " + strings.Join(levels, ", ")},
		{slices.ContainsFunc(c.Origins, func(o string) bool { return !store.IsOrigin(o) }), "OAUTH2_ALLOWED_ORIGINS", "must hold origins as browsers send them, like https://app.example.com, separated by commas"},
	} {
		if rule.bad {
			faults = append(faults, &fault{rule.name, rule.name + " " + rule.problem})
		}
	}
	return append(faults, c.openSecrets()...)
}

// openSecrets parses JWTSecret and SessionKey, those that are set.
func (c *Config) openSecrets() (faults []*fault) {
	for _, one := range []struct {
		name, text string
		to         *keys.Secrets
	}{
		{"OAUTH2_JWT_SECRET", string(c.JWTSecret), &c.secrets},
		{"OAUTH2_SESSION_KEY", string(c.SessionKey), new(keys.Secrets)}, // the same form: login.ParseKeys reads it
	} {
		if one.text == "" {
			continue
		}
		secrets, err := keys.ParseSecrets(one.text)
		switch {
		case err != nil:
			faults = append(faults, &fault{one.name, fmt.Sprintf("%s: %v (openssl rand -base64 48)", one.name, err)})
		case slices.ContainsFunc(strings.Split(one.text, ","), isWeak):
			faults = append(faults, &fault{one.name, one.name + " is guessable: make one with openssl rand -base64 48"})
		default:
			*one.to = secrets
		}
	}
	return faults
}

// backendName: GET /events/health shows the name to everybody, so it must be no more than one.
var backendName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

var color = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func isColor(text string) bool { return color.MatchString(text) }

func isSeedUser(name, email string) bool {
	u := store.User{Username: store.FoldUsername(name), Email: email, Role: store.RoleAdmin, Password: "set later"}
	return u.Validate() == nil
}

// isPostgresURL reports whether the store can read the URL. It connects to nothing.
func isPostgresURL(url Secret) bool {
	db, err := postgres.Open(postgres.Options{URL: string(url)})
	if err != nil {
		return false
	}
	db.Close()
	return true
}

// minDistinct is how many different bytes a secret has at least: one of 32 random bytes has more in any encoding.
const minDistinct = 8

// isWeak: a pattern, or a well-known placeholder.
func isWeak(secret string) bool {
	different := map[byte]bool{}
	for i := range len(secret) {
		different[secret[i]] = true
	}
	lower := strings.ToLower(secret)
	placeholder := func(word string) bool { return strings.Contains(lower, word) }
	return len(different) < minDistinct || slices.ContainsFunc([]string{"changeme", "change-me", "change_me", "insecure", "your-secret", "example"}, placeholder)
}

func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && !strings.ContainsAny(text, "?# ")
}

// postgres reports whether the store is Postgres, which makes this production.
func (c *Config) postgres() bool {
	scheme, _, _ := strings.Cut(string(c.DatabaseURL), "://")
	return scheme == "postgres" || scheme == "postgresql"
}

// migrateOnStart: explicitly, or because the store is embedded.
func (c *Config) migrateOnStart() bool {
	if on, err := strconv.ParseBool(c.MigrateOn); err == nil {
		return on
	}
	return !c.postgres()
}

// address is where the public listener listens.
func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// issuer is the issuer identifier, given the address that the listener got.
func (c *Config) issuer(listening net.Addr) string {
	if c.PublicBaseURL != "" {
		return c.PublicBaseURL
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	if address, err := netip.ParseAddrPort(listening.String()); err == nil && address.Addr().IsUnspecified() {
		return fmt.Sprintf("%s://localhost:%d", scheme, address.Port()) // no client reaches 0.0.0.0
	}
	return scheme + "://" + listening.String()
}
