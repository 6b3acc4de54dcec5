package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// limit is a limit of introspection by client, enforced.
func limit(rate, burst int64, period time.Duration) store.Limit {
	return store.Limit{
		Name: "test", Endpoint: "introspect", Key: store.LimitByClient, Mode: store.LimitEnforce,
		Quota: store.Quota{Rate: rate, Burst: burst, Period: store.Period(period)},
	}
}

// setLimit makes the limit what it is to be, and returns when that is durable.
func (c *cluster) setLimit(l store.Limit) {
	c.t.Helper()
	set := func(*store.Limit) (*store.Limit, error) { return &l, nil }
	if _, err := c.db.ChangeLimit(c.t.Context(), store.Actor{Kind: "cli", ID: "test"}, "set limit", l.Name, set); err != nil {
		c.t.Fatal(err)
	}
}

// awaitLimit waits until every replica knows the limit of the test in this mode. It spends nothing.
func (c *cluster) awaitLimit(mode string) {
	c.t.Helper()
	for _, r := range c.replicas {
		r.await("follow the limit", func() bool { return r.decisions(mode, "allowed") >= 0 })
	}
}

// decisions is how often a replica decided so, or -1 when it does not know the limit of the test in this mode.
func (r *replica) decisions(mode, decision string) int {
	series := fmt.Sprintf(`oauth2_server_limit_decisions_total{rule=%q,mode=%q,decision=%q} `, "test", mode, decision)
	found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(series) + `(\d+)$`).FindStringSubmatch(r.get("/metrics").body)
	if found == nil {
		return -1
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func (c *cluster) decisions(mode, decision string) (n int) {
	for _, r := range c.replicas {
		n += r.decisions(mode, decision)
	}
	return n
}

// wantWithinASecond polls every replica until it answers the client so: P7, at most a second after the change was durable.
func (c *cluster) wantWithinASecond(as identity, status int, what string) {
	c.t.Helper()
	changed := time.Now()
	for i, r := range c.replicas {
		for {
			asked := time.Now()
			a := r.introspect(as, "x")
			if a.status == status {
				break
			}
			if asked.Sub(changed) > time.Second {
				c.t.Errorf("%s: replica %d, asked %v after the change: %s", what, i, asked.Sub(changed), a)
				break
			}
		}
	}
}

// P7: what is changed in one place is in force on every replica within a second, for those who are blocked as well, and for no one else.
func TestChangedLimitIsInForceEverywhereWithinASecond(t *testing.T) {
	c := newCluster(t, 3)
	as, other := c.newClient("app"), c.newClient("other")
	unhurt := func(when string) {
		t.Helper()
		for i, r := range c.replicas {
			if a := r.introspect(other, "x"); a.status != http.StatusOK {
				t.Errorf("%s: another client on replica %d: %s", when, i, a)
			}
		}
	}
	c.setLimit(limit(20, 20, time.Hour))
	c.awaitLimit(store.LimitEnforce)
	for range 20 {
		c.replicas[0].introspect(as, "x")
	}
	c.wantWithinASecond(as, http.StatusTooManyRequests, "spent on one replica")
	unhurt("limited")

	raised := limit(100_000, 100_000, time.Second)
	c.setLimit(raised)
	c.wantWithinASecond(as, http.StatusOK, "raised")
	c.setLimit(limit(1, 1, time.Hour))
	c.wantWithinASecond(as, http.StatusTooManyRequests, "cut")

	own := limit(1, 1, time.Hour)
	own.Overrides = map[string]store.Override{"app": {Mode: store.OverrideExempt}}
	c.setLimit(own)
	c.wantWithinASecond(as, http.StatusOK, "exempt")
	raised.Mode = store.LimitBlock
	c.setLimit(raised)
	c.wantWithinASecond(as, http.StatusTooManyRequests, "block")
	raised.Mode = store.LimitOff
	c.setLimit(raised)
	c.wantWithinASecond(as, http.StatusOK, "off")
	unhurt("off")
}

// A small limit is exact over all replicas, and the answers that it lets pass count down to the one it does not.
func TestSmallLimitIsExactOverTheCluster(t *testing.T) {
	c := newCluster(t, 3)
	as := c.newClient("app")
	c.setLimit(limit(20, 20, time.Hour))
	c.awaitLimit(store.LimitEnforce)
	var passed, refused atomic.Int64
	var workers sync.WaitGroup
	for _, r := range c.replicas {
		workers.Go(func() {
			for range 20 {
				a := r.introspect(as, "x")
				wantAgreement(t, a)
				switch a.status {
				case http.StatusOK:
					passed.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					t.Errorf("got %s", a)
				}
			}
		})
	}
	workers.Wait()
	if passed.Load() != 20 || refused.Load() != 40 {
		t.Errorf("%d passed and %d were refused, want 20 and 40", passed.Load(), refused.Load())
	}
}

var (
	stateHeader  = regexp.MustCompile(`^"test";r=(\d+);t=(\d+)$`)
	policyHeader = regexp.MustCompile(`^"test";q=(\d+);w=(\d+)$`)
)

// wantAgreement wants the three ways in which an answer tells of its limit to say the same.
func wantAgreement(t *testing.T, a answer) {
	t.Helper()
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Errorf("%v: %v", a.header, err)
		}
		return n
	}
	state := stateHeader.FindStringSubmatch(a.header.Get("RateLimit"))
	policy := policyHeader.FindStringSubmatch(a.header.Get("RateLimit-Policy"))
	if state == nil || policy == nil {
		t.Errorf("got %d %v", a.status, a.header)
		return
	}
	limit, remaining, reset := a.header.Get("X-RateLimit-Limit"), a.header.Get("X-RateLimit-Remaining"), number(a.header.Get("X-RateLimit-Reset"))
	if limit != policy[1] || remaining != state[1] || number(remaining) > number(limit) || number(state[2]) > number(policy[2]) {
		t.Errorf("headers differ: %v", a.header)
	}
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil && (reset < date.Unix()+number(state[2])-5 || reset > date.Unix()+number(state[2])+5) {
		t.Errorf("X-RateLimit-Reset is %d s after Date: %v", reset-date.Unix(), a.header)
	}
	retry := a.header.Get("Retry-After")
	if refused := a.status == http.StatusTooManyRequests; refused != (retry != "") || refused && (number(retry) < 1 || number(retry) > number(state[2])) {
		t.Errorf("%d: Retry-After %q: %v", a.status, retry, a.header)
	}
}

