package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// askOnce sends one request and reports what it was counted under; "" is a good answer.
func askOnce(t *testing.T, timeout time.Duration, shot *Shot) string {
	t.Helper()
	o := mustRun(t, Plan{Sources: times(1, shot), Connections: 1, Duration: time.Minute, Timeout: timeout})
	if o.Total.Requests != 1 || o.Total.Latency.Count()+o.Total.FailLatency.Count() != 1 {
		t.Fatalf("%d requests, %d good and %d bad latencies, want 1 in all", o.Total.Requests, o.Total.Latency.Count(), o.Total.FailLatency.Count())
	}
	for reason := range o.Total.Errors {
		return reason
	}
	return ""
}

func TestAnswersAreRead(t *testing.T) {
	f := func(name, answer string) {
		t.Helper()
		shot := newRawServer(t, once(answer)).shot()
		shot.Judge = func(status int, body []byte) error {
			if status != 200 || string(body) != "ok" {
				return errors.New("wrong answer")
			}
			return nil
		}
		if got := askOnce(t, time.Minute, shot); got != "" {
			t.Errorf("%s is counted as %q, want a good answer", name, got)
		}
	}
	f("content length", good)
	f("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n")
	f("until close", "HTTP/1.1 200 OK\r\n\r\nok")
	f("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok")
	f("connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	f("interim answer", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+good)
	f("long header", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 12_000)+"\r\nContent-Length: 2\r\n\r\nok")
}

