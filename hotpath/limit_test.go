package hotpath

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/proxy"
	"oauth2-server/store"
)

// fakeLimiter writes down what is spent, and allows all that no verdict is laid out for.
type fakeLimiter struct {
	mu       sync.Mutex
	spent    []string
	verdicts map[string]limits.Verdict // by endpoint and stage: "token/0"
}

func (f *fakeLimiter) Spend(e limits.Endpoint, s limits.Stage, who *limits.Who, n int64) limits.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := fmt.Sprintf("%s %s", e, who.Address)
	if s == limits.ByName {
		line = fmt.Sprintf("%s %s@%s", e, who.Client, who.Address)
	}
	if n != 1 {
		line += fmt.Sprintf(" x%d", n)
	}
	if who.Local {
		line += " local"
	}
	f.spent = append(f.spent, line)
	return f.verdicts[fmt.Sprintf("%s/%d", e, s)]
}

// take returns what was spent since the last call.
func (f *fakeLimiter) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	spent := f.spent
	f.spent = nil
	return spent
}

// lay lays out a verdict for an endpoint and stage.
func (f *fakeLimiter) lay(at string, v limits.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verdicts == nil {
		f.verdicts = map[string]limits.Verdict{}
	}
	f.verdicts[at] = v
}

// newLimitedSite is a site behind a fake limiter. Requests come from 127.0.0.1.
func newLimitedSite(t testing.TB, trusted ...string) (*site, *fakeLimiter) {
	t.Helper()
	f := new(fakeLimiter)
	proxies, err := proxy.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return newSite(t, func(o *Options) { o.Limiter, o.Trusted = f, proxies }), f
}

func testPolicy(name string, burst int64) *limits.Policy {
	return &limits.Policy{
		Name: name, Quota: store.Quota{Rate: 10, Period: store.Period(time.Second), Burst: burst},
		Limit: burst + burst/5, Header: fmt.Sprintf(`"%s";q=%d;w=3`, name, burst+burst/5),
	}
}

