package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// faultsOf is what is wrong with the environment, a line each.
func faultsOf(env ...string) []string {
	_, err := loadConfig(env)
	return lines(err)
}

// only: there is one fault, and it holds the parts.
func only(t *testing.T, env []string, parts ...string) {
	t.Helper()
	faults := faultsOf(env...)
	if len(faults) != 1 {
		t.Fatalf("%v: got %d faults %q, want one", env, len(faults), faults)
	}
	want(t, faults[0], parts...)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const production = "OAUTH2_DATABASE_URL=postgres://u:p@db.example.com:5432/oauth2?sslmode=require"

// inProduction is an environment with Postgres, in which nothing is amiss but what is given, and OAUTH2_JWT_SECRET.
func inProduction(env ...string) []string {
	return append([]string{production, "OAUTH2_SESSION_KEY=" + testSecret + "-for-sessions", "OAUTH2_SEED_PASSWORD=" + testSeedPassword}, env...)
}

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.address() != "127.0.0.1:8080" || c.postgres() || c.fileName != "./oauth2.db" || !c.migrateOnStart() || c.AccessTTL != time.Hour ||
		c.StalenessMax != 30*time.Second || c.Format != "opaque" || c.JWTAlg != "ES256" || c.RedisURL != "" || c.JWTSecret != "" {
		t.Errorf("got %+v", c)
	}
}

func TestConfigTakesWhatIsGiven(t *testing.T) {
	c, err := loadConfig(inProduction(
		"OAUTH2_JWT_SECRET="+testSecret+","+testSecret+"-old", "OAUTH2_SERVER_PUBLIC_BASE_URL=https://auth.example.com/",
		"OAUTH2_ALLOWED_ORIGINS=https://a.example.com, http://localhost:3000,", "OAUTH2_SERVER_PORT=0", "OAUTH2_MIGRATE_ON_START=1",
		"OAUTH2_REDIS_URL=redis+sentinel://s1:26379/0?master_name=m&addr=s2:26379", "OAUTH2_CACHE_MIB=", "HOME=/root", "OAUTH2_STALENESS_MAX=0",
	))
	if err != nil {
		t.Fatal(err)
	}
	if !c.postgres() || c.PublicBaseURL != "https://auth.example.com" || !slices.Equal(c.Origins, []string{"https://a.example.com", "http://localhost:3000"}) ||
		c.Port != 0 || !c.migrateOnStart() || len(c.secrets.Fingerprints()) != 2 || c.CacheMiB != 256 || c.StalenessMax != 0 || c.unknown != nil {
		t.Errorf("got %+v", c)
	}
	if slices.Contains(c.given, "OAUTH2_CACHE_MIB") || !slices.Contains(c.given, "OAUTH2_SERVER_PORT") {
		t.Errorf("got given %v, want the empty one left out", c.given)
	}
}

