package store

import "time"

// A Replica is one running server, as it registers itself.
type Replica struct {
	ID       ID        `json:"id"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Public   string    `json:"public"`          // listener address
	Admin    string    `json:"admin,omitempty"` // listener address
	Fence    int64     `json:"fence_ms"`        // milliseconds since the start of its last good poll
	Position Position  `json:"position"`
	Seen     time.Time `json:"seen"` // set by the store at each renewal
	Vitals   Vitals    `json:"vitals,omitzero"`
}

// Alive says how long a replica may be silent before it counts as gone.
const Alive = 30 * time.Second

// MaxReplicas bounds a list of replicas, the gone among them.
const MaxReplicas = 1000

// Vitals is how a replica is, as it says itself with each renewal. Counts and times of what it did are of the last minute
// or so; fingerprints tell whether two secrets are the same and nothing else of them. Whatever is not known is zero.
type Vitals struct {
	Revision string    `json:"revision,omitempty"` // of the source it was built of
	Go       string    `json:"go,omitempty"`
	Host     string    `json:"host,omitempty"`     // name of its machine or pod
	Platform string    `json:"platform,omitempty"` // what runs it: one of those below; empty: it does not say
	Ended    time.Time `json:"ended,omitzero"`     // when it ended in good order
	Ready    bool      `json:"ready"`              // /ready answers 200
	Draining bool      `json:"draining,omitempty"` // it ends, and fails for that
	Fault    string    `json:"fault,omitempty"`    // why it ends by itself; empty while it does not, or was told to end
	Failing  []string  `json:"failing,omitempty"`  // the checks for which it does not, each with its detail

	Issuer      string            `json:"issuer,omitempty"`
	Config      string            `json:"config,omitempty"`       // fingerprint of the settings that replicas must share
	Settings    map[string]string `json:"settings,omitempty"`     // the same of each of those settings, by name
	Secrets     []string          `json:"secrets,omitempty"`      // fingerprints of OAUTH2_JWT_SECRET, the sealing one first, as keys name them
	SessionKeys []string          `json:"session_keys,omitempty"` // fingerprints of OAUTH2_SESSION_KEY, the sealing one first
	Reload      string            `json:"reload,omitempty"`       // why what the files hold now is refused
	Unfinished  string            `json:"unfinished,omitempty"`   // why what the files hold now is in force, but not finished in the store
	Restart     []string          `json:"restart,omitempty"`      // variables whose files hold what only a restart puts in force
	TLSUntil    time.Time         `json:"tls_until,omitzero"`     // end of the certificate of the listeners
	Skew        int64             `json:"skew_ms"`                // this machine's clock less the store's, milliseconds
	Redis       string            `json:"redis,omitempty"`        // "off", "up" or "down"

	Processors  int     `json:"processors"`                   // GOMAXPROCS
	CPUQuota    float64 `json:"cpu_quota,omitempty"`          // cores that the cgroup allows; 0: no bound
	CPUShare    float64 `json:"cpu_share"`                    // of Processors, used in the last minute
	Throttled   float64 `json:"throttled,omitempty"`          // share of the cgroup's periods in which it was throttled
	Memory      int64   `json:"memory_bytes"`                 // resident
	MemoryThen  int64   `json:"memory_then_bytes"`            // the least of five minutes an hour ago, or of those behind the first five; 0 until there are such
	MemoryLimit int64   `json:"memory_limit_bytes,omitempty"` // of the cgroup; 0: no bound
	Heap        int64   `json:"heap_bytes"`                   // live after the last collection
	HeapThen    int64   `json:"heap_then_bytes"`
	Goroutines  int     `json:"goroutines"`
	GCShare     float64 `json:"gc_share"` // of the processor time that was used, as of the last collections
	Files       int     `json:"open_files"`
	FilesLimit  int     `json:"open_files_limit"`
	DenySet     int64   `json:"deny_set"`

	Pools   []PoolVitals          `json:"pools,omitempty"`
	Queries map[string]WorkVitals `json:"queries,omitempty"` // by name of the query
	Routes  map[string]WorkVitals `json:"routes,omitempty"`  // by route of the public listener
	Logins  map[string]int64      `json:"logins,omitempty"`  // by outcome, of both listeners
	Hasher  HasherVitals          `json:"hasher"`
	Proxy   ProxyVitals           `json:"proxy"`
	Counts  map[string]float64    `json:"counts,omitempty"` // increases of other counters, by name without oauth2_server_
}

// What runs a replica.
const (
	PlatformKubernetes = "kubernetes"
	PlatformCompose    = "compose" // as in deploy/compose.yaml
	PlatformSystemd    = "systemd"
	PlatformProcess    = "process" // started by hand, in a container of another sort, or by something else
)

// PoolVitals is one pool of database connections.
type PoolVitals struct {
	Name   string  `json:"name"`
	Limit  int     `json:"limit"`
	Open   int     `json:"open"`
	Waits  int64   `json:"waits"`     // callers of the last minute that had to wait for a connection
	Waited float64 `json:"waited_ms"` // all of them together
}

// WorkVitals is work of one sort. Quantiles are upper bounds, from a histogram, in milliseconds; of what took longer than the
// histogram's last bound (5 s) they are that bound.
type WorkVitals struct {
	Count   int64   `json:"count"`
	Faults  int64   `json:"faults,omitempty"`  // errors of queries; answers 5xx of routes
	Refused int64   `json:"refused,omitempty"` // answers 429
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// HasherVitals is the pool in which passwords are hashed.
type HasherVitals struct {
	Places  int   `json:"places"`  // that work at once
	Working int   `json:"working"` // now
	Waiting int   `json:"waiting"` // now
	Busy    int64 `json:"busy"`    // refused in the last minute because too many waited
}

// ProxyVitals is what clients and proxies say of the way here, against what the server was told.
type ProxyVitals struct {
	Trusted    bool   `json:"trusted"`              // headers of proxies are believed
	Unbelieved int64  `json:"unbelieved,omitempty"` // requests of the last minute with X-Forwarded-For or Forwarded that was not believed
	OtherHost  int64  `json:"other_host,omitempty"` // requests of the last minute for another host than the issuer's, bare addresses and probes of health aside
	Host       string `json:"host,omitempty"`       // the last such host, cut to 255 characters
}