// Who pays what, in which order, for every limited endpoint and each way it can end.
func TestWhatIsSpent(t *testing.T) {
	s, limiter := newLimitedSite(t)
	grant := values("grant_type", "client_credentials")
	lines := map[string]string{"Content-Type": "application/x-ndjson"}
	f := func(name string, c call, status int, want ...string) {
		t.Helper()
		if r := s.do(c); r.status != status {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if got := limiter.take(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: spent %q, want %q", name, got, want)
		}
	}
	f("issue", call{path: "/oauth/token", basic: "app", form: grant}, 200,
		"token 127.0.0.1", "token app@127.0.0.1", "token.client_credentials 127.0.0.1", "token.client_credentials app@127.0.0.1")
	f("a refused scope has its price", call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials", "scope", "admin")}, 400,
		"token 127.0.0.1", "token app@127.0.0.1", "token.client_credentials 127.0.0.1", "token.client_credentials app@127.0.0.1")
	f("an unknown grant", call{path: "/oauth/token", basic: "app", form: values("grant_type", "password")}, 400, "token 127.0.0.1", "token app@127.0.0.1")
	f("a broken form", call{path: "/oauth/token", basic: "app", body: "grant_type=%zz"}, 400, "token 127.0.0.1")
	f("a wrong secret", call{path: "/oauth/token", basic: "app", pass: "wrong", form: grant}, 401,
		"token 127.0.0.1", "failures 127.0.0.1 local", "failures app@127.0.0.1 local")
	f("a disabled client", call{path: "/oauth/token", basic: "off", form: grant}, 401,
		"token 127.0.0.1", "failures 127.0.0.1 local", "failures off@127.0.0.1 local")
	f("an unknown client", call{path: "/oauth/token", basic: "nobody", form: grant}, 401,
		"token 127.0.0.1", "failures 127.0.0.1 local", "failures nobody@127.0.0.1 local")
	f("no client at all", call{path: "/oauth/token", form: grant}, 401,
		"token 127.0.0.1", "failures 127.0.0.1 local", "failures @127.0.0.1 local")
	f("two ways of authentication", call{path: "/oauth/token", basic: "app", form: values("client_secret", "x")}, 400, "token 127.0.0.1")
	f("a public client is whoever says so", call{path: "/oauth/token", form: values("client_id", "page", "grant_type", "client_credentials")}, 400,
		"token 127.0.0.1", "token.client_credentials 127.0.0.1")

	f("introspect", call{path: "/oauth/introspect", basic: "app", form: values("token", "x")}, 200, "introspect 127.0.0.1", "introspect app@127.0.0.1")
	f("introspect nothing", call{path: "/oauth/introspect", basic: "app"}, 400, "introspect 127.0.0.1", "introspect app@127.0.0.1")
	f("introspect as a public client", call{path: "/oauth/introspect", form: values("client_id", "page", "token", "x")}, 401,
		"introspect 127.0.0.1", "failures 127.0.0.1 local", "failures page@127.0.0.1 local")
	f("introspect with a wrong secret", call{path: "/oauth/introspect", basic: "app", pass: "wrong", form: values("token", "x")}, 401,
		"introspect 127.0.0.1", "failures 127.0.0.1 local", "failures app@127.0.0.1 local")

	f("a batch pays for its tokens", call{path: batchPath, basic: "app", headers: lines, body: strings.Repeat(`{"token":"x"}`+"\n", 7)}, 200,
		"introspect 127.0.0.1", "introspect 127.0.0.1 x6", "introspect app@127.0.0.1 x7")
	f("a batch of one", call{path: batchPath, basic: "app", headers: lines, body: `{"token":"x"}`}, 200, "introspect 127.0.0.1", "introspect app@127.0.0.1")
	f("an empty batch", call{path: batchPath, basic: "app", headers: lines}, 200, "introspect 127.0.0.1", "introspect app@127.0.0.1")
	f("a broken batch", call{path: batchPath, basic: "app", headers: lines, body: strings.Repeat(`{"token":"x"}`+"\n", 3) + "x"}, 400,
		"introspect 127.0.0.1", "introspect 127.0.0.1 x2", "introspect app@127.0.0.1 x3")
	f("a batch of a stranger", call{path: batchPath, basic: "app", pass: "wrong", headers: lines, body: `{"token":"x"}`}, 401,
		"introspect 127.0.0.1", "failures 127.0.0.1 local", "failures app@127.0.0.1 local")

	f("revoke", call{path: "/oauth/revoke", basic: "app", form: values("token", "x")}, 200, "revoke 127.0.0.1", "revoke app@127.0.0.1")
	f("revoke as a public client", call{path: "/oauth/revoke", form: values("client_id", "page", "token", "x")}, 200, "revoke 127.0.0.1")
	f("revoke as a stranger", call{path: "/oauth/revoke", basic: "app", pass: "wrong", form: values("token", "x")}, 401,
		"revoke 127.0.0.1", "failures 127.0.0.1 local", "failures app@127.0.0.1 local")

	f("a request that is pushed", call{path: pushPath, basic: "web", form: pushForm()}, 201, "token 127.0.0.1", "token web@127.0.0.1", "par web@127.0.0.1")
	f("pushed by a public client", call{path: pushPath, form: pushForm("client_id", "spa")}, 201, "token 127.0.0.1", "par 127.0.0.1")
	f("pushed by a stranger", call{path: pushPath, basic: "web", pass: "wrong", form: pushForm()}, 401,
		"token 127.0.0.1", "failures 127.0.0.1 local", "failures web@127.0.0.1 local")

	f("another method", call{method: "GET", path: "/oauth/token"}, 405)
	f("preflight", call{method: "OPTIONS", path: "/oauth/token"}, 204)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration", "/health", "/ready", "/metrics"} {
		f(path, call{method: "GET", path: path}, 200)
	}
	f("nothing there", call{method: "GET", path: "/nothing"}, 404)
}

