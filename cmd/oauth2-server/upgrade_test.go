package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// moduleRoot is where the sources lie.
const moduleRoot = "../.."

func git(args ...string) (string, error) {
	output, err := exec.Command("git", append([]string{"-C", moduleRoot}, args...)...).Output()
	return strings.TrimSpace(string(output)), err
}

// previousRevision is the newest commit whose steps of the schema are a part of ours: a release that we follow. It is "" where history
// does not go back so far: in a source archive, in a shallow clone.
func previousRevision() string {
	commits, err := git("log", "--format=%H", "--max-count=200")
	if err != nil {
		return ""
	}
	for commit := range strings.SplitSeq(commits, "\n") {
		if leadsHere(commit) {
			return commit
		}
	}
	return ""
}

// leadsHere reports whether the commit's steps are here unchanged, and others beside them.
func leadsHere(commit string) bool {
	list, err := git("ls-tree", "-r", "--name-only", commit, "--", "store/migrations/postgres")
	if err != nil || list == "" {
		return false
	}
	files := strings.Split(list, "\n")
	for _, file := range files {
		then, err := exec.Command("git", "-C", moduleRoot, "show", commit+":"+file).Output()
		now, errNow := os.ReadFile(filepath.Join(moduleRoot, file))
		if err != nil || errNow != nil || !bytes.Equal(then, now) {
			return false
		}
	}
	here, err := filepath.Glob(filepath.Join(moduleRoot, "store/migrations/postgres/*.sql"))
	return err == nil && len(here) > len(files)
}

// buildPrevious is the program of the version before; without history the present one is in its place.
func buildPrevious(t *testing.T) string {
	t.Helper()
	commit := previousRevision()
	if commit == "" {
		t.Log("there is no history of an earlier schema here: the present program is in both places")
		return os.Args[0]
	}
	t.Logf("the version before is %s", commit)
	dir := t.TempDir()
	archive := exec.Command("git", "-C", moduleRoot, "archive", commit)
	unpack := exec.Command("tar", "-x", "-C", dir)
	var err error
	if unpack.Stdin, err = archive.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := archive.Run(); err != nil {
		t.Fatalf("git archive: %v", err)
	}
	if err := unpack.Wait(); err != nil {
		t.Fatalf("tar: %v", err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", "oauth2-server", "./cmd/oauth2-server")
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, output)
	}
	return filepath.Join(dir, "oauth2-server")
}

// A fleet is replicas of two versions behind a balancer, on one schema.
type fleet struct {
	*site
	old string // the program of the version before

	mu   sync.RWMutex
	live []*replica // in rotation
	next atomic.Uint64

	good, failed atomic.Int64
}

// newFleet starts two old replicas on a schema that the old program made.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{site: new(site), old: buildPrevious(t)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	balancer := &http.Server{Handler: f}
	go balancer.Serve(listener) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { balancer.Close() })
	f.issuer = "http://" + listener.Addr().String()
	f.front = &replica{t: t, url: f.issuer}
	env := []string{
		"OAUTH2_DATABASE_URL=" + private.TestDatabase(t), "OAUTH2_REDIS_URL=" + private.TestRedis(t).URL(), "OAUTH2_SERVER_PORT=0",
		"OAUTH2_SERVER_PUBLIC_BASE_URL=" + f.issuer, "OAUTH2_SHUTDOWN_DELAY=500ms",
	}
	f.cluster = &cluster{t: t, env: append(env, testEnv...)}
	f.migrate(f.old)
	config, err := loadConfig(f.env)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.start(f.old)
	}
	if f.db, err = openDatabase(config, false, nil); err != nil { // by the new program: what it does with the old schema is in use too
		t.Fatal(err)
	}
	t.Cleanup(f.db.Close)
	return f
}

func (f *fleet) migrate(program string) {
	f.t.Helper()
	cmd := exec.Command(program, "migrate")
	cmd.Env = append(os.Environ(), f.env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("migrate: %v\n%s", err, output)
	}
}

// start adds a replica of the program, once it is ready.
func (f *fleet) start(program string) *replica {
	f.t.Helper()
	r := startProgram(f.t, program, f.env)
	r.awaitReady()
	f.mu.Lock()
	f.live, f.replicas = append(f.live, r), append(f.replicas, r)
	f.mu.Unlock()
	return r
}

// roll puts replicas of the program in the places of all there are, one by one, as a rolling restart does.
func (f *fleet) roll(program string) {
	f.t.Helper()
	for _, gone := range append([]*replica(nil), f.live...) {
		f.start(program)
		done := make(chan error, 1)
		go func() { done <- gone.terminate() }()
		gone.await("say that it ends", func() bool { return gone.get("/ready").status != http.StatusOK })
		f.drop(gone)
		if err := <-done; err != nil {
			f.t.Errorf("a replica ended with %v; its log:\n%s", err, gone.log)
		}
	}
}

func (f *fleet) drop(gone *replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	without := func(all []*replica) (left []*replica) {
		for _, r := range all {
			if r != gone {
				left = append(left, r)
			}
		}
		return left
	}
	f.live, f.replicas = without(f.live), without(f.replicas)
}

