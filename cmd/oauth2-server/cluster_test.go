package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// cluster is replicas of the server, each a process, on one Postgres and one Redis.
type cluster struct {
	t        *testing.T
	env      []string
	postgres *private.Postgres // nil when the shared one is used
	redis    *private.Redis
	db       database
	replicas []*replica
}

// replica is one server process.
type replica struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
	log *logBuffer
	end func() error // waits for the process, once
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

const (
	testSecret       = "a-secret-of-the-tests-with-more-than-32-bytes"
	testSeedPassword = "nine otters juggle wet marbles"
)

// testEnv is what every server needs, beside its database.
var testEnv = []string{
	"OAUTH2_JWT_SECRET=" + testSecret, "OAUTH2_SESSION_KEY=" + testSecret + "-for-sessions", "OAUTH2_SEED_PASSWORD=" + testSeedPassword,
	"OAUTH2_ADMIN_PORT=0",
}

// newCluster starts n replicas on a database and a Redis of their own. The Postgres is the test binary's shared one.
func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	return startCluster(t, n, private.TestDatabase(t), nil)
}

// newOwnCluster is newCluster with a Postgres that the test may kill.
func newOwnCluster(t *testing.T, n int, env ...string) *cluster {
	t.Helper()
	pg, database := private.TestOwnPostgres(t, "fsync=off")
	return startCluster(t, n, database, pg, env...)
}

func startCluster(t *testing.T, n int, database string, pg *private.Postgres, env ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, postgres: pg, redis: private.TestRedis(t)}
	c.env = append([]string{
		"OAUTH2_DATABASE_URL=" + database, "OAUTH2_REDIS_URL=" + c.redis.URL(), "OAUTH2_SERVER_PORT=0", "OAUTH2_SERVER_PUBLIC_BASE_URL=https://auth.example.com",
	}, slices.Concat(testEnv, env)...)
	config, err := loadConfig(c.env)
	if err != nil {
		t.Fatal(err)
	}
	if c.db, err = openDatabase(config, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.db.Close)
	if _, err := c.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range n {
		c.replicas = append(c.replicas, startReplica(t, c.env))
	}
	for _, r := range c.replicas {
		r.awaitReady()
	}
	return c
}

var listening = regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)

// startReplica starts a process and waits until it listens.
func startReplica(t *testing.T, env []string) *replica {
	t.Helper()
	return startProgram(t, os.Args[0], env)
}

// startProgram is startReplica of another program.
func startProgram(t *testing.T, program string, env []string) *replica {
	t.Helper()
	r := &replica{t: t, log: new(logBuffer)}
	r.cmd = exec.Command(program, "serve")
	r.cmd.Env = append(append(os.Environ(), env...), asServer+"=1")
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.end = sync.OnceValue(r.cmd.Wait)
	t.Cleanup(r.bury)
	r.await("listen", func() bool {
		found := listening.FindStringSubmatch(r.log.String())
		if found != nil {
			r.url = "http://" + found[1]
		}
		return found != nil
	})
	return r
}

// await polls for something that another process does.
func (r *replica) await(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	r.t.Fatalf("the replica does not %s; its log:\n%s", what, r.log)
}

func (r *replica) awaitReady() {
	r.t.Helper()
	r.await("become ready", func() bool { return r.get("/ready").status == http.StatusOK })
}

// bury ends the replica. Whatever its test was about, nothing was answered with 500 (promise P5).
func (r *replica) bury() {
	r.kill()
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"status":500`) || strings.Contains(line, "handler panicked") {
			r.t.Errorf("a request was answered with 500: %s", line)
		}
	}
}

// kill is kill -9.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.end()
}

// terminate is SIGTERM; it returns the exit of the process.
func (r *replica) terminate() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.end()
}

// answer is what came back, or the error that nothing did.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (a answer) field(name string) any {
	var fields map[string]any
	_ = json.Unmarshal([]byte(a.body), &fields)
	return fields[name]
}

func (a answer) String() string { return fmt.Sprintf("%d %s %v", a.status, a.body, a.err) }

var httpClient = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256},
}

func send(request *http.Request, err error) answer {
	if err != nil {
		return answer{err: err}
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body), err}
}

func (r *replica) get(path string) answer {
	return send(http.NewRequest(http.MethodGet, r.url+path, nil))
}

// post sends a form as a client.
func (r *replica) post(path string, as identity, form url.Values) answer {
	request, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(as.id, as.secret)
	}
	return send(request, err)
}

func (r *replica) issue(as identity) answer {
	return r.post("/oauth/token", as, url.Values{"grant_type": {"client_credentials"}})
}

func (r *replica) introspect(as identity, token string) answer {
	return r.post("/oauth/introspect", as, url.Values{"token": {token}})
}

func (r *replica) revoke(as identity, token string) answer {
	return r.post("/oauth/revoke", as, url.Values{"token": {token}})
}

// mustIssue returns the text of a new token.
func (r *replica) mustIssue(as identity) string {
	r.t.Helper()
	a := r.issue(as)
	text, ok := a.field("access_token").(string)
	if a.status != http.StatusOK || !ok {
		r.t.Fatalf("issue: %s", a)
	}
	return text
}

// isActive is the verdict; anything but a verdict ends the test.
func (r *replica) isActive(as identity, token string) bool {
	r.t.Helper()
	a := r.introspect(as, token)
	active, ok := a.field("active").(bool)
	if a.status != http.StatusOK || !ok {
		r.t.Fatalf("introspect: %s", a)
	}
	return active
}

// identity is a client's id and secret.
type identity struct{ id, secret string }

// newClient registers a client in the store; change may alter it before.
func (c *cluster) newClient(id string, change ...func(*store.Client)) identity {
	c.t.Helper()
	var random [24]byte
	rand.Read(random[:])
	as := identity{id, base64.RawURLEncoding.EncodeToString(random[:])}
	client := store.Client{
		ID: id, Secrets: []store.SecretHash{sha256.Sum256([]byte(as.secret))},
		Grants: []string{"client_credentials"}, Scopes: []string{"read", "write"},
	}
	for _, f := range change {
		f(&client)
	}
	if _, err := c.db.CreateClient(c.t.Context(), store.Actor{Kind: "cli", ID: "test"}, client); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range c.replicas {
		r.await("learn of a client", func() bool { return r.introspect(as, "x").status == http.StatusOK })
	}
	return as
}

// load runs do on n goroutines until stop is called, which waits for them.
func load(n int, do func(worker int)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for worker := range n {
		workers.Go(func() {
			for ctx.Err() == nil {
				do(worker)
			}
		})
	}
	return func() { cancel(); workers.Wait() }
}
