package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"oauth2-server/store"
)

// witness keeps what was acknowledged, and what was answered that must never be.
type witness struct {
	t       *testing.T
	mu      sync.Mutex
	alive   []string // acknowledged by 200, never revoked
	revoked []string // revocation acknowledged by 200
	busy    int      // 503
	good    int
}

// issue asks for a token. The only answers allowed are 200 and 503: a fault is never the client's (promise P5).
func (w *witness) issue(r *replica, as identity) (token string, ok bool) {
	a := r.issue(as)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.admit(a) {
		return "", false
	}
	token = a.field("access_token").(string)
	w.alive = append(w.alive, token)
	return token, true
}

// admit counts an answer. mu is held.
func (w *witness) admit(a answer) (good bool) {
	switch {
	case a.err != nil: // the process was killed under the connection
	case a.status == http.StatusOK:
		w.good++
		return true
	case a.status == http.StatusServiceUnavailable:
		w.busy++
		if a.header.Get("Retry-After") == "" || a.field("error") != "temporarily_unavailable" {
			w.t.Errorf("a 503 without Retry-After or its code: %s", a)
		}
	default:
		w.t.Errorf("a fault was answered with %s", a)
	}
	return false
}

// introspect checks that an answer about a live token is "active" or 503, never "inactive".
func (w *witness) introspect(r *replica, as identity, token string) {
	a := r.introspect(as, token)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.admit(a) && a.field("active") != true {
		w.t.Errorf("a live token was answered %s", a)
	}
}

func (w *witness) counts() (good, busy int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good, w.busy
}

// mix issues and introspects on all replicas until the returned function is called.
func (w *witness) mix(c *cluster, as identity) (stop func()) {
	return load(12, func(worker int) {
		r := c.replicas[worker%len(c.replicas)]
		if token, ok := w.issue(r, as); ok {
			for _, other := range c.replicas {
				w.introspect(other, as, token)
			}
		}
	})
}

// awaitGood waits for n more good answers.
func (w *witness) awaitGood(r *replica, n int) {
	w.t.Helper()
	before, _ := w.counts()
	r.await("answer under load", func() bool { good, _ := w.counts(); return good >= before+n })
}

// verify asks every replica about every acknowledged token.
func (w *witness) verify(c *cluster, as identity) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, token := range w.alive {
		if r := c.replicas[i%len(c.replicas)]; !r.isActive(as, token) {
			w.t.Fatalf("token %d of %d was acknowledged and is not active", i, len(w.alive))
		}
	}
	for _, token := range w.revoked {
		for _, r := range c.replicas {
			if r.isActive(as, token) {
				w.t.Fatal("a token whose revocation was acknowledged is active")
			}
		}
	}
}

func TestKilledReplicaLosesNothing(t *testing.T) {
	c := newCluster(t, 3)
	as := c.newClient("app")
	w := &witness{t: t}
	stop := w.mix(c, as)
	w.awaitGood(c.replicas[0], 300)
	c.replicas[2].kill()
	stop()
	c.replicas = c.replicas[:2]
	w.verify(c, as)
}

func TestRedisMayDieHangAndComeBackEmpty(t *testing.T) {
	c := newCluster(t, 2)
	as := c.newClient("app")
	w := &witness{t: t}
	stop := w.mix(c, as)
	defer stop()
	w.awaitGood(c.replicas[0], 200)
	for _, fault := range []struct {
		name       string
		begin, end func()
	}{
		{"killed", c.redis.Kill, func() {
			if err := c.redis.Restart(); err != nil { // and it comes back empty
				t.Error(err)
			}
		}},
		{"stopped", c.redis.Stop, c.redis.Continue},
	} {
		fault.begin()
		c.replicas[0].await("notice that Redis was "+fault.name, func() bool {
			a := c.replicas[0].get("/ready")
			if a.status != http.StatusOK {
				t.Errorf("not ready while Redis was %s: %s", fault.name, a)
			}
			return strings.Contains(a.body, "degraded")
		})
		w.awaitGood(c.replicas[0], 200)
		fault.end()
		c.replicas[0].await("find Redis again", func() bool { return !strings.Contains(c.replicas[0].get("/ready").body, "degraded") })
		w.awaitGood(c.replicas[0], 200)
	}
	stop()
	if _, busy := w.counts(); busy > 0 {
		t.Errorf("%d requests were answered 503: Redis is optional at every moment", busy)
	}
	flush(t, c)
	w.verify(c, as)
}

func flush(t *testing.T, c *cluster) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: c.redis.Addr()})
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestServerStartsWithoutRedisAndFindsItLater(t *testing.T) {
	c := newCluster(t, 1)
	as := c.newClient("app")
	c.redis.Kill()
	late := startReplica(t, c.env)
	late.awaitReady()
	c.replicas = append(c.replicas, late)
	if token := late.mustIssue(as); !c.replicas[0].isActive(as, token) {
		t.Error("a token issued without Redis is not active elsewhere")
	}
	if err := c.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	late.await("find Redis", func() bool { return !strings.Contains(late.get("/ready").body, "degraded") })
	keys := func() int64 {
		client := redis.NewClient(&redis.Options{Addr: c.redis.Addr()})
		defer client.Close()
		return client.DBSize(t.Context()).Val()
	}
	late.mustIssue(as)
	late.await("fill Redis", func() bool { return keys() > 0 })
}