func TestFaultsAreCountedByReason(t *testing.T) {
	f := func(want, name, answer string) {
		t.Helper()
		if got := askOnce(t, time.Minute, newRawServer(t, once(answer)).shot()); got != want {
			t.Errorf("%s is counted as %q, want %q", name, got, want)
		}
	}
	f("status 503", "a refusal", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	f("status 302", "a redirection", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
	f("closed", "no answer", "")
	f("closed", "half a status line", "HTTP/1.1 20")
	f("closed", "half a header", "HTTP/1.1 200 OK\r\nContent-Le")
	f("closed", "half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	f("closed", "half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf")
	f("closed", "no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
	f("malformed answer", "another protocol", "-ERR unknown command\r\n\r\n")
	f("malformed answer", "a bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok")
	f("malformed answer", "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!")
	f("malformed answer", "a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n")
	f("malformed answer", "more than one answer", good+good)
	f("malformed answer", "an endless header", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*maxHeadBytes))
	f("answer too large", "an endless body", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
}

func TestSilenceIsTimeout(t *testing.T) {
	f := func(name, beginning string) {
		t.Helper()
		s := newRawServer(t, func(s *rawServer, c net.Conn) {
			once(beginning)(s, c)
			_, _ = io.Copy(io.Discard, c) // until we hang up
		})
		if got := askOnce(t, 50*time.Millisecond, s.shot()); got != "timeout" {
			t.Errorf("%s is counted as %q, want timeout", name, got)
		}
	}
	f("silence", "")
	f("silence within the header", "HTTP/1.1 200 OK\r\n")
	f("silence within the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	f("silence within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf")
}

func TestNobodyThereIsRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shot := &Shot{Addr: listener.Addr().String(), Bytes: []byte("GET / HTTP/1.1\r\n\r\n")}
	listener.Close()
	if got := askOnce(t, time.Minute, shot); got != "refused connection" {
		t.Errorf("counted as %q, want refused connection", got)
	}
	shot.Addr = "127.0.0.1:port"
	if got := askOnce(t, time.Minute, shot); got != "no connection" {
		t.Errorf("an address that cannot be is counted as %q, want no connection", got)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	s := newRawServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"))
	shot := s.shot()
	shot.Bytes = []byte("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
	if got := askOnce(t, 5*time.Second, shot); got != "" {
		t.Errorf("counted as %q, want a good answer", got)
	}
}

func TestConnectionIsKept(t *testing.T) {
	s := newRawServer(t, answering(good))
	o := mustRun(t, Plan{Sources: times(20, s.shot()), Connections: 3, Duration: time.Minute})
	if o.Total.Requests != 60 || o.Total.Failed() != 0 || s.connections.Load() != 3 {
		t.Errorf("%d requests, %v failed, over %d connections; want 60, none, 3", o.Total.Requests, o.Total.Errors, s.connections.Load())
	}
}

func TestConnectionIsMadeAgain(t *testing.T) {
	f := func(name, answer string, failed int64) {
		t.Helper()
		s := newRawServer(t, once(answer))
		o := mustRun(t, Plan{Sources: times(5, s.shot()), Connections: 1, Duration: time.Minute})
		if o.Total.Requests != 5 || o.Total.Failed() != failed || s.connections.Load() != 5 {
			t.Errorf("%s: %d requests, %v failed, over %d connections; want 5, %d, 5", name, o.Total.Requests, o.Total.Errors, s.connections.Load(), failed)
		}
	}
	f("after connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0)
	f("after an answer until close", "HTTP/1.1 200 OK\r\n\r\nok", 0)
	f("after a loss", "", 5)
	f("after nonsense", "nonsense\r\n\r\n", 5)
}

// A server may close a connection that rests, or say something on it first; the next request must not pay for that.
func TestRestingConnectionIsLookedAt(t *testing.T) {
	f := func(name, after string) {
		t.Helper()
		answered, closed := make(chan struct{}), make(chan struct{})
		s := newRawServer(t, func(s *rawServer, c net.Conn) {
			once(good)(s, c)
			<-answered
			_, _ = c.Write([]byte(after)) // the next request finds it
			c.Close()
			closed <- struct{}{}
		})
		asked := 0
		source := func() *Shot {
			if asked++; asked > 1 {
				answered <- struct{}{}
				<-closed
				time.Sleep(2 * restTime) // the rest itself
			}
			if asked > 4 {
				return nil
			}
			return s.shot()
		}
		o := mustRun(t, Plan{Sources: func(int) Source { return source }, Connections: 1, Duration: time.Minute})
		if o.Total.Requests != 4 || o.Total.Failed() != 0 {
			t.Errorf("%s: %d requests, %v failed, want 4 and none", name, o.Total.Requests, o.Total.Errors)
		}
	}
	f("closed", "")
	f("closed with a word", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
}

func TestTLSIsSpoken(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	shot := &Shot{Kind: "tls", Addr: server.Listener.Addr().String(), TLS: true, Bytes: []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")}
	plan := Plan{Sources: times(3, shot), Connections: 2, Duration: time.Minute, TLS: &tls.Config{RootCAs: roots}}
	if o := mustRun(t, plan); o.Total.Requests != 6 || o.Total.Failed() != 0 {
		t.Errorf("%d requests, %v failed, want 6 and none", o.Total.Requests, o.Total.Errors)
	}
	plan.TLS = nil
	plan.Sources = times(1, shot)
	if o := mustRun(t, plan); o.Total.Errors["no connection"] != 2 {
		t.Errorf("an unknown certificate is counted as %v, want no connection", o.Total.Errors)
	}
}

// silent is a connection on which only reading matters.
type silent struct {
	net.Conn
	in *bytes.Reader
}

func (s silent) Write(p []byte) (int, error) { return len(p), nil }
func (s silent) Read(p []byte) (int, error)  { return s.in.Read(p) }

// FuzzAnswer: whatever a server says is an answer with a status, or one of the faults.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		good, good + good, "", "HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n" + good,
		"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "HTTP/1.1 999 X\r\nConnection: close\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		wire := silent{in: bytes.NewReader(answer)}
		c := conn{wire: wire, in: bufio.NewReaderSize(wire, maxHeadBytes)}
		err := c.trip([]byte("GET / HTTP/1.1\r\n\r\n"))
		if err == nil {
			if status := c.answer.StatusCode(); status < 0 || status > 999 || len(c.answer.Body()) > len(answer) {
				t.Fatalf("status %d, %d bytes of %d", status, len(c.answer.Body()), len(answer))
			}
			return
		}
		switch got := answerFault(err); got {
		case Closed, Malformed, TooLarge:
		default:
			t.Fatalf("%v is counted as %q", err, got)
		}
	})
}