// Every rule, each alone.
func TestConfigRules(t *testing.T) {
	for _, line := range []string{
		"OAUTH2_SERVER_PORT=-1", "OAUTH2_SERVER_PORT=65536", "OAUTH2_SERVER_PORT=http", "OAUTH2_SERVER_PORT=99999999999999999999",
		"OAUTH2_SERVER_HOST=http://x", "OAUTH2_SERVER_PUBLIC_BASE_URL=auth.example.com", "OAUTH2_SERVER_PUBLIC_BASE_URL=ftp://x",
		"OAUTH2_SERVER_PUBLIC_BASE_URL=https://x/?a", "OAUTH2_SERVER_PUBLIC_BASE_URL=https://x/#", "OAUTH2_SERVER_PUBLIC_BASE_URL=https://u:p@x",
		"OAUTH2_SERVER_PUBLIC_BASE_URL=https://:80", "OAUTH2_DATABASE_URL=mysql://x", "OAUTH2_DATABASE_URL=postgresfoo://x", "OAUTH2_DATABASE_URL=./oauth2.db", "OAUTH2_DATABASE_URL=sqlite:",
		"OAUTH2_DATABASE_URL=sqlite::memory:", "OAUTH2_JWT_SECRET=short", "OAUTH2_JWT_SECRET=" + testSecret + ",short", "OAUTH2_JWT_SECRET=" + testSecret + "," + testSecret,
		"OAUTH2_REDIS_URL=http://x", "OAUTH2_REDIS_URL=redis+sentinel://x:1", "OAUTH2_REDIS_URL=redis+other://x:1", "OAUTH2_REDIS_URL=localhost:6379",
		"OAUTH2_JWT_ALG=none", "OAUTH2_JWT_ALG=es256", "OAUTH2_ACCESS_TOKEN_FORMAT=JWT", "OAUTH2_ACCESS_TOKEN_TTL=0", "OAUTH2_ACCESS_TOKEN_TTL=25h",
		"OAUTH2_ACCESS_TOKEN_TTL=1500ms", "OAUTH2_ACCESS_TOKEN_TTL=3600", "OAUTH2_STALENESS_MAX=-1s", "OAUTH2_STALENESS_MAX=long", "OAUTH2_CACHE_MIB=-1", "OAUTH2_CACHE_MIB=1048577",
		"OAUTH2_DATABASE_READ_CONNECTIONS=0", "OAUTH2_DATABASE_READ_CONNECTIONS=1001", "OAUTH2_SERVER_MAX_CONNECTIONS=0", "OAUTH2_MIGRATE_ON_START=yes",
		"OAUTH2_TLS_CERT_FILE=x", "OAUTH2_TLS_KEY_FILE=x", "OAUTH2_SHUTDOWN_DELAY=-1s", "OAUTH2_SHUTDOWN_TIMEOUT=-1s", "OAUTH2_LOG_LEVEL=loud",
		"OAUTH2_ALLOWED_ORIGINS=*", "OAUTH2_ALLOWED_ORIGINS=https://a.example.com/", "OAUTH2_ALLOWED_ORIGINS=null", "OAUTH2_ALLOWED_ORIGINS=https://a.example.com:443",
		"OAUTH2_ADMIN_PORT=-1", "OAUTH2_ADMIN_PORT=8080", "OAUTH2_ADMIN_HOST=http://x", "OAUTH2_SESSION_KEY=short", "OAUTH2_SEED_PASSWORD=changeme",
		"OAUTH2_SEED_USERNAME=two words", "OAUTH2_TRUSTED_PROXIES=proxy", "OAUTH2_TRUSTED_PROXIES=10.0.0.0/33", "OAUTH2_SERVER_TRUST_PROXY_HEADERS=maybe",
		"OAUTH2_KEY_PUBLISH_AHEAD=-1s",
	} {
		name, value, _ := strings.Cut(line, "=")
		t.Run(line, func(t *testing.T) {
			named := strings.TrimSuffix(strings.TrimSuffix(name, "CERT_FILE"), "KEY_FILE") // one of the two is named
			only(t, []string{line}, named)
			if fault := faultsOf(line)[0]; len(value) > len("sqlite:") && strings.Contains(fault, value) {
				t.Errorf("the value is repeated: %s", fault)
			}
		})
	}
}

func TestConfigTellsAllFaultsAtOnce(t *testing.T) {
	faults := faultsOf(production, "OAUTH2_SERVER_PORT=x", "OAUTH2_ACCESS_TOKEN_TTL=x", "OAUTH2_LOG_LEVEL=x", "OAUTH2_REDIS_URL=x", "OAUTH2_CACHE_MIB_FILE=/none")
	if len(faults) != 8 {
		t.Errorf("got %d faults %q, want 8: each variable once, the three missing secrets among them", len(faults), faults)
	}
}

func TestProductionNeedsAStrongSecret(t *testing.T) {
	only(t, inProduction(), "OAUTH2_JWT_SECRET is not set", "openssl rand")
	only(t, inProduction("OAUTH2_JWT_SECRET="), "OAUTH2_JWT_SECRET is not set")
	only(t, inProduction("OAUTH2_JWT_SECRET=0123456789012345678901234567890"), "has 31 bytes")
	for _, weak := range []string{
		strings.Repeat("a", 64), strings.Repeat("abc", 30), "changeme-changeme-changeme-0123456789", "please-CHANGE-ME-0123456789-abcdefghi",
		"an-insecure-secret-of-more-than-32-bytes", "your-secret-key-0123456789-abcdefghijk", testSecret + "," + strings.Repeat("a", 64),
	} {
		only(t, inProduction("OAUTH2_JWT_SECRET="+weak), "OAUTH2_JWT_SECRET is guessable")
	}
	if _, err := loadStoreConfig(inProduction()); err != nil {
		t.Errorf("a command that needs no secret: got %v, want nil", err)
	}
	if _, err := loadConfig(inProduction("OAUTH2_JWT_SECRET=0123456789abcdef0123456789abcdef")); err != nil {
		t.Errorf("32 bytes: got %v, want nil", err)
	}
}