// Shadow says what a limit would do: it refuses nothing, tells clients nothing, and counts truly.
func TestShadowNeverRefusesAndCountsTruly(t *testing.T) {
	c := newCluster(t, 3)
	as := c.newClient("app")
	l := limit(5, 5, time.Hour)
	l.Mode = store.LimitShadow
	c.setLimit(l)
	c.awaitLimit(store.LimitShadow)
	for i := range 30 {
		a := c.replicas[i%3].introspect(as, "x")
		if a.status != http.StatusOK || a.header.Get("RateLimit") != "" || a.header.Get("X-RateLimit-Limit") != "" {
			t.Fatalf("got %s %v", a, a.header)
		}
	}
	allowed, would := c.decisions(store.LimitShadow, "allowed"), c.decisions(store.LimitShadow, "would_refuse")
	if allowed != 5 || would != 25 {
		t.Errorf("%d allowed and %d that would be refused, want 5 and 25", allowed, would)
	}
}

// With Redis hung a limit is neither an outage nor unlimited, and with Redis back it is exact again.
func TestLimitsSurviveAHungRedis(t *testing.T) {
	c := newCluster(t, 3)
	as, fast := c.newClient("app"), c.newClient("fast")
	small := limit(30, 30, time.Hour)
	small.Overrides = map[string]store.Override{"fast": {Quota: &store.Quota{Rate: 100_000, Burst: 100_000, Period: store.Period(time.Second)}}}
	c.setLimit(small)
	c.awaitLimit(store.LimitEnforce)
	c.redis.Stop()
	defer c.redis.Continue()
	passed := 0
	for i := range 150 {
		r := c.replicas[i%3]
		if a := r.introspect(fast, "x"); a.status != http.StatusOK {
			t.Fatalf("a client far from its limit: %s", a)
		}
		switch a := r.introspect(as, "x"); a.status {
		case http.StatusOK:
			passed++
		case http.StatusTooManyRequests:
		default:
			t.Fatalf("got %s", a)
		}
	}
	if passed < 1 || passed > 3*30 { // a replica that does not know the others yet allows the whole limit
		t.Errorf("%d of 150 passed a limit of 30", passed)
	}
	c.redis.Continue()
	for _, r := range c.replicas {
		r.await("find Redis again", func() bool { return !strings.Contains(r.get("/ready").body, "degraded") })
		if a := r.introspect(fast, "x"); a.status != http.StatusOK {
			t.Errorf("Redis is back: %s", a)
		}
	}
}

