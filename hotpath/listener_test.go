package hotpath

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestContinueIsSentForGoodRequestsOnly(t *testing.T) {
	s := startEdge(t, Limits{Body: 10})
	request := func(length int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\n%sExpect: 100-Continue\r\nContent-Length: %d\r\n\r\n", host, length)
	}
	conn := s.dial(t)
	r := bufio.NewReader(conn)
	send(t, conn, request(3))
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v, want 100 Continue", line, err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("got %q, %v, want an empty line", line, err)
	}
	send(t, conn, "a=b")
	if got := receive(t, r, "POST").body; got != "/ 3" {
		t.Errorf("got %q", got)
	}
	send(t, conn, request(11)) // too large: 413 in place of 100
	wantRefusal(t, receive(t, r, "POST"), 413)
	wantClosed(t, r)
}

func TestLimitsHaveTheirOwnStatus(t *testing.T) {
	s := startEdge(t, Limits{})
	post := func(path string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", path, host, length, strings.Repeat("a", length))
	}
	cases := []struct {
		name   string
		raw    string
		status int
	}{
		{"header", "GET / HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 20<<10) + "\r\n\r\n", 431},
		{"many headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 4000) + "\r\n", 431},
		{"target", "GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431},
		{"endless request line", "GET /" + strings.Repeat("a", 40<<10), 431},
		{"trailer", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: " + strings.Repeat("a", 20<<10) + "\r\n\r\n", 431},
		{"body", post("/", 32<<10+1), 413},
		{"large body", post("/", 8<<20), 413},
		{"announced body", "POST / HTTP/1.1\r\n" + host + "Content-Length: 999999999999999999\r\n\r\n", 413},
		{"chunked body", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n8001\r\n" + strings.Repeat("a", 0x8001) + "\r\n0\r\n\r\n", 413},
		{"chunks", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\na\r\n", 0x8001) + "0\r\n\r\n", 413},
		{"batch body", post(batchPath, 2<<20+1), 413},
		{"batch path spelt otherwise", post("/oauth/introspect/./batch", 32<<10+1), 413},
		{"path behind the batch path", post(batchPath+"x", 32<<10+1), 413},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial(t)
			go func() {
				io.WriteString(conn, c.raw) //nolint:errcheck // the server may stop reading
				conn.CloseWrite()           //nolint:errcheck // nor need it be open any more
			}()
			wantRefusal(t, receive(t, bufio.NewReader(conn), "POST"), c.status)
		})
	}
	if got := s.handled.all(); len(got) > 0 {
		t.Errorf("the handler served %q, want nothing", got)
	}
	for _, raw := range []string{post("/", 32<<10), post(batchPath, 2<<20), post(batchPath+"?a=b", 33<<10)} {
		conn := s.dial(t)
		go io.WriteString(conn, raw) //nolint:errcheck // seen by the reader
		if a := receive(t, bufio.NewReader(conn), "POST"); a.StatusCode != 200 {
			t.Errorf("a body within its limit: got %d", a.StatusCode)
		}
	}
}

func TestTwentyThousandParametersAreRefused(t *testing.T) {
	s := startEdge(t, Limits{Body: 1 << 20})
	body := strings.Repeat("a=b&", 20_000)
	body2 := new(strings.Builder)
	for i := range 20_000 {
		fmt.Fprintf(body2, "p%d=v&", i)
	}
	for _, body := range []string{body, body2.String()} {
		conn := s.dial(t)
		send(t, conn, fmt.Sprintf("POST /parse HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", host, len(body), body))
		if a := receive(t, bufio.NewReader(conn), "POST"); a.StatusCode != 400 {
			t.Errorf("got %d, want 400", a.StatusCode)
		}
	}
}

func TestSlowAndSilentConnectionsAreClosed(t *testing.T) {
	s := startEdge(t, Limits{Read: 100 * time.Millisecond, Idle: 100 * time.Millisecond})
	for name, opening := range map[string]string{
		"silent":            "",
		"half a line":       "GET / HT",
		"half a header":     "GET / HTTP/1.1\r\nHost: exa",
		"half a body":       "POST / HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\na=",
		"half a chunk":      "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\na=",
		"half a chunk size": "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5",
		"no trailer":        "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n",
		"half a trailer":    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := s.dial(t)
			send(t, conn, opening)
			r := bufio.NewReader(conn)
			wantRefusal(t, receive(t, r, "POST"), 408)
			wantClosed(t, r)
		})
	}
	t.Run("dribble", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(t)
		send(t, conn, "GET / HTTP/1.1\r\n"+host+"X-A: ")
		answer := make(chan answered, 1)
		go func() {
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				close(answer)
				return
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			answer <- answered{response, string(body)}
		}()
		tick := time.NewTicker(5 * time.Millisecond) // each byte well within the limit
		defer tick.Stop()
		for {
			select {
			case a, ok := <-answer:
				if !ok {
					t.Fatal("closed without an answer")
				}
				wantRefusal(t, a, 408)
				return
			case <-tick.C:
				io.WriteString(conn, "a") //nolint:errcheck // refused at the end
			}
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(t)
		send(t, conn, "GET / HTTP/1.1\r\n"+host+"\r\n")
		r := bufio.NewReader(conn)
		receive(t, r, "GET")
		wantClosed(t, r) // without a word: nothing was asked
	})
}

func TestHalfClosedConnectionGetsItsAnswer(t *testing.T) {
	s := startEdge(t, Limits{})
	for raw, status := range map[string]int{
		"GET / HTTP/1.1\r\n" + host + "\r\n":                           200,
		"GET / HTTP/1.1\r\n" + host:                                    400,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\na=b": 400,
	} {
		conn := s.dial(t)
		send(t, conn, raw)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if a := receive(t, r, "POST"); a.StatusCode != status {
			t.Errorf("%q: got %d, want %d", raw, a.StatusCode, status)
		}
		wantClosed(t, r)
	}
	conn := s.dial(t)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn)
}

func TestPanicIsAnsweredLoggedOnceAndEndsItsConnectionOnly(t *testing.T) {
	s := startEdge(t, Limits{})
	for range 2 {
		conn := s.dial(t)
		send(t, conn, "GET /panic HTTP/1.1\r\n"+host+"\r\nGET /behind HTTP/1.1\r\n"+host+"\r\n")
		r := bufio.NewReader(conn)
		a := receive(t, r, "GET")
		wantRefusal(t, a, 500)
		if a.Header.Get("X-Half-Done") != "" {
			t.Error("the answer holds what the handler had begun")
		}
		wantClosed(t, r)
	}
	log := s.logged.String()
	if !strings.Contains(log, "on purpose") || !strings.Contains(log, "edge_test.go") {
		t.Errorf("log %q lacks the cause or the stack", log)
	}
}

// The library puts parts of requests into its log lines.
func TestLogHoldsNothingOfARequest(t *testing.T) {
	s := startEdge(t, Limits{})
	for _, raw := range []string{
		"GET /?token=s3cret\r\n\r\n",
		"GET ?token=s3cret HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "Authorization: s3cret\x01\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "s3cret\r\n\r\n",
	} {
		conn := s.dial(t)
		send(t, conn, raw)
		r := bufio.NewReader(conn)
		a := receive(t, r, "GET")
		wantRefusal(t, a, 400)
		wantClosed(t, r)
		if strings.Contains(a.body, "s3cret") {
			t.Errorf("%q: the answer holds the secret: %s", raw, a.body)
		}
	}
	log := s.logged.String()
	if strings.Contains(log, "s3cret") {
		t.Errorf("the log holds the secret: %s", log)
	}
	for _, part := range []string{"connection failed", `cause="request is not readable as HTTP/1.1"`, "from=127.0.0.1:"} {
		if !strings.Contains(log, part) {
			t.Errorf("log %q lacks %s", log, part)
		}
	}
}

// What the system and crypto/tls say is told in their words, and what was read in none of its own.
func TestCausesOfFailedConnections(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection timed out")}
	for _, test := range []struct {
		err  error
		want string
	}{
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "tls: first record does not look like a TLS handshake"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, "remote error: tls: bad certificate"},
		{fmt.Errorf("in %q: %w", "s3cret", reset), "read tcp: connection timed out"},
		{fmt.Errorf("in %q: %w", "s3cret", io.EOF), "the other side closed it"},
		{errors.New("s3cret tls: "), refuseUnreadable.description},
		{fasthttp.ErrBodyTooLarge, refuseBody.description},
	} {
		if got := causeOf(test.err); got != test.want {
			t.Errorf("%v: got %q, want %q", test.err, got, test.want)
		}
	}
}

