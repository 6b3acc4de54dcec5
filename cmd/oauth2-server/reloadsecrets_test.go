package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// fileCluster is replicas that read variables from files, each from its own, so that they see a change one after another.
type fileCluster struct {
	*cluster
	dirs []string
}

func newFileCluster(t *testing.T, c *cluster, n int, names ...string) *fileCluster {
	t.Helper()
	f := &fileCluster{cluster: c}
	for range n {
		dir := t.TempDir()
		f.dirs = append(f.dirs, dir)
		c.replicas = append(c.replicas, startReplica(t, byFile(t, dir, c.env, names...)))
	}
	for _, r := range c.replicas {
		r.awaitReady()
	}
	return f
}

// change gives the replicas a new value, one after another; times is how often they have taken one over then.
func (f *fileCluster) change(name, value string, times int) {
	f.t.Helper()
	for i, r := range f.replicas {
		rewrite(f.t, filepath.Join(f.dirs[i], name), value)
		r.awaitMetric(reloaded + strconv.Itoa(times))
		r.awaitMetric(reloadOK)
	}
}

// traffic issues on one replica and introspects on all, until stop is called; every fault is an error of the test.
func (f *fileCluster) traffic(clients ...identity) (stop func(), done *atomic.Int64) {
	f.t.Helper()
	done = new(atomic.Int64)
	return load(2*len(clients), func(worker int) {
		as := clients[worker%len(clients)]
		a := f.replicas[int(done.Load())%len(f.replicas)].issue(as)
		token, ok := a.field("access_token").(string)
		if !ok {
			f.t.Errorf("issue: %s", a)
			return
		}
		for _, r := range f.replicas {
			if a := r.introspect(as, token); a.field("active") != true {
				f.t.Errorf("introspect: %s", a)
			}
		}
		done.Add(1)
	}), done
}

const newTestSecret = "another-secret-of-the-tests-with-more-than-32-bytes"

// The secret of the key ring is changed on three replicas, one after another, in two steps and without a restart: no request
// fails, tokens of before are good, and a replica that starts with the new one alone opens the ring. A secret that opens
// nothing is refused, and the old one goes on.
func TestJWTSecretIsChangedWithoutAFailedRequest(t *testing.T) {
	t.Parallel() // it waits most of its time
	f := newFileCluster(t, newCluster(t, 0), 3, "OAUTH2_JWT_SECRET")
	opaque, jwt := f.newClient("opaque"), f.newClient("jwt", asJWT)
	held := map[identity]string{opaque: f.replicas[0].mustIssue(opaque), jwt: f.replicas[0].mustIssue(jwt)}
	stop, done := f.traffic(opaque, jwt)
	defer stop()

	file := filepath.Join(f.dirs[0], "OAUTH2_JWT_SECRET")
	rewrite(t, file, newTestSecret)
	f.replicas[0].awaitMetric(reloadFailed)
	f.replicas[0].awaitMetric(`oauth2_server_config_reloads_total{outcome="refused"} 1`)
	rewrite(t, file, testSecret)
	f.replicas[0].awaitMetric(reloadOK)

	f.change("OAUTH2_JWT_SECRET", newTestSecret+","+testSecret, 1)
	f.change("OAUTH2_JWT_SECRET", newTestSecret, 2)
	before := done.Load()
	f.replicas[0].await("go on", func() bool { return done.Load() > before+20 })
	stop()
	alone := slices.Clone(f.env)
	for i, line := range alone {
		if strings.HasPrefix(line, "OAUTH2_JWT_SECRET=") {
			alone[i] = "OAUTH2_JWT_SECRET=" + newTestSecret
		}
	}
	late := startReplica(t, alone)
	late.awaitReady()
	for as, token := range held {
		for i, r := range append(f.replicas, late) {
			if !r.isActive(as, token) {
				t.Errorf("replica %d: the token of %s is not active", i, as.id)
			}
		}
	}
	for i, r := range f.replicas {
		if strings.Contains(r.log.String(), newTestSecret) || strings.Contains(r.log.String(), testSecret) {
			t.Errorf("replica %d logs a secret", i)
		}
	}
}

