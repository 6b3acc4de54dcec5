package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
)

// vitals is what this replica says of itself with each renewal of its registration, which is every five seconds. Its read is called
// by one goroutine.
type vitals struct {
	running *running
	hasher  *login.Hasher
	fixed   store.Vitals // what never changes
	window  window
	cpu     cpuWindow
	memory  hour
	heap    hour
	ended   atomic.Bool            // the server ends in good order
	fault   atomic.Pointer[string] // why it ends by itself; nil: it does not
}

// of says what to look at: the server of which the vitals are a part.
func (v *vitals) of(r *running, hasher *login.Hasher) {
	v.running, v.hasher = r, hasher
	build := readBuild()
	host, _ := os.Hostname() // unknown is empty
	v.fixed = store.Vitals{
		Revision: build.Revision, Go: build.Go, Host: host, Platform: ownPlatform(), Issuer: r.issuer, Config: r.config.fingerprint(), Settings: r.config.settingFingerprints(),
		Proxy: store.ProxyVitals{Trusted: len(r.config.trusted) > 0},
	}
}

// faultMost is how much of a fault is told; the log has the rest.
const faultMost = 300

// fails says why the server ends by itself.
func (v *vitals) fails(why error) {
	text := strings.ReplaceAll(why.Error(), "\n", "; ")
	if len(text) > faultMost {
		text = text[:faultMost] + "…"
	}
	text = strings.ToValidUTF8(text, "")
	v.fault.Store(&text)
}

// read looks at everything. What cannot be known here is zero.
func (v *vitals) read() store.Vitals {
	r, now, is := v.running, time.Now(), v.fixed
	if v.ended.Load() {
		is.Ended = now
	}
	if fault := v.fault.Load(); fault != nil {
		is.Fault = *fault
	}
	is.Failing = r.public.Failing()
	is.Ready, is.Draining = len(is.Failing) == 0, r.public.Draining()
	config := r.reload.config()
	is.Secrets, is.SessionKeys = config.secrets.Fingerprints(), config.sessionFingerprints()
	files := r.reload.standing()
	is.Reload, is.Unfinished, is.Restart = files.refused, files.unfinished, files.restart
	is.TLSUntil = r.certificate.until()
	is.Skew, is.Redis = r.tier.Skew().Milliseconds(), r.tier.Status().Redis
	v.readProcess(&is, now)

	work := v.window.sample(r.metrics.WritePrometheus)
	is.Queries, is.Routes, is.Logins, is.Counts = work.queries.vitals(), work.routes.vitals(), work.logins, work.counts
	is.DenySet = work.denySet
	is.Pools = v.pools(work)
	hasher := v.hasher.Stats()
	is.Hasher = store.HasherVitals{Places: hasher.Places, Working: hasher.Working, Waiting: hasher.Waiting, Busy: work.busy}
	is.Proxy.Unbelieved, is.Proxy.OtherHost, is.Proxy.Host = work.unbelieved, work.otherHost, r.public.OtherHost()
	return is
}

// readProcess looks at the process and at what its cgroup allows it.
func (v *vitals) readProcess(is *store.Vitals, now time.Time) {
	system := os.DirFS("/")
	self, group, runs := readSelf(system), readCgroup(system), readRuntime()
	is.Processors, is.Goroutines = runtime.GOMAXPROCS(0), runtime.NumGoroutine()
	is.CPUQuota, is.MemoryLimit = group.quota, group.memory
	is.Memory, is.Files, is.FilesLimit = self.resident, self.files, self.filesLimit
	is.Heap = runs.heap
	is.MemoryThen, is.HeapThen = v.memory.least(now, is.Memory), v.heap.least(now, is.Heap)
	is.CPUShare, is.GCShare, is.Throttled = v.cpu.shares(cpuSample{now, self.cpu, runs.collecting, runs.busy, group.periods, group.throttled}, is.Processors)
}

func (v *vitals) pools(work *work) []store.PoolVitals {
	pg, ok := v.running.db.(*postgres.DB)
	if !ok {
		return nil
	}
	var all []store.PoolVitals
	for _, pool := range pg.Stats() {
		waits := work.pools[pool.Name]
		all = append(all, store.PoolVitals{Name: pool.Name, Limit: pool.Limit, Open: pool.Total, Waits: waits.count, Waited: waits.milliseconds})
	}
	return all
}

// sessionFingerprints tell which keys seal sessions: the embedded default derives its own from what seals the key ring.
func (c *Config) sessionFingerprints() []string {
	text := c.SessionKey
	if text == "" {
		text = c.JWTSecret
	}
	var all []string
	for key := range strings.SplitSeq(string(text), ",") {
		all = append(all, fingerprint(strings.TrimSpace(key), "oauth2-server session key fingerprint"))
	}
	return all
}

// ownSettings are those in which replicas may differ: where each of them listens, lives and looks, and how large it is. Secrets have
// fingerprints of their own.
var ownSettings = []string{
	"OAUTH2_SERVER_HOST", "OAUTH2_SERVER_PORT", "OAUTH2_ADMIN_HOST", "OAUTH2_ADMIN_PORT", "OAUTH2_TLS_CERT_FILE", "OAUTH2_TLS_KEY_FILE",
	"OAUTH2_BRAND_LOGO_FILE", "OAUTH2_DATABASE_URL", "OAUTH2_DATABASE_READ_CONNECTIONS", "OAUTH2_DATABASE_CAPACITY", "OAUTH2_MIGRATE_ON_START",
	"OAUTH2_REDIS_URL", "OAUTH2_CACHE_MIB", "OAUTH2_SERVER_MAX_CONNECTIONS", "OAUTH2_SHUTDOWN_DELAY", "OAUTH2_SHUTDOWN_TIMEOUT", "OAUTH2_LOG_LEVEL",
	"OAUTH2_JWT_SECRET", "OAUTH2_SESSION_KEY", "OAUTH2_SEED_PASSWORD",
}

// fingerprint of the settings that replicas must share: a new variable is one of them unless ownSettings has it.
func (c *Config) fingerprint() string {
	var text strings.Builder
	for _, s := range c.sharedSettings() {
		fmt.Fprintf(&text, "%s=%q\n", s.Name, s.Value)
	}
	return fingerprint(text.String(), "oauth2-server configuration fingerprint")
}

func (c *Config) sharedSettings() []setting {
	return slices.DeleteFunc(c.settings(), func(s setting) bool { return slices.Contains(ownSettings, s.Name) })
}

// settingFingerprints tell in which settings replicas differ.
func (c *Config) settingFingerprints() map[string]string {
	all := map[string]string{}
	for _, s := range c.sharedSettings() {
		all[s.Name] = fingerprint(s.Value, "oauth2-server setting fingerprint")
	}
	return all
}

// fingerprint tells whether two secrets are the same, and nothing else of them: 32 bits of an HMAC-SHA-256.
func fingerprint(secret, label string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(label))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}