// A stage that refuses ends the request: nothing behind it is spent, or done.
func TestRefusalEndsTheRequest(t *testing.T) {
	grant := call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials")}
	batch := call{path: batchPath, basic: "app", headers: map[string]string{"Content-Type": "application/x-ndjson"}, body: "{\"token\":\"x\"}\n{\"token\":\"x\"}"}
	wrong := grant
	wrong.pass = "wrong"
	f := func(at string, c call, want ...string) {
		t.Helper()
		s, limiter := newLimitedSite(t)
		limiter.lay(at, limits.Verdict{Refused: true, Rule: testPolicy("r", 20), Retry: 1500 * time.Millisecond, Reset: 2 * time.Second})
		wantTooMany(t, s.do(c))
		if got := limiter.take(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: spent %q, want %q", at, got, want)
		}
	}
	f("token/0", grant, "token 127.0.0.1")
	f("token/1", grant, "token 127.0.0.1", "token app@127.0.0.1")
	public := call{path: pushPath, form: pushForm("client_id", "spa")}
	f("par/0", public, "token 127.0.0.1", "par 127.0.0.1")
	f("par/1", call{path: pushPath, basic: "web", form: pushForm()}, "token 127.0.0.1", "token web@127.0.0.1", "par web@127.0.0.1")
	f("token.client_credentials/0", grant, "token 127.0.0.1", "token app@127.0.0.1", "token.client_credentials 127.0.0.1")
	f("token.client_credentials/1", grant, "token 127.0.0.1", "token app@127.0.0.1", "token.client_credentials 127.0.0.1", "token.client_credentials app@127.0.0.1")
	f("introspect/0", call{path: "/oauth/introspect", basic: "app", form: values("token", "x")}, "introspect 127.0.0.1")
	f("introspect/1", call{path: "/oauth/introspect", basic: "app", form: values("token", "x")}, "introspect 127.0.0.1", "introspect app@127.0.0.1")
	f("introspect/1", batch, "introspect 127.0.0.1", "introspect 127.0.0.1", "introspect app@127.0.0.1 x2")
	f("revoke/0", call{path: "/oauth/revoke", basic: "app", form: values("token", "x")}, "revoke 127.0.0.1")
	f("revoke/1", call{path: "/oauth/revoke", basic: "app", form: values("token", "x")}, "revoke 127.0.0.1", "revoke app@127.0.0.1")
	f("failures/0", wrong, "token 127.0.0.1", "failures 127.0.0.1 local")
	f("failures/1", wrong, "token 127.0.0.1", "failures 127.0.0.1 local", "failures app@127.0.0.1 local")
}

func wantTooMany(t *testing.T, r reply) {
	t.Helper()
	const text = `{"error":"too_many_requests","error_description":"a limit is reached; try again in 2 s"}`
	if r.status != 429 || r.body != text || r.header.Get("Retry-After") != "2" || r.header.Get("Www-Authenticate") != "" {
		t.Errorf("got %d %s %v, want 429 %s", r.status, r.body, r.header, text)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", r.header)
	}
}

// P6, and the budget of failures: when it is spent a wrong secret is 429 and a right one passes.
func TestRightSecretPassesWhateverFailed(t *testing.T) {
	s, limiter := newLimitedSite(t)
	spent := limits.Verdict{Refused: true, Rule: testPolicy("failures.client+ip", 5), Retry: 2 * time.Second}
	limiter.lay("failures/0", spent)
	limiter.lay("failures/1", spent)
	wantTooMany(t, s.do(call{path: "/oauth/token", basic: "app", pass: "wrong", form: values("grant_type", "client_credentials")}))
	limiter.take()
	s.wantActive("app", s.issue("app"))
	for _, line := range limiter.take() {
		if strings.HasPrefix(line, "failures") {
			t.Errorf("a right secret spent %q", line)
		}
	}
}

// A client's own limits are spent by itself alone.
func TestStrangerCannotSpendAClientsBudget(t *testing.T) {
	s, limiter := newLimitedSite(t)
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", batchPath} {
		form := values("grant_type", "client_credentials", "token", "x")
		s.do(call{path: path, basic: "app", pass: "wrong", form: form})
		s.do(call{path: path, form: values("client_id", "app", "grant_type", "client_credentials", "token", "x")})
		s.do(call{path: path, form: values("client_id", "app", "client_secret", "", "grant_type", "client_credentials", "token", "x")})
		s.do(call{path: path, form: values("client_id", "page", "grant_type", "client_credentials", "token", "x")})
	}
	for _, line := range limiter.take() {
		if strings.Contains(line, "@") && !strings.HasPrefix(line, "failures") {
			t.Errorf("a stranger spent %q", line)
		}
	}
}

// What is left of the budget of failures, counted otherwise for known clients than for unknown ones, is not told.
func TestRefusedClientLearnsNothingOfOthers(t *testing.T) {
	s, limiter := newLimitedSite(t)
	limiter.lay("failures/1", limits.Verdict{Rule: testPolicy("failures.client+ip", 5), Remaining: 3})
	for _, client := range []string{"app", "nobody"} {
		r := s.do(call{path: "/oauth/token", basic: client, pass: "wrong", form: values("grant_type", "client_credentials")})
		if r.status != 401 || r.header.Get("RateLimit") != "" {
			t.Errorf("%s: got %d %v", client, r.status, r.header)
		}
	}
}

