package main

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func asJWT(c *store.Client) { c.TokenFormat = store.FormatJWT }

func mayIntrospectAny(c *store.Client) { c.Introspect = store.IntrospectAny }

func TestIssuedHereValidThere(t *testing.T) {
	c := newCluster(t, 3)
	for _, as := range []identity{c.newClient("opaque"), c.newClient("jwt", asJWT)} {
		for i, issuer := range c.replicas {
			token := issuer.mustIssue(as)
			for j, r := range c.replicas {
				if !r.isActive(as, token) {
					t.Errorf("%s token of replica %d is not active on replica %d", as.id, i, j)
				}
			}
		}
	}
}

// P1: a token is never reported active more than a second after its revocation was acknowledged.
func TestRevokedHereRefusedThereWithinASecond(t *testing.T) {
	c := newCluster(t, 3)
	var mu sync.Mutex
	var lags []time.Duration
	for _, as := range []identity{c.newClient("opaque"), c.newClient("jwt", asJWT)} {
		var workers sync.WaitGroup
		for worker := range 10 {
			workers.Go(func() {
				for i := range 50 {
					issuer, revoker := c.replicas[(worker+i)%3], c.replicas[(worker+i+1)%3]
					token := issuer.mustIssue(as)
					for _, r := range c.replicas {
						if !r.isActive(as, token) { // it is in every replica's L1 now
							t.Errorf("a fresh token is not active")
						}
					}
					if a := revoker.revoke(as, token); a.status != http.StatusOK {
						t.Errorf("revoke: %s", a)
						return
					}
					acknowledged := time.Now()
					if revoker.isActive(as, token) {
						t.Error("the revoking replica itself still reports it active")
					}
					for _, r := range c.replicas {
						lag := untilRefused(t, r, as, token, acknowledged)
						mu.Lock()
						lags = append(lags, lag)
						mu.Unlock()
					}
				}
			})
		}
		workers.Wait()
	}
	slices.Sort(lags)
	t.Logf("%d observations: p50 %v, p99 %v, max %v", len(lags), lags[len(lags)/2], lags[len(lags)*99/100], lags[len(lags)-1])
}

// untilRefused polls a replica until it refuses the token: at most a second after the acknowledgement, and then for good.
func untilRefused(t *testing.T, r *replica, as identity, token string, acknowledged time.Time) time.Duration {
	t.Helper()
	for {
		asked := time.Now()
		if !r.isActive(as, token) {
			lag := time.Since(acknowledged)
			if r.isActive(as, token) {
				t.Error("once inactive, active again")
			}
			return lag
		}
		if asked.Sub(acknowledged) > time.Second {
			t.Errorf("asked %v after the acknowledgement: still active", asked.Sub(acknowledged))
			return asked.Sub(acknowledged)
		}
	}
}

// A cut-off hits everything issued before it, on every replica, and nothing issued after it.
func TestCutOffsReachEveryReplica(t *testing.T) {
	c := newCluster(t, 3)
	opaque, jwt := c.newClient("opaque"), c.newClient("jwt", asJWT)
	actor := store.Actor{Kind: "cli", ID: "test"}
	for _, cut := range []struct {
		kind store.CutoffKind
		name string
		hits []identity
	}{
		{store.CutClient, "opaque", []identity{opaque}},
		{store.CutSubject, "jwt", []identity{jwt}},
		{store.CutAll, "", []identity{opaque, jwt}},
	} {
		before := map[identity]string{opaque: c.replicas[0].mustIssue(opaque), jwt: c.replicas[1].mustIssue(jwt)}
		for _, r := range c.replicas {
			if !r.isActive(opaque, before[opaque]) || !r.isActive(jwt, before[jwt]) {
				t.Fatal("a fresh token is not active")
			}
		}
		if _, err := c.db.CutOff(t.Context(), actor, cut.kind, cut.name); err != nil {
			t.Fatal(err)
		}
		acknowledged := time.Now()
		for as, token := range before {
			for _, r := range c.replicas {
				if slices.Contains(cut.hits, as) {
					untilRefused(t, r, as, token, acknowledged)
				} else if !r.isActive(as, token) {
					t.Errorf("cut-off of %s %s hit a token of %s", cut.kind, cut.name, as.id)
				}
			}
		}
		for _, as := range cut.hits { // every replica has applied it: what it issues now lives
			for _, r := range c.replicas {
				if !r.isActive(as, r.mustIssue(as)) {
					t.Errorf("a token issued after the cut-off of %s %s is dead", cut.kind, cut.name)
				}
			}
		}
	}
}