// The secret of a client that proves itself by client_secret_jwt is sealed by the server's: without it the client would be locked out.
func TestJWTSecretThatLocksAClientOutIsRefused(t *testing.T) {
	cluster := newCluster(t, 0)
	config, err := loadConfig(cluster.env)
	if err != nil {
		t.Fatal(err)
	}
	f := newFileCluster(t, cluster, 1, "OAUTH2_JWT_SECRET")
	f.change("OAUTH2_JWT_SECRET", newTestSecret+","+testSecret, 1)
	// A shell that has the old secret still makes a client: nothing seals it anew before a start.
	client := store.Client{ID: "sealed", AuthMethod: store.AuthClientSecretJWT, Grants: []string{"client_credentials"}, Scopes: []string{"read"}}
	if client.SealedSecret, err = config.secrets.SealText(client.ID, testSecret); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.db.CreateClient(t.Context(), store.Actor{Kind: "cli", ID: "test"}, client); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(f.dirs[0], "OAUTH2_JWT_SECRET"), newTestSecret)
	f.replicas[0].awaitMetric(reloadFailed)
	if !strings.Contains(f.replicas[0].log.String(), `of the client \"sealed\"`) {
		t.Errorf("the log does not name the client:\n%s", f.replicas[0].log)
	}
}

// Sessions sealed by the old key are good while it is given behind the new one, and no longer.
func TestSessionKeyIsChanged(t *testing.T) {
	t.Parallel() // it waits most of its time
	f := newFileCluster(t, newCluster(t, 0), 1, "OAUTH2_SESSION_KEY", "OAUTH2_SEED_PASSWORD")
	r := f.replicas[0]
	before, _ := r.signIn(testSeedPassword)
	check := func(session string, want int) {
		t.Helper()
		if a := r.ask(http.MethodGet, "/admin/api/stats", session); a.status != want {
			t.Errorf("got %s, want %d", a, want)
		}
	}
	check(before, http.StatusOK)
	f.change("OAUTH2_SESSION_KEY", newTestSecret+","+testSecret+"-for-sessions", 1)
	check(before, http.StatusOK)
	after, _ := r.signIn(testSeedPassword)
	f.change("OAUTH2_SESSION_KEY", newTestSecret, 2)
	check(before, http.StatusUnauthorized)
	check(after, http.StatusOK)

	f.change("OAUTH2_SEED_PASSWORD", "seven herons carry dry maps", 3)
	check(after, http.StatusUnauthorized)
	if _, a := r.signIn("seven herons carry dry maps"); a.status != http.StatusOK {
		t.Errorf("by the new password: got %s", a)
	}
}

// rotating is a Postgres that wants a password of the role the servers use.
func rotating(t *testing.T) (pg *private.Postgres, database string, admin *pgx.Conn) {
	t.Helper()
	pg, database = private.TestOwnPostgres(t, "fsync=off")
	admin, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	var hba string
	if err := admin.QueryRow(t.Context(), "show hba_file").Scan(&hba); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, hba, "host all server 127.0.0.1/32 scram-sha-256\n"+string(rules))
	for _, sql := range []string{
		"create role server login superuser password 'first'", "select pg_reload_conf()",
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return pg, database, admin
}