func TestThrottlePassesOneASecondWithACount(t *testing.T) {
	var q throttle
	start := time.Unix(1000, 0)
	f := func(after time.Duration, wantHeld int, wantOK bool) {
		t.Helper()
		if held, ok := q.pass(start.Add(after)); held != wantHeld || ok != wantOK {
			t.Errorf("after %v: got %d, %v, want %d, %v", after, held, ok, wantHeld, wantOK)
		}
	}
	f(0, 0, true)
	f(time.Millisecond, 0, false)
	f(999*time.Millisecond, 0, false)
	f(time.Second, 2, true)
	f(3*time.Second, 0, true)
}

func TestConnectionsAboveTheLimitGet503(t *testing.T) {
	s := startEdge(t, Limits{Connections: 1})
	first := s.dial(t)
	send(t, first, "GET /first HTTP/1.1\r\n"+host+"\r\n")
	receive(t, bufio.NewReader(first), "GET") // it has its place now

	second := s.dial(t)
	a := receive(t, bufio.NewReader(second), "GET")
	wantRefusal(t, a, 503)
	if a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if got := <-s.refused; got != 503 {
		t.Errorf("counted %d, want 503", got)
	}

	first.Close()
	for { // the place is free as soon as the server has seen the end of the first
		third := s.dial(t)
		if _, err := io.WriteString(third, "GET /third HTTP/1.1\r\n"+host+"\r\n"); err != nil {
			continue
		}
		response, err := http.ReadResponse(bufio.NewReader(third), nil)
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == 200 {
			return
		}
	}
}