// Sessions and the first operator are as well guarded as the ring.
func TestProductionNeedsAnOperator(t *testing.T) {
	secret := "OAUTH2_JWT_SECRET=" + testSecret
	session, password := "OAUTH2_SESSION_KEY="+testSecret+"-for-sessions", "OAUTH2_SEED_PASSWORD="+testSeedPassword
	only(t, []string{production, secret, password}, "OAUTH2_SESSION_KEY is not set", "openssl rand")
	only(t, []string{production, secret, session}, "OAUTH2_SEED_PASSWORD is not set", "openssl rand")
	only(t, inProduction(secret, "OAUTH2_SESSION_KEY="+strings.Repeat("a", 64)), "OAUTH2_SESSION_KEY is guessable")
	only(t, inProduction(secret, "OAUTH2_SEED_PASSWORD=changeme"), "OAUTH2_SEED_PASSWORD", "12 characters")
	only(t, inProduction(secret, "OAUTH2_SERVER_TRUST_PROXY_HEADERS=true"), "OAUTH2_TRUSTED_PROXIES is not set")
}

func TestConfigFromFiles(t *testing.T) {
	c, err := loadConfig([]string{"OAUTH2_JWT_SECRET_FILE=" + file(t, testSecret+"\r\n"), "OAUTH2_SERVER_PORT_FILE=" + file(t, "99")})
	if err != nil {
		t.Fatal(err)
	}
	if string(c.JWTSecret) != testSecret || c.Port != 99 || c.unknown != nil || !slices.Contains(c.given, "OAUTH2_JWT_SECRET") {
		t.Errorf("got %+v, want what the files hold", c)
	}
	only(t, []string{"OAUTH2_JWT_SECRET=" + testSecret, "OAUTH2_JWT_SECRET_FILE=" + file(t, testSecret)}, "OAUTH2_JWT_SECRET_FILE", "beside OAUTH2_JWT_SECRET")
	only(t, inProduction("OAUTH2_JWT_SECRET_FILE=/etc/no/such/file"), "OAUTH2_JWT_SECRET_FILE", "/etc/no/such/file", "no such file")
	folder := t.TempDir()
	only(t, []string{"OAUTH2_JWT_SECRET_FILE=" + folder}, "OAUTH2_JWT_SECRET_FILE", folder, "directory")
	only(t, []string{"OAUTH2_JWT_SECRET_FILE=hunter2hunter2"}, "OAUTH2_JWT_SECRET_FILE", "no such file", "its value is not shown")
	only(t, []string{"OAUTH2_JWT_SECRET_FILE=/hunter2/hunter2"}, "OAUTH2_JWT_SECRET_FILE", "its value is not shown")
	only(t, []string{"OAUTH2_JWT_SECRET_FILE=" + file(t, "\n")}, "OAUTH2_JWT_SECRET_FILE", "empty file")
	only(t, []string{"OAUTH2_JWT_SECRET_FILE=" + file(t, "short")}, "OAUTH2_JWT_SECRET", "5 bytes")
	if c, _ := loadConfig([]string{"OAUTH2_TLS_CERT_FILE=a", "OAUTH2_TLS_KEY_FILE=b"}); c.TLSCert != "a" || c.TLSKey != "b" {
		t.Errorf("got %q and %q: the files of TLS are read when it starts", c.TLSCert, c.TLSKey)
	}
}

func TestKubernetesServiceLinks(t *testing.T) {
	links := []string{
		"OAUTH2_SERVER_SERVICE_HOST=10.0.0.1", "OAUTH2_SERVER_SERVICE_PORT=80", "OAUTH2_SERVER_SERVICE_PORT_HTTP=80", "OAUTH2_SERVER_PORT_80_TCP=tcp://10.0.0.1:80",
		"OAUTH2_SERVER_PORT_80_TCP_ADDR=10.0.0.1",
	}
	c, err := loadConfig(links)
	if err != nil || c.unknown != nil {
		t.Errorf("got %v and %v, want them passed over", err, c.unknown)
	}
	only(t, append(links, "OAUTH2_SERVER_PORT=tcp://10.0.0.1:80"), "OAUTH2_SERVER_PORT", "Kubernetes", "enableServiceLinks: false")
}

