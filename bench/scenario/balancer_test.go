package scenario

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A testReplica answers with its name, and counts.
type testReplica struct {
	*httptest.Server
	url     *url.URL
	ready   atomic.Bool
	served  atomic.Int64
	hangUp  atomic.Bool // read requests, and close the connection without an answer
	request atomic.Pointer[http.Request]
}

func newTestReplica(t *testing.T, name string) *testReplica {
	t.Helper()
	r := new(testReplica)
	r.ready.Store(true)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/ready" {
			if !r.ready.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.served.Add(1)
		r.request.Store(request)
		if r.hangUp.Load() {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, name+string(body))
	}))
	t.Cleanup(r.Close)
	var err error
	if r.url, err = url.Parse(r.URL); err != nil {
		t.Fatal(err)
	}
	return r
}

func startBalancer(t *testing.T, replicas ...*testReplica) *balancer {
	t.Helper()
	var urls []*url.URL
	for _, r := range replicas {
		urls = append(urls, r.url)
	}
	b, err := newBalancer(urls, "/ready", 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// post sends a request through the balancer.
func post(t *testing.T, b *balancer) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL.String()+"/oauth/token?x=1", strings.NewReader("!"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("id", "secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func awaitReadiness(t *testing.T, b *balancer, want ...bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		same := true
		for i, to := range b.backends {
			same = same && to.ready.Load() == want[i]
		}
		if same {
			return
		}
	}
	t.Fatalf("the balancer does not see the readiness %v", want)
}

func TestBalancerTakesTurnsAndHandsRequestsOn(t *testing.T) {
	one, two := newTestReplica(t, "one"), newTestReplica(t, "two")
	b := startBalancer(t, one, two)
	for range 10 {
		if status, body := post(t, b); status != http.StatusOK || body != "one!" && body != "two!" {
			t.Errorf("got %d %q", status, body)
		}
	}
	if one.served.Load() != 5 || two.served.Load() != 5 {
		t.Errorf("%d and %d requests, want 5 each", one.served.Load(), two.served.Load())
	}
	got := one.request.Load()
	if id, secret, _ := got.BasicAuth(); got.URL.RequestURI() != "/oauth/token?x=1" || id != "id" || secret != "secret" ||
		got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("the replica got %s %v", got.URL, got.Header)
	}
}

func TestBalancerFollowsReadiness(t *testing.T) {
	one, two := newTestReplica(t, "one"), newTestReplica(t, "two")
	b := startBalancer(t, one, two)
	one.ready.Store(false)
	awaitReadiness(t, b, false, true)
	for range 5 {
		if _, body := post(t, b); body != "two!" {
			t.Errorf("got %q, want the one that is ready", body)
		}
	}
	two.ready.Store(false)
	awaitReadiness(t, b, false, false)
	if status, _ := post(t, b); status != http.StatusBadGateway {
		t.Errorf("got %d with no replica", status)
	}
	one.ready.Store(true)
	awaitReadiness(t, b, true, false)
	if _, body := post(t, b); body != "one!" {
		t.Errorf("got %q, want the one that is ready again", body)
	}
}

func TestBalancerRepeatsWhatWasNeverSent(t *testing.T) {
	live := newTestReplica(t, "live")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := startBalancer(t, live)
	nobody := &backend{url: &url.URL{Scheme: "http", Host: gone.Addr().String()}}
	gone.Close()
	nobody.ready.Store(true) // it died since it was asked
	b.backends = append(b.backends, nobody)
	for range 4 {
		if status, body := post(t, b); status != http.StatusOK || body != "live!" {
			t.Errorf("got %d %q", status, body)
		}
	}
	if nobody.ready.Load() {
		t.Error("a replica that is not there is still taken to be ready")
	}
}

func TestBalancerNeverRepeatsWhatWasSent(t *testing.T) {
	one, two := newTestReplica(t, "one"), newTestReplica(t, "two")
	b := startBalancer(t, one, two)
	one.hangUp.Store(true)
	two.hangUp.Store(true)
	for i := range int64(4) {
		if status, _ := post(t, b); status != http.StatusBadGateway {
			t.Errorf("got %d", status)
		}
		if got := one.served.Load() + two.served.Load(); got != i+1 {
			t.Fatalf("%d requests reached replicas after %d were made", got, i+1)
		}
	}
}
