package hotpath

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/proxy"
)

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// arrival is a request from the peer with "name: value" lines.
func arrival(peer string, lines ...string) *fasthttp.RequestCtx {
	var r fasthttp.Request
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&r, &net.TCPAddr{IP: net.ParseIP(peer), Port: 4711}, nil)
	return ctx
}

func newTestWay(t testing.TB, issuer string, trusted ...string) *way {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	list, err := proxy.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return newWay(u, list, metrics.NewSet())
}

func TestProxyHeadersThatAreNotBelieved(t *testing.T) {
	f := func(want uint64, trusted, peer string, lines ...string) {
		t.Helper()
		w := newTestWay(t, issuer, strings.Fields(trusted)...)
		w.look(arrival(peer, lines...), routeToken)
		if got := w.unbelieved.Get(); got != want {
			t.Errorf("trusted %q, %s %q: counted %d, want %d", trusted, peer, lines, got, want)
		}
	}
	f(0, "", "10.0.0.1")
	f(1, "", "10.0.0.1", "X-Forwarded-For: 192.0.2.1")
	f(1, "", "10.0.0.1", "Forwarded: for=192.0.2.1")
	f(1, "", "10.0.0.1", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1") // one request
	f(0, "10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 192.0.2.1")
	f(0, "10.0.0.0/8", "::ffff:10.0.0.1", "X-Forwarded-For: 192.0.2.1")
	f(0, "10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1")
	f(1, "10.0.0.0/8", "172.16.0.1", "X-Forwarded-For: 192.0.2.1")
	f(1, "10.0.0.0/8", "10.0.0.1", "Forwarded: for=192.0.2.1") // nobody reads that one alone
}

func TestRequestsForAnotherHost(t *testing.T) {
	f := func(issuer, host, want string) {
		t.Helper()
		w := newTestWay(t, issuer)
		w.look(arrival("10.0.0.1", "Host: "+host), routeToken)
		got := ""
		if last := w.last.Load(); last != nil {
			got = *last
		}
		if counted := w.otherHost.Get(); got != want || counted != min(uint64(len(want)), 1) {
			t.Errorf("%s asked as %q: counted %d %q, want %q", issuer, host, counted, got, want)
		}
	}
	for _, own := range []string{"auth.example.com", "AUTH.example.com", "auth.example.com:443"} {
		f("https://auth.example.com/base", own, "")
		f("https://auth.example.com:443", own, "")
	}
	f("http://Auth.example.com", "auth.example.com:80", "")
	f("https://auth.example.com:8443", "auth.example.com:8443", "")
	f("https://auth.example.com:8443", "auth.example.com", "auth.example.com")
	f("https://auth.example.com", "auth.example.com:80", "auth.example.com:80")
	f("https://auth.example.com", "oauth2-server", "oauth2-server")
	f("https://auth.example.com", "192.0.2.1:8080", "")
	f("https://auth.example.com", "[2001:db8::1]:8080", "")
	f("https://auth.example.com", "", "") // HTTP/1.0
	f("https://auth.example.com", strings.Repeat("x", 300), strings.Repeat("x", maxHost))
}

func TestProbesDoNotCountAsAnotherWay(t *testing.T) {
	w := newTestWay(t, issuer)
	for _, id := range []routeID{routeHealth, routeReady, routeMetrics, routeEvents} {
		w.look(arrival("10.0.0.1", "Host: pod-7", "X-Forwarded-For: 192.0.2.1"), id)
	}
	if w.otherHost.Get() != 0 || w.unbelieved.Get() != 0 {
		t.Errorf("counted %d and %d", w.otherHost.Get(), w.unbelieved.Get())
	}
}

func TestOtherHostIsTheLastOne(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Trusted = proxy.Trusted{netip.MustParsePrefix("127.0.0.0/8")} })
	if got := s.server.OtherHost(); got != "" {
		t.Errorf("got %q before any request", got)
	}
	for _, host := range []string{"a.example.net", "b.example.net", "auth.example.com"} {
		s.server.serve(arrival("10.0.0.1", "Host: "+host))
	}
	if got := s.server.OtherHost(); got != "b.example.net" {
		t.Errorf("got %q", got)
	}
}

// Failing says what /ready says.
func TestFailingIsWhatReadySays(t *testing.T) {
	s := newSite(t)
	if got := s.server.Failing(); len(got) != 0 {
		t.Errorf("got %q of a ready server", got)
	}
	if s.server.Draining() {
		t.Error("a ready server says that it goes away")
	}
	s.server.Drain()
	if !s.server.Draining() {
		t.Error("a server that goes away does not say so")
	}
	r := s.do(call{method: "GET", path: "/ready"})
	if got := s.server.Failing(); r.status != 503 || len(got) != 1 || got[0] != "process: shutting down" {
		t.Errorf("got %q and %d %s", got, r.status, r.body)
	}
	text := s.do(call{method: "GET", path: "/metrics"}).body
	if !strings.Contains(text, "\noauth2_server_ready 0\n") || !strings.Contains(text, "\noauth2_server_http_connections 1\n") {
		t.Errorf("the metrics are %.3000s", text)
	}
}