// The password of the database is changed under traffic: first in Postgres, then in the file. No request fails, and new
// connections come by the new one. A password that Postgres refuses is not taken, nor is another database.
func TestDatabasePasswordIsChangedUnderTraffic(t *testing.T) {
	t.Parallel() // it waits most of its time
	pg, database, admin := rotating(t)
	url := func(password string) string { return strings.Replace(database, "postgres@", "server:"+password+"@", 1) }
	f := newFileCluster(t, startCluster(t, 0, url("first"), pg), 1, "OAUTH2_DATABASE_URL")
	r, file := f.replicas[0], filepath.Join(f.dirs[0], "OAUTH2_DATABASE_URL")
	as := f.newClient("opaque")
	stop, done := f.traffic(as)
	defer stop()
	for _, bad := range []string{url("wrong"), strings.Replace(url("first"), "/private", "/other", 1), "postgres://[", "sqlite:x.db"} {
		rewrite(t, file, bad)
		r.awaitMetric(reloadFailed)
		rewrite(t, file, url("first"))
		r.awaitMetric(reloadOK)
	}
	if _, err := admin.Exec(t.Context(), "alter role server password 'second'"); err != nil {
		t.Fatal(err)
	}
	f.change("OAUTH2_DATABASE_URL", url("second"), 1)
	before := done.Load()
	r.await("go on", func() bool { return done.Load() > before+20 })
	stop()
	if _, err := admin.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'server'"); err != nil {
		t.Fatal(err)
	}
	r.await("connect by the new password", func() bool { return r.issue(as).status == http.StatusOK })
	if strings.Contains(r.log.String(), "second") || strings.Contains(r.log.String(), "wrong@") {
		t.Errorf("a password in the log:\n%s", r.log)
	}
}

// The password of Redis is changed: connections ask for the one in effect.
func TestRedisPasswordIsChanged(t *testing.T) {
	c := newCluster(t, 0)
	f := newFileCluster(t, c, 1, "OAUTH2_REDIS_URL")
	rewrite(t, filepath.Join(f.dirs[0], "OAUTH2_REDIS_URL"), "redis://127.0.0.1:1/0")
	f.replicas[0].awaitMetric(reloadFailed)
	rewrite(t, filepath.Join(f.dirs[0], "OAUTH2_REDIS_URL"), strings.Replace(c.redis.URL(), "redis://", "redis://default:unneeded@", 1))
	f.replicas[0].awaitMetric(reloaded + "1")
	f.replicas[0].awaitMetric(reloadOK)
}

// A mounted secret changes the database's password and OAUTH2_JWT_SECRET at once, when no old connection is left by which the new ones
// could be judged: the way to the database comes first. So it does for a server that began by a wrong password and is not ready yet.
func TestDatabasePasswordComesBeforeWhatNeedsTheDatabase(t *testing.T) {
	t.Parallel() // it waits most of its time
	pg, database, admin := rotating(t)
	url := func(password string) string { return strings.Replace(database, "postgres@", "server:"+password+"@", 1) }
	f := newFileCluster(t, startCluster(t, 0, url("first"), pg), 1, "OAUTH2_DATABASE_URL", "OAUTH2_JWT_SECRET")
	r, as := f.replicas[0], f.newClient("opaque")
	r.mustIssue(as)
	for _, sql := range []string{"alter role server password 'second'", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'server'"} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	change := func(r *replica, dir string) {
		t.Helper()
		rewrite(t, filepath.Join(dir, "OAUTH2_JWT_SECRET"), newTestSecret+","+testSecret)
		rewrite(t, filepath.Join(dir, "OAUTH2_DATABASE_URL"), url("second"))
		r.await("take both", func() bool {
			return strings.Contains(r.log.String(), `"OAUTH2_DATABASE_URL"`) && strings.Contains(r.get("/metrics").body, reloadOK+"\n") && strings.Contains(r.log.String(), `"OAUTH2_JWT_SECRET"`)
		})
		r.awaitReady()
		r.await("issue", func() bool { return r.issue(as).status == http.StatusOK })
	}
	change(r, f.dirs[0])
	dir := t.TempDir()
	late := startReplica(t, byFile(t, dir, f.env, "OAUTH2_DATABASE_URL", "OAUTH2_JWT_SECRET")) // by the first password
	late.await("say that it is not ready", func() bool { return strings.Contains(late.log.String(), "the store is not ready") })
	change(late, dir)
}