func TestDisabledClientIsRefusedEverywhereAndItsTokensDie(t *testing.T) {
	c := newCluster(t, 2)
	as, observer := c.newClient("app"), c.newClient("gateway", mayIntrospectAny)
	token := c.replicas[0].mustIssue(as)
	actor := store.Actor{Kind: "cli", ID: "test"}
	disable := func(disabled bool) {
		if _, err := c.db.UpdateClient(t.Context(), actor, "app", func(c *store.Client) error { c.Disabled = disabled; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	disable(true)
	for _, r := range c.replicas {
		r.await("refuse the client", func() bool { return r.issue(as).status == http.StatusUnauthorized })
		if r.isActive(observer, token) {
			t.Error("a token of a disabled client is active")
		}
	}
	disable(false)
	for _, r := range c.replicas {
		r.await("admit the client", func() bool { return r.issue(as).status == http.StatusOK })
		if r.isActive(observer, token) {
			t.Error("enabling the client brought its token back")
		}
	}
}

func TestReplicasStartedAtOnceAgreeOnOneKey(t *testing.T) {
	c := newCluster(t, 0)
	for range 4 {
		c.replicas = append(c.replicas, startReplica(t, c.env))
	}
	first := ""
	for _, r := range c.replicas {
		r.awaitReady()
	}
	for i, r := range c.replicas {
		r.await("publish the keys of id_tokens", func() bool { // an active and a next one of ES256, RS256 and EdDSA
			return strings.Count(r.get("/.well-known/jwks.json").body, `"kid"`) == 6
		})
		jwks := r.get("/.well-known/jwks.json").body
		if i == 0 {
			first = jwks
		} else if jwks != first {
			t.Errorf("replica %d publishes %s, replica 0 %s", i, jwks, first)
		}
	}
	if all, err := c.db.Keys(t.Context()); err != nil || len(all) != 8 { // and two to authenticate
		t.Errorf("%d keys in the store, %v, want 8", len(all), err)
	}
}

func TestReplicasRegisterAndTheDeadDisappear(t *testing.T) {
	c := newCluster(t, 2)
	count := func() int {
		list, err := c.db.Replicas(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	c.replicas[0].await("register", func() bool { return count() == 2 })
}

// A token of a restored ring that no secret opens: the server refuses to start, names both ways out, and harms nobody.
func TestRingThatNoSecretOpensRefusesToStart(t *testing.T) {
	c := newCluster(t, 1)
	as := c.newClient("app", asJWT)
	stranger := startReplica(t, append(c.env, "OAUTH2_JWT_SECRET=another-secret-of-more-than-32-bytes-0123456789"))
	if err := stranger.end(); err == nil {
		t.Fatal("it started")
	}
	for _, way := range []string{"OAUTH2_JWT_SECRET", "keys reset"} {
		if !strings.Contains(stranger.log.String(), way) {
			t.Errorf("the message does not name %q:\n%s", way, stranger.log)
		}
	}
	if r := c.replicas[0]; !r.isActive(as, r.mustIssue(as)) {
		t.Error("the running replica was harmed")
	}
	both := startReplica(t, append(c.env, "OAUTH2_JWT_SECRET=another-secret-of-more-than-32-bytes-0123456789,"+testSecret))
	both.awaitReady()
	if !both.isActive(as, c.replicas[0].mustIssue(as)) {
		t.Error("a replica with both secrets does not know the old keys")
	}
	both.await("seal the keys for the new secret as well", func() bool { // it may answer before
		all, err := c.db.Keys(t.Context())
		return err == nil && !slices.ContainsFunc(all, func(k store.Key) bool { return len(k.Seals) < 2 })
	})
	fresh := startReplica(t, append(c.env, "OAUTH2_JWT_SECRET=another-secret-of-more-than-32-bytes-0123456789"))
	fresh.awaitReady()
	if !fresh.isActive(as, c.replicas[0].mustIssue(as)) {
		t.Error("a replica with the new secret alone does not know the keys")
	}
}

func TestTerminateFinishesWhatIsUnderWay(t *testing.T) {
	c := newCluster(t, 2)
	as := c.newClient("app")
	var mu sync.Mutex
	var tokens []string
	dying, other := c.replicas[0], c.replicas[1]
	stop := load(8, func(int) {
		a := dying.issue(as)
		mu.Lock()
		defer mu.Unlock()
		if a.status == http.StatusOK {
			tokens = append(tokens, a.field("access_token").(string))
		} else if a.err == nil {
			t.Errorf("a request under way was answered %s", a)
		}
	})
	dying.await("issue", func() bool { mu.Lock(); defer mu.Unlock(); return len(tokens) > 100 })
	if err := dying.terminate(); err != nil {
		t.Errorf("exit: %v\n%s", err, dying.log)
	}
	stop()
	for _, token := range tokens {
		if !other.isActive(as, token) {
			t.Fatal("an acknowledged token is not active")
		}
	}
}

// P6: garbage tokens and unknown clients cost no I/O, neither in Redis nor in Postgres.
func TestGarbageCostsNoIO(t *testing.T) {
	c := newCluster(t, 1)
	r, as := c.replicas[0], c.newClient("app")
	token := r.mustIssue(as)
	io := func() string {
		var lines []string
		for line := range strings.Lines(r.get("/metrics").body) {
			for _, name := range []string{"oauth2_server_lookups_total", `_count{query="find_tokens"`, `_count{queue="redis"`, `_count{queue="store"`} {
				if strings.Contains(line, name) {
					lines = append(lines, line)
				}
			}
		}
		return strings.Join(lines, "")
	}
	before := io()
	for i := range len(token) {
		r.introspect(as, token[:i])
		r.introspect(as, token[:i]+"-"+token[i:])
		r.revoke(as, token[:i])
		r.issue(identity{"nobody", token})
		r.introspect(identity{"nobody", "x"}, token)
	}
	if after := io(); after != before || before == "" {
		t.Errorf("look-ups before:\n%safter:\n%s", before, after)
	}
}

// The first signal ends in good order; a second one at once.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	c := newCluster(t, 0)
	r := startReplica(t, append(c.env, "OAUTH2_SHUTDOWN_DELAY=1h"))
	r.awaitReady()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.await("say that it goes away", func() bool { return strings.Contains(r.get("/ready").body, "shutting down") })
	if err := r.terminate(); err == nil {
		t.Error("it ended in good order within its hour")
	}
}

// A Redis Cluster is one URL away.
func TestRedisCluster(t *testing.T) {
	node, err := private.StartRedisCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	client := redis.NewClient(&redis.Options{Addr: node.Addr()})
	defer client.Close()
	if err := client.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, 0)
	c.env = append(c.env, "OAUTH2_REDIS_URL="+strings.Replace(node.URL(), "redis://", "redis+cluster://", 1))
	c.replicas = []*replica{startReplica(t, c.env), startReplica(t, append(c.env, "OAUTH2_CACHE_MIB=0"))}
	for _, r := range c.replicas {
		r.awaitReady()
	}
	as := c.newClient("app")
	c.replicas[1].await("find a token in the Cluster", func() bool {
		return c.replicas[1].isActive(as, c.replicas[0].mustIssue(as)) &&
			!strings.Contains(c.replicas[1].get("/metrics").body, `oauth2_server_lookups_total{tier="l2"} 0`)
	})
}