// ServeHTTP is the balancer: a connection that is refused, or a keep-alive connection that was closed before an answer, is tried elsewhere, as
// balancers do. Whatever a replica answers is passed on.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for range 3 {
		f.mu.RLock()
		at := f.live[f.next.Add(1)%uint64(len(f.live))]
		f.mu.RUnlock()
		request, err := http.NewRequestWithContext(r.Context(), r.Method, at.url+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request.Header, request.Host = r.Header, r.Host
		response, err := balancerClient.Do(request)
		if err != nil {
			continue
		}
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
		return
	}
	http.Error(w, "no replica answers", http.StatusBadGateway)
}

var balancerClient = &http.Client{
	Timeout: 20 * time.Second, CheckRedirect: stayHere, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// expect counts an answer of the balancer that must not fail.
func (f *fleet) expect(what string, a answer) bool {
	if a.err != nil || a.status >= 500 {
		f.failed.Add(1)
		f.t.Errorf("%s: %s", what, a)
		return false
	}
	f.good.Add(1)
	return a.status == http.StatusOK
}

// traffic issues, asks, refreshes and revokes until it is stopped. What is issued by one version is seen by the other.
func (f *fleet) traffic(as identity, refresh string) (stop func()) {
	return load(3, func(worker int) {
		if worker == 0 {
			a := f.front.refresh(as, refresh)
			if f.expect("refresh", a) {
				refresh = a.text("refresh_token")
			} else {
				f.t.Errorf("refresh: %s", a)
			}
		}
		a := f.front.issue(as)
		if !f.expect("issue", a) {
			return
		}
		token := a.text("access_token")
		if a := f.front.introspect(as, token); f.expect("introspect", a) && a.field("active") != true {
			f.t.Errorf("a fresh token: %s", a)
		}
		f.expect("revoke", f.front.revoke(as, token))
		time.Sleep(5 * time.Millisecond) // light traffic: it is not a benchmark
	})
}

// mixed checks that each replica takes what every other made, that revocations cross within a second, and that operators are served.
func (f *fleet) mixed(as identity) {
	f.t.Helper()
	for _, issuer := range f.live {
		token, session := issuer.mustIssue(as), ""
		if cookie, a := issuer.signIn(testSeedPassword); a.status == http.StatusOK {
			session = cookie
		} else {
			f.t.Errorf("sign in: %s", a)
		}
		for _, other := range f.live {
			other.await("know a token", func() bool { return other.isActive(as, token) })
			for _, path := range []string{"/admin/api/stats", "/admin/api/clients", "/admin/api/users", "/admin/api/limits"} {
				if a := other.ask("GET", path, session); a.status != http.StatusOK {
					f.t.Errorf("GET %s: %s", path, a)
				}
			}
		}
		if a := issuer.revoke(as, token); a.status != http.StatusOK {
			f.t.Errorf("revoke: %s", a)
		}
		acknowledged := time.Now()
		for _, other := range f.live {
			untilRefused(f.t, other, as, token, acknowledged)
		}
	}
}

// The version before serves while the new one migrates, both serve beside each other, and each can follow the other: an upgrade and a roll back
// without a failed request, and nothing that one made or revoked is unknown to the other.
func TestUpgradeAndRollBack(t *testing.T) {
	f := newFleet(t)
	f.liftLimits()
	app := f.register(store.Client{ID: "app", Grants: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"openid", "read", "offline_access"}})
	anna := f.newPerson("anna")
	held := f.newFlow(app, "openid offline_access").tokens(anna)
	early := f.front.mustIssue(app)
	stop := f.traffic(app, f.newFlow(app, "openid offline_access").tokens(anna).text("refresh_token"))
	defer stop()
	served := func() {
		t.Helper()
		before := f.good.Load()
		f.front.await("serve under load", func() bool { return f.good.Load() > before+60 })
	}
	served()
	f.migrate(os.Args[0])
	served()
	fresh := f.start(os.Args[0]) // both versions beside each other
	f.mixed(app)
	served()
	f.drop(fresh)
	if err := fresh.terminate(); err != nil {
		t.Errorf("the new replica ended with %v", err)
	}
	f.roll(os.Args[0])
	f.goesOn(app, anna, &held, early)
	served()
	f.roll(f.old)
	f.goesOn(app, anna, &held, early)
	served()
	stop()
	if f.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", f.failed.Load(), f.good.Load()+f.failed.Load())
	}
}

// goesOn checks that a grant, a token and a session of before are good still, and that people can sign in.
func (f *fleet) goesOn(app identity, anna *person, held *answer, early string) {
	f.t.Helper()
	if !f.front.isActive(app, early) {
		f.t.Error("a token of before is not active")
	}
	a := f.front.refresh(app, held.text("refresh_token"))
	if a.status != http.StatusOK {
		f.t.Fatalf("refresh a grant of before: %s", a)
	}
	*held = a
	if w := anna.walk(f.newFlow(app, "openid").url()); w.signedIn() || w.sent == nil {
		f.t.Errorf("a session of before has ended: %s", anna.last)
	}
	f.newFlow(app, "openid").tokens(f.newPerson(fmt.Sprintf("guest%d", time.Now().UnixNano())))
}