var limitHeaders = []string{"Ratelimit", "Ratelimit-Policy", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// The headers of one answer say the same thing in three ways.
func TestLimitHeadersAgree(t *testing.T) {
	f := func(v limits.Verdict, wantRemaining, wantReset, wantRetry int64) {
		t.Helper()
		s, limiter := newLimitedSite(t)
		limiter.lay("introspect/1", v)
		before := s.tier.Now() / int64(time.Second)
		r := s.introspect("app", "x")
		after := s.tier.Now() / int64(time.Second)
		number := func(name string) int64 {
			n, err := strconv.ParseInt(r.header.Get(name), 10, 64)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return n
		}
		if got, want := r.header.Get("RateLimit"), fmt.Sprintf(`"%s";r=%d;t=%d`, v.Rule.Name, wantRemaining, wantReset); got != want {
			t.Errorf("RateLimit: got %s, want %s", got, want)
		}
		if got := r.header.Get("RateLimit-Policy"); got != v.Rule.Header {
			t.Errorf("RateLimit-Policy: got %s", got)
		}
		if number("X-RateLimit-Limit") != 24 || number("X-RateLimit-Remaining") != wantRemaining {
			t.Errorf("got %v", r.header)
		}
		if got := number("X-RateLimit-Reset"); got < before+wantReset || got > after+wantReset {
			t.Errorf("X-RateLimit-Reset: got %d, want %d s from %d", got, wantReset, before)
		}
		if wantRetry == 0 && (r.status != 200 || r.header.Get("Retry-After") != "") {
			t.Errorf("got %d %v", r.status, r.header)
		}
		if wantRetry > 0 && (r.status != 429 || number("Retry-After") != wantRetry || !strings.Contains(r.body, fmt.Sprintf(" in %d s", wantRetry))) {
			t.Errorf("got %d %s %v", r.status, r.body, r.header)
		}
	}
	rule := testPolicy("introspect.client", 20)
	f(limits.Verdict{Rule: rule, Remaining: 12, Reset: 800 * time.Millisecond}, 12, 1, 0)
	f(limits.Verdict{Rule: rule, Remaining: 19, Reset: time.Second}, 19, 1, 0)
	f(limits.Verdict{Rule: rule, Remaining: 0, Reset: 1001 * time.Millisecond}, 0, 2, 0)
	f(limits.Verdict{Rule: rule, Refused: true, Reset: 2 * time.Second, Retry: time.Millisecond}, 0, 2, 1)
	f(limits.Verdict{Rule: rule, Refused: true, Reset: 59 * time.Minute, Retry: 90 * time.Second}, 0, 3540, 90)
	f(limits.Verdict{Rule: rule, Refused: true}, 0, 1, 1) // a blocked one: never "at once"
	f(limits.Verdict{Rule: rule, Refused: true, Remaining: -1, Reset: time.Second, Retry: 3 * time.Second}, 0, 3, 3)
}

// Of several enforced rules the one with the least left is told; the refusal's own wins over all.
func TestTightestRuleIsTold(t *testing.T) {
	s, limiter := newLimitedSite(t)
	limiter.lay("token/0", limits.Verdict{Rule: testPolicy("token.ip", 20), Remaining: 7})
	limiter.lay("token/1", limits.Verdict{Rule: testPolicy("token.client", 200), Remaining: 10})
	limiter.lay("token.client_credentials/0", limits.Verdict{Rule: testPolicy("grant", 20), Remaining: 6})
	grant := call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials")}
	if r := s.do(grant); r.status != 200 || !strings.HasPrefix(r.header.Get("RateLimit"), `"token.client";r=10;`) {
		t.Errorf("got %d %v", r.status, r.header)
	}
	limiter.lay("token.client_credentials/1", limits.Verdict{Refused: true, Rule: testPolicy("own", 20), Remaining: 9})
	if r := s.do(grant); r.status != 429 || !strings.HasPrefix(r.header.Get("RateLimit"), `"own";r=9;`) {
		t.Errorf("got %d %v", r.status, r.header)
	}
}

// Without an enforced rule, as in shadow, an answer says nothing of limits; nor does the next on the same memory.
func TestShadowTellsNothing(t *testing.T) {
	s, limiter := newLimitedSite(t)
	limiter.lay("introspect/1", limits.Verdict{Rule: testPolicy("introspect.client", 20), Remaining: 7})
	if r := s.introspect("app", "x"); r.header.Get("RateLimit") == "" {
		t.Errorf("enforced: got %v", r.header)
	}
	limiter.lay("introspect/1", limits.Verdict{})
	r := s.introspect("app", "x")
	for _, name := range limitHeaders {
		if r.status != 200 || r.header.Get(name) != "" {
			t.Errorf("got %d %v", r.status, r.header)
		}
	}
}

func TestBatchAboveItsBurstIsToldSo(t *testing.T) {
	s, limiter := newLimitedSite(t)
	limiter.lay("introspect/1", limits.Verdict{Refused: true, Rule: testPolicy("introspect.client", 2), Retry: time.Second})
	r := s.do(call{path: batchPath, basic: "app", headers: map[string]string{"Content-Type": "application/x-ndjson"}, body: strings.Repeat(`{"token":"x"}`+"\n", 3)})
	wantError(t, r, 429, "too_many_requests")
	if !strings.Contains(r.body, "send smaller ones") {
		t.Errorf("got %s", r.body)
	}
}

// Pages can read the headers of limits where they can read the answer.
func TestLimitHeadersAreExposedToPages(t *testing.T) {
	s, limiter := newLimitedSite(t)
	limiter.lay("token/0", limits.Verdict{Refused: true, Rule: testPolicy("token.ip", 20), Retry: time.Second})
	for origin, want := range map[string]bool{"https://console.example.com": true, "https://elsewhere.example.com": false} {
		r := s.do(call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials"), headers: map[string]string{"Origin": origin}})
		exposed := strings.Split(r.header.Get("Access-Control-Expose-Headers"), ", ")
		for _, name := range append(limitHeaders, "Retry-After") {
			found := false
			for _, one := range exposed {
				found = found || http.CanonicalHeaderKey(one) == name
			}
			if r.header.Get(name) == "" || found != want {
				t.Errorf("%s: %s: got %v", origin, name, r.header)
			}
		}
	}
}

// exchangeRaw sends a request as it stands and returns the status of its answer.
func (s *site) exchangeRaw(text string) int {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// Whatever a client says of where it comes from, it pays from its own address, unless a proxy of ours says it.
func TestSpoofedForwardedForBuysNoSecondBucket(t *testing.T) {
	const plain = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
	const chunked = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	f := func(s *site, limiter *fakeLimiter, text, want string) {
		t.Helper()
		if status := s.exchangeRaw(text); status != 400 { // no form
			t.Errorf("%q: %d", text, status)
		}
		if got := limiter.take(); !reflect.DeepEqual(got, []string{"token " + want}) {
			t.Errorf("%q: spent %q, want %s", text, got, want)
		}
	}
	s, limiter := newLimitedSite(t)
	for _, header := range []string{"", "X-Forwarded-For: 1.1.1.1\r\n", "X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nTrue-Client-IP: 1.1.1.1\r\n", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.1\r\n"} {
		f(s, limiter, plain+header+"\r\n", "127.0.0.1")
	}
	s, limiter = newLimitedSite(t, "10.0.0.0/8")
	f(s, limiter, plain+"X-Forwarded-For: 1.1.1.1\r\n\r\n", "127.0.0.1") // this peer is none of the proxies

	s, limiter = newLimitedSite(t, "127.0.0.1", "10.0.0.0/8")
	f(s, limiter, plain+"\r\n", "127.0.0.1")
	f(s, limiter, plain+"X-Forwarded-For: 203.0.113.5\r\n\r\n", "203.0.113.5")
	f(s, limiter, plain+"x-forwarded-for: 1.1.1.1\r\nX-FORWARDED-FOR: 203.0.113.5:99\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", "203.0.113.5")
	f(s, limiter, plain+"X-Forwarded-For: 1.1.1.1, 203.0.113.5, 10.0.0.1\r\nX_Forwarded_For: 2.2.2.2\r\nX-Real-IP: 3.3.3.3\r\n\r\n", "203.0.113.5")
	f(s, limiter, plain+"X-Forwarded-For: 1.1.1.1, unknown\r\n\r\n", "127.0.0.1")

	for _, announced := range []string{"", "Trailer: X-Forwarded-For\r\n"} { // a trailer is the client's: no proxy has seen it
		text := chunked + announced + "X-Forwarded-For: 203.0.113.5\r\n\r\n0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"
		if status := s.exchangeRaw(text); status != 400 || limiter.take() != nil {
			t.Errorf("a trailer: %d", status)
		}
	}
}