// No fault repeats a part of a password, however the URL is broken.
func TestConfigFaultsHoldNoSecret(t *testing.T) {
	const secret = "hunter22"
	for _, line := range []string{
		"OAUTH2_DATABASE_URL=postgres://u:" + secret + "/x@h/db", "OAUTH2_DATABASE_URL=postgres://u:" + secret + "%zz@h/db", "OAUTH2_DATABASE_URL=postgres://u:1" + secret,
		"OAUTH2_DATABASE_URL=" + secret, "OAUTH2_DATABASE_URL=postgres://h:" + secret + "/db?sslmode=" + secret,
		"OAUTH2_REDIS_URL=redis://u:" + secret + "/x@h", "OAUTH2_REDIS_URL=redis://u:" + secret + "%zz@h", "OAUTH2_REDIS_URL=redis://h:1/" + secret, "OAUTH2_REDIS_URL=" + secret,
		"OAUTH2_REDIS_URL=redis+" + secret + "://x", "OAUTH2_REDIS_URL=redis://h:1/0?" + secret + "=1", "OAUTH2_REDIS_URL=redis://h:1/0?read_timeout=" + secret,
		"OAUTH2_JWT_SECRET=" + secret, "OAUTH2_JWT_SECRET_FILE=" + secret, "OAUTH2_SERVER_PORT=" + secret, "OAUTH2_SHUTDOWN_DELAY=" + secret, "OAUTH2_LOG_LEVEL=" + secret,
		"OAUTH2_MIGRATE_ON_START=" + secret, "OAUTH2_ALLOWED_ORIGINS=" + secret, "OAUTH2_JWT_ALG=" + secret,
	} {
		c := &console{t: t, env: []string{line, "OAUTH2_JWT_SECRET=" + secret}}
		if strings.HasPrefix(line, "OAUTH2_JWT_SECRET") {
			c.env = c.env[:1]
		}
		if status, _, _ := c.run("", "config", "check"); status != 2 {
			t.Errorf("%s: got status %d, want 2", line, status)
		}
		shown := strings.Contains(line, "LOG_LEVEL") || strings.Contains(line, "MIGRATE") || strings.Contains(line, "ORIGINS") || strings.Contains(line, "ALG")
		faults := strings.Join(faultsOf(c.env...), "\n")
		if strings.Contains(faults, secret) || !shown && strings.Contains(c.printed.String(), secret) {
			t.Errorf("%s: the secret is in %s", line, c.printed.String())
		}
	}
}

func TestUnknownVariablesAreNamedWithTheNearest(t *testing.T) {
	c := &console{t: t, env: []string{"OAUTH2_JWT_SECRETS=x", "OAUTH2_SERVER_PROT=1", "OAUTH2_EVENTS_BACKEND=memory", "OTHER=x"}}
	want(t, c.must("config", "check"), "OAUTH2_JWT_SECRETS is not known", "nearest is OAUTH2_JWT_SECRET.", "OAUTH2_SERVER_PROT is not known", "nearest is OAUTH2_SERVER_PORT.")
	answer := decodeJSON[struct{ Unknown []unknownName }](t, c.must("config", "check", "--json"))
	if len(answer.Unknown) != 2 {
		t.Errorf("got %+v, want two", answer.Unknown)
	}
}

// A value that a file holds is named by the file, which is where it can be changed.
func TestConfigCheckNamesFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "level")
	rewrite(t, file, "debug\n")
	c := &console{t: t, env: []string{"OAUTH2_LOG_LEVEL_FILE=" + file, "OAUTH2_CACHE_MIB=7"}}
	out := c.must("config", "check")
	for _, row := range []string{`OAUTH2_LOG_LEVEL +debug +file ` + file, `OAUTH2_CACHE_MIB +7 +environment`, `OAUTH2_JWT_ALG +ES256 +default`} {
		if !regexp.MustCompile(`(?m)^` + row + ` *$`).MatchString(out) {
			t.Errorf("%s has no row %s", out, row)
		}
	}
}

func TestConfigCheckShowsWhatIsInEffect(t *testing.T) {
	c := &console{t: t, env: inProduction("OAUTH2_JWT_SECRET="+testSecret, "OAUTH2_REDIS_URL=redis://:hunter22@cache:6379/1", "OAUTH2_ALLOWED_ORIGINS=https://a.example.com")}
	out := c.must("config", "check")
	want(t, out, "postgres://u:***@db.example.com:5432/oauth2?sslmode=require", "redis://:***@cache:6379/1", "***", "https://a.example.com", "1h0m0s", "environment", "default")
	answer := decodeJSON[struct {
		OK       bool
		Faults   []string
		Settings []setting
	}](t, c.must("config", "check", "--json"))
	if !answer.OK || len(answer.Faults) != 0 || len(answer.Settings) != len(variables()) {
		t.Errorf("got %+v, want every variable", answer)
	}
	c.env = append(c.env, "OAUTH2_TLS_CERT_FILE=/none", "OAUTH2_TLS_KEY_FILE=/none")
	status, out, errOut := c.run("", "config", "check", "--json")
	answer.OK = true
	if err := json.Unmarshal([]byte(out), &answer); err != nil || status != 2 || answer.OK || len(answer.Faults) == 0 {
		t.Errorf("got status %d, %+v, %v, want the missing certificate", status, answer, err)
	}
	want(t, errOut, "OAUTH2_TLS_CERT_FILE")
}

func TestMaskURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"sqlite:./oauth2.db":                   "sqlite:./oauth2.db",
		"sqlite:///var/lib/oauth2.db":          "sqlite:///var/lib/oauth2.db",
		"https://auth.example.com":             "https://auth.example.com",
		"postgres://h/db":                      "postgres://h/db",
		"postgres://u@h/db":                    "postgres://u@h/db",
		"postgres://u:pw@h/db":                 "postgres://u:***@h/db",
		"postgres://u:p%40w@h/db?sslmode=x":    "postgres://u:***@h/db?sslmode=x",
		"postgres://h/db?user=u&password=pw":   "postgres://h/db?password=***&user=u",
		"postgres://h/db?sslpassword=pw":       "postgres://h/db?sslpassword=***",
		"redis://:pw@h:1/0":                    "redis://:***@h:1/0",
		"redis+sentinel://h:1?SENTINEL_PASS=p": "redis+sentinel://h:1?SENTINEL_PASS=***",
		"postgres://u:12/34@h/db":              "***",
		"postgres://u:12?34@h/db":              "***",
		"postgres://u:12#34@h/db":              "***",
		"postgres://u:pw%zz@h/db":              "***",
		"postgres://u:pw":                      "***",
		"postgres://u:pw@h1:1,h2:2/db":         "postgres://u:***@h1:1,h2:2/db",
		"hunter22":                             "***",
	} {
		if got := maskURL(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func FuzzMaskURL(f *testing.F) {
	for _, seed := range []string{"postgres://u:%s@h/db", "redis://:%s@h:1/0?x=y", "postgres://h/db?password=%s", "%s", "postgres://u:1/%s@h", "sqlite:%s"} {
		f.Add(strings.Replace(seed, "%s", "hunter22", 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		userinfo, _, ok := strings.Cut(text, "@")
		_, password, ok2 := strings.Cut(strings.TrimPrefix(userinfo, "postgres://"), ":")
		if ok && ok2 && strings.HasPrefix(text, "postgres://") && len(password) > 3 && password != masked && strings.Contains(maskURL(text), password) {
			if !strings.Contains(strings.Replace(text, password, "", 1), password) { // the same text elsewhere is no password
				t.Errorf("%q: the password is in %q", text, maskURL(text))
			}
		}
	})
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const secret = "hunter22-hunter22-hunter22-hunter22-01"
	c, err := loadConfig([]string{
		"OAUTH2_JWT_SECRET=" + secret, "OAUTH2_SESSION_KEY=" + secret, "OAUTH2_SEED_PASSWORD=" + secret,
		"OAUTH2_REDIS_URL=redis://:" + secret + "@h:1/0", "OAUTH2_DATABASE_URL=postgres://u:" + secret + "@h/db",
	})
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&all, verb, *c)
		fmt.Fprintf(&all, verb, c)
		fmt.Fprintf(&all, verb, c.JWTSecret)
		fmt.Fprintf(&all, verb, []Secret{c.JWTSecret})
		fmt.Fprintf(&all, verb, errors.New(c.JWTSecret.String()))
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&all, nil), slog.NewTextHandler(&all, nil)} {
		slog.New(handler).Info("x", "config", c, "value", *c, "secret", c.JWTSecret)
	}
	if err := json.NewEncoder(&all).Encode(c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(all.String(), masked) {
		t.Error("nothing is masked: the test looks at nothing")
	}
	for _, leak := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(all.String(), leak) {
			t.Errorf("%s is in what was printed", leak)
		}
	}
	if fmt.Sprint(Secret("")) != "" {
		t.Error("an empty secret is shown as one")
	}
}

// The README's table of variables is the code's.
func TestReadmeHoldsTheVariables(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(readme), "<!-- variables -->")
	table, _, ends := strings.Cut(rest, "<!-- /variables -->")
	out := (&console{t: t}).must("config", "variables", "--markdown")
	if !begins || !ends || strings.TrimSpace(table) != strings.TrimSpace(out) {
		t.Error("the table between <!-- variables --> and <!-- /variables --> in README.md is not what \"oauth2-server config variables --markdown\" prints")
	}
}

func TestEveryVariableIsExplained(t *testing.T) {
	for _, v := range variables() {
		if v.Doc == "" || !strings.HasPrefix(v.Name, ours) {
			t.Errorf("%+v lacks its meaning or the prefix", v)
		}
	}
	want(t, (&console{t: t}).must("config", "variables", "--markdown"), "| Variable | Default | Meaning |", "| `OAUTH2_SERVER_PORT` | `8080` |")
}