// Whoever can write Redis cannot make a token live, nor change what it says.
func TestForgedRedisValueIsAMiss(t *testing.T) {
	c := newCluster(t, 2)
	as := c.newClient("app")
	small, big := c.replicas[0].mustIssue(as), c.replicas[0].mustIssue(as)
	client := redis.NewClient(&redis.Options{Addr: c.redis.Addr()})
	defer client.Close()
	var keys []string
	c.replicas[0].await("fill Redis", func() bool {
		keys = client.Keys(t.Context(), "oauth2:t:*").Val()
		return len(keys) == 2
	})
	a, b := client.Get(t.Context(), keys[0]).Val(), client.Get(t.Context(), keys[1]).Val()
	client.Set(t.Context(), keys[0], b, time.Hour) // another token's value
	client.Set(t.Context(), keys[1], a[:len(a)-1]+string(a[len(a)-1]^1), time.Hour)
	for _, token := range []string{small, big} {
		here, there := c.replicas[0].introspect(as, token), c.replicas[1].introspect(as, token)
		if here.body != there.body || here.field("active") != true {
			t.Errorf("the truth is %s, the replica that read a forged value says %s", here, there)
		}
	}
	if !strings.Contains(c.replicas[1].get("/metrics").body, "oauth2_server_redis_forged_total 2") {
		t.Error("the forged values were not counted")
	}
}

// P2 and P5 across kill -9 of Postgres: what was acknowledged is there, what failed was a 503.
func TestKilledPostgresLosesNothing(t *testing.T) {
	c := newOwnCluster(t, 2)
	as := c.newClient("app")
	w := &witness{t: t}
	stop := w.mix(c, as)
	defer stop()
	for range 2 {
		w.awaitGood(c.replicas[0], 200)
		c.postgres.Kill()
		_, before := w.counts()
		c.replicas[0].await("refuse without Postgres", func() bool { _, busy := w.counts(); return busy > before+10 })
		if err := c.postgres.Restart(); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.replicas {
			r.awaitReady()
		}
	}
	w.awaitGood(c.replicas[0], 200)
	stop()
	flush(t, c)
	w.verify(c, as)
}

// P1's last sentences: a hung Postgres. Held tokens are answered, for so long and no longer; nothing is wrong.
func TestStoppedPostgres(t *testing.T) {
	t.Parallel() // it waits most of its time
	c := newOwnCluster(t, 1, "OAUTH2_STALENESS_MAX=10s")
	r := c.replicas[0]
	opaque, jwt := c.newClient("opaque"), c.newClient("jwt", asJWT)
	held := map[identity]string{opaque: r.mustIssue(opaque), jwt: r.mustIssue(jwt)}
	dead := r.mustIssue(opaque)
	r.revoke(opaque, dead)

	c.postgres.Stop()
	r.await("say that it is not ready", func() bool { return r.get("/ready").status == http.StatusServiceUnavailable })
	if a := r.get("/ready?for=traffic"); a.status != http.StatusOK {
		t.Errorf("it must take traffic while the fence allows answers: %s", a)
	}
	for as, token := range held {
		if !r.isActive(as, token) {
			t.Errorf("a held %s token is not answered", as.id)
		}
	}
	if r.isActive(opaque, dead) {
		t.Error("a revoked token is active")
	}
	if forged := held[opaque][:55] + "A"; forged != held[opaque] && r.isActive(opaque, forged) {
		t.Error("a forged token is active")
	}
	if a := r.issue(identity{"nobody", "nothing"}); a.status != http.StatusServiceUnavailable {
		t.Errorf("a replica that is cut off cannot know that a client is not registered: %s", a)
	}
	for what, a := range map[string]answer{
		"issue":  r.issue(opaque),
		"revoke": r.revoke(opaque, held[opaque]),
	} {
		if a.status != http.StatusServiceUnavailable || a.field("error") != "temporarily_unavailable" {
			t.Errorf("%s without Postgres: %s", what, a)
		}
	}
	r.await("stop answering", func() bool { return r.introspect(opaque, held[opaque]).status == http.StatusServiceUnavailable })
	if a := r.get("/ready?for=traffic"); a.status != http.StatusServiceUnavailable {
		t.Errorf("it must take no traffic past the staleness: %s", a)
	}
	if !strings.Contains(r.get("/metrics").body, "oauth2_server_stale_answers_total") {
		t.Error("no metric tells of stale answers")
	}

	c.postgres.Continue()
	r.awaitReady()
	for as, token := range held {
		if !r.isActive(as, token) {
			t.Errorf("after the outage a live %s token is not active: an unacknowledged revocation took effect, or one was lost", as.id)
		}
	}
}