// shortListener lacks file descriptors once.
type shortListener struct {
	net.Listener
	short bool
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.short {
		l.short = false
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	client, server := net.Pipe()
	client.Close()
	return server, nil
}

func TestAcceptSurvivesAShortageOfDescriptors(t *testing.T) {
	l := newEdgeListener(&shortListener{short: true}, Limits{}, false, nil)
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("got %v, want a connection", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: got %v, want net.ErrClosed", err)
	}
	if got := l.open.Load(); got != 0 {
		t.Errorf("%d connections open, want 0", got)
	}
}

// A client that is still sending when it is refused reads the answer, and not a reset.
func TestRefusalIsReadBySenderOfLargeBody(t *testing.T) {
	s := startEdge(t, Limits{})
	for range 20 {
		conn := s.dial(t)
		send(t, conn, fmt.Sprintf("POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", host, 512<<10))
		send(t, conn, strings.Repeat("a", 512<<10)) // fails if the server resets
		r := bufio.NewReader(conn)
		wantRefusal(t, receive(t, r, "POST"), 413)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, r)
	}
}

func TestTLSRefusesAndLingersAlike(t *testing.T) {
	donor := httptest.NewTLSServer(nil) // of a certificate
	defer donor.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := make(chan bool, 1)
	server := newFastServer(func(ctx *fasthttp.RequestCtx) { secure <- ctx.IsTLS() }, Limits{}, slog.New(slog.DiscardHandler), nil)
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(tls.NewListener(newEdgeListener(inner, Limits{}, true, nil), donor.TLS))
	}()
	conn, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{RootCAs: donor.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	send(t, conn, "GET / HTTP/1.1\r\n"+host+"\r\n")
	if a := receive(t, r, "GET"); a.StatusCode != 200 || !<-secure {
		t.Errorf("got %d, want 200 from a handler that knows of TLS", a.StatusCode)
	}
	send(t, conn, fmt.Sprintf("POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", host, 512<<10, strings.Repeat("a", 512<<10)))
	wantRefusal(t, receive(t, r, "POST"), 413)
	wantClosed(t, r)
	conn.Close()
	if err := server.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