// Wrong secrets have a budget of their own, from the first start. A right one always passes, on every replica.
func TestFailuresBecome429AndARightSecretPasses(t *testing.T) {
	c := newCluster(t, 3)
	as := c.newClient("app")
	wrong := identity{as.id, "wrong"}
	statuses := map[int]int{}
	for i := range 30 {
		statuses[c.replicas[i%3].issue(wrong).status]++
	}
	if u, many := statuses[http.StatusUnauthorized], statuses[http.StatusTooManyRequests]; u < 3 || many < 1 || u+many != 30 {
		t.Errorf("got %v, want some 401 and then 429: each replica has its part of ten", statuses)
	}
	for _, r := range c.replicas {
		r.mustIssue(as)
	}
	nobody := identity{"nobody", "wrong"} // counted too, though nobody knows it
	for range 30 {
		c.replicas[0].issue(nobody)
	}
	if a := c.replicas[0].issue(nobody); a.status != http.StatusTooManyRequests || a.field("error") != "too_many_requests" {
		t.Errorf("got %s", a)
	}
}

// A proxy that is trusted says who asks; whoever says it himself pays for himself.
func TestForwardedClientsPayApartBehindATrustedProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		env := []string{"OAUTH2_SERVER_TRUST_PROXY_HEADERS=" + strconv.FormatBool(trusted), "OAUTH2_TRUSTED_PROXIES=127.0.0.1"}
		c := startCluster(t, 1, private.TestDatabase(t), nil, env...)
		l := limit(3, 3, time.Hour)
		l.Key = store.LimitByIP
		c.setLimit(l)
		c.awaitLimit(store.LimitEnforce)
		passed := 0
		for i := range 30 {
			a := c.replicas[0].forwarded(fmt.Sprintf("203.0.113.%d", i%3))
			if a.status != http.StatusTooManyRequests {
				passed++
			}
		}
		if want := map[bool]int{true: 9, false: 3}[trusted]; passed != want {
			t.Errorf("headers trusted: %v: %d passed, want %d", trusted, passed, want)
		}
	}
}

// forwarded introspects as nobody in the name of an address, behind which the client has put another.
func (r *replica) forwarded(address string) answer {
	request, err := http.NewRequest(http.MethodPost, r.url+"/oauth/introspect", strings.NewReader(url.Values{"token": {"x"}}.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("X-Forwarded-For", "198.51.100."+strconv.Itoa(int(time.Now().UnixNano()%250))+", "+address)
	}
	return send(request, err)
}

// A batch is as dear as its tokens one by one.
func TestBatchPaysForItsTokens(t *testing.T) {
	c := newCluster(t, 1)
	as := c.newClient("app")
	c.setLimit(limit(10, 10, time.Hour))
	c.awaitLimit(store.LimitEnforce)
	for _, batch := range []struct {
		tokens, status int
		remaining      string
	}{{7, 200, "3"}, {4, 429, "3"}, {11, 429, "3"}, {3, 200, "0"}, {1, 429, "0"}} {
		a := c.replicas[0].batch(as, batch.tokens)
		wantAgreement(t, a)
		if a.status != batch.status || a.header.Get("X-RateLimit-Remaining") != batch.remaining {
			t.Errorf("%d tokens: got %s %v", batch.tokens, a, a.header)
		}
		if smaller := strings.Contains(a.body, "send smaller ones"); smaller != (batch.tokens > 10) {
			t.Errorf("%d tokens: got %s", batch.tokens, a)
		}
	}
}

// batch introspects n tokens at once.
func (r *replica) batch(as identity, n int) answer {
	lines := strings.Repeat(`{"token":"x"}`+"\n", n)
	request, err := http.NewRequest(http.MethodPost, r.url+"/oauth/introspect/batch", strings.NewReader(lines))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
		request.SetBasicAuth(as.id, as.secret)
	}
	return send(request, err)
}

// What a replica counted is not lost when it ends as it should.
func TestCountsOfAnEndedReplicaAreSaved(t *testing.T) {
	c := newCluster(t, 1)
	as := c.newClient("app")
	c.setLimit(limit(100, 100, time.Hour))
	c.awaitLimit(store.LimitEnforce)
	for range 7 {
		c.replicas[0].introspect(as, "x")
	}
	if err := c.replicas[0].terminate(); err != nil {
		t.Fatal(err)
	}
	minutes, err := c.db.LimitMinutes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	saved := int64(0)
	for _, minute := range minutes {
		for _, n := range minute.Rules["test"].Allowed {
			saved += n
		}
	}
	if saved != 7 {
		t.Errorf("%d requests are saved, want 7", saved)
	}
}