// A database restored to an older state under a running replica: no denial it knew is lost, and replicas that start
// afterwards know it too.
func TestRestoredDatabaseRevivesNoToken(t *testing.T) {
	c := newOwnCluster(t, 2)
	as := c.newClient("app", asJWT)
	early := c.replicas[0].mustIssue(as)
	cutClient := c.newClient("cut", asJWT)
	cutToken := c.replicas[0].mustIssue(cutClient)

	c.postgres.Kill()
	if err := c.postgres.Backup(); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		t.Helper()
		if err := c.postgres.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	for _, r := range c.replicas {
		r.awaitReady()
	}
	late := c.replicas[0].mustIssue(as)
	for _, token := range []string{early, late} {
		if a := c.replicas[1].revoke(as, token); a.status != http.StatusOK {
			t.Fatalf("revoke: %s", a)
		}
	}
	if _, err := c.db.CutOff(t.Context(), store.Actor{Kind: "cli", ID: "test"}, store.CutClient, "cut"); err != nil {
		t.Fatal(err)
	}
	acknowledged := time.Now()
	for _, r := range c.replicas {
		untilRefused(t, r, cutClient, cutToken, acknowledged)
	}

	c.postgres.Kill()
	if err := c.postgres.Revert(); err != nil {
		t.Fatal(err)
	}
	restart()
	newcomer := startReplica(t, c.env)
	for _, r := range append(c.replicas, newcomer) {
		r.awaitReady()
	}
	newcomer.await("learn what the others knew", func() bool { return !newcomer.isActive(as, early) && !newcomer.isActive(cutClient, cutToken) })
	for i, r := range append(c.replicas, newcomer) {
		for _, token := range []string{early, late} {
			if r.isActive(as, token) {
				t.Errorf("replica %d revived a revoked token", i)
			}
		}
		if r.isActive(cutClient, cutToken) {
			t.Errorf("replica %d revived a token that was cut off", i)
		}
		if !r.isActive(cutClient, r.mustIssue(cutClient)) {
			t.Errorf("replica %d issues tokens that are dead on arrival", i)
		}
	}
}

// /ready names the part that fails.
func TestReadyNamesWhatFails(t *testing.T) {
	c := newCluster(t, 0)
	without := emptyDatabase(t, c) + "_of_nobody"
	for part, database := range map[string]string{
		"tcp":      "OAUTH2_DATABASE_URL=postgres://127.0.0.1:1/x",
		"name":     "OAUTH2_DATABASE_URL=postgres://no-such-host.invalid/x",
		"schema":   emptyDatabase(t, c),
		"database": without,
	} {
		r := startReplica(t, append(c.env, database))
		r.await("name "+part, func() bool {
			a := r.get("/ready")
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, fmt.Sprintf(`"part":%q`, part))
		})
		if a := r.get("/health"); a.status != http.StatusOK {
			t.Errorf("%s: /health is about the process only: %s", part, a)
		}
		if a := r.issue(identity{"nobody", "nothing"}); a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: an unknown client while nothing is known: %s", part, a)
		}
	}
}

// emptyDatabase is the variable of a database without a schema.
func emptyDatabase(t *testing.T, c *cluster) string {
	t.Helper()
	url := strings.TrimPrefix(c.env[0], "OAUTH2_DATABASE_URL=")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	name := fmt.Sprintf("empty_%d", time.Now().UnixNano())
	if _, err := conn.Exec(t.Context(), "create database "+name); err != nil {
		t.Fatal(err)
	}
	config := conn.Config()
	return fmt.Sprintf("OAUTH2_DATABASE_URL=postgres://%s@%s:%d/%s", config.User, config.Host, config.Port, name)
}

// A restore that no replica survived: a cut-off made afterwards hits what was issued in the history that was lost.
func TestRevokeAllAfterARestoreHitsWhatWasIssuedBefore(t *testing.T) {
	c := newOwnCluster(t, 1)
	as := c.newClient("app", asJWT)
	c.postgres.Kill()
	if err := c.postgres.Backup(); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		t.Helper()
		if err := c.postgres.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	c.replicas[0].awaitReady()
	actor := store.Actor{Kind: "cli", ID: "test"}
	var last store.Cutoff
	for range 5 { // the feed goes on, in a history that will be lost
		var err error
		if last, err = c.db.CutOff(t.Context(), actor, store.CutSubject, "somebody"); err != nil {
			t.Fatal(err)
		}
	}
	c.replicas[0].await("follow", func() bool {
		return strings.Contains(c.replicas[0].get("/metrics").body, fmt.Sprintf("oauth2_server_feed_position %d\n", last.Number))
	})
	token := c.replicas[0].mustIssue(as)
	c.replicas[0].kill()

	c.postgres.Kill()
	if err := c.postgres.Revert(); err != nil {
		t.Fatal(err)
	}
	restart()
	r := startReplica(t, c.env)
	r.awaitReady()
	if !r.isActive(as, token) {
		t.Fatal("a JWT needs no row: it should have outlived the restore")
	}
	if _, err := c.db.CutOff(t.Context(), actor, store.CutAll, ""); err != nil {
		t.Fatal(err)
	}
	untilRefused(t, r, as, token, time.Now())
	if !r.isActive(as, r.mustIssue(as)) {
		t.Error("a token issued after the cut-off is dead on arrival")
	}
}
