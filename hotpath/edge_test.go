package hotpath

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// edgeServer is a server of its own whose handler answers what it was asked.
type edgeServer struct {
	addr    string
	handled *requestLog
	refused chan int
	logged  *lockedBuffer
}

// requestLog remembers which requests reached the handler.
type requestLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *requestLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *requestLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func startEdge(t *testing.T, limits Limits) *edgeServer {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &edgeServer{addr: inner.Addr().String(), handled: &requestLog{}, refused: make(chan int, 1000), logged: &lockedBuffer{}}
	handler := func(ctx *fasthttp.RequestCtx) {
		s.handled.add(string(ctx.Method()) + " " + string(ctx.Path()))
		switch string(ctx.Path()) {
		case "/panic":
			ctx.Response.Header.Set("X-Half-Done", "yes")
			panic("BUG: on purpose")
		case "/parse":
			var f form
			if err := f.parse(ctx.PostBody()); err != nil {
				ctx.Error(err.Error(), fasthttp.StatusBadRequest)
				return
			}
		}
		fmt.Fprintf(ctx, "%s %d", ctx.RequestURI(), len(ctx.PostBody()))
	}
	refused := func(status int) { s.refused <- status }
	server := newFastServer(handler, limits, slog.New(slog.NewTextHandler(s.logged, nil)), refused)
	served := make(chan error, 1)
	go func() { served <- server.Serve(newEdgeListener(inner, limits, false, refused)) }()
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// patience bounds a test that went wrong; none that goes right waits for it.
const patience = 20 * time.Second

func (s *edgeServer) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// answered is one response read off a connection.
type answered struct {
	*http.Response
	body string
}

func receive(t *testing.T, r *bufio.Reader, method string) answered {
	t.Helper()
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	return answered{response, string(body)}
}

// wantClosed reads to the end of the connection and wants nothing there: no
// answer to a smuggled request, and no reset that might have eaten the answer.
func wantClosed(t *testing.T, r io.Reader) {
	t.Helper()
	rest, err := io.ReadAll(r)
	if err != nil || len(rest) > 0 {
		t.Errorf("behind the answer: got %q, %v, want the end of the connection", rest, err)
	}
}

// wantRefusal wants an error object that nobody may cache, and the last answer.
func wantRefusal(t *testing.T, a answered, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("got status %d, want %d; body %s", a.StatusCode, status, a.body)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got Content-Type %q, want application/json", got)
	}
	if !a.Close {
		t.Error("the answer does not say Connection: close")
	}
	var object struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &object); err != nil || object.Error == "" || object.Description == "" {
		t.Errorf("body %q is no error object: %v", a.body, err)
	}
}

const host = "Host: example.com\r\n"

// Each request is followed by a second one. Neither the first nor the second
// may reach the handler.
func TestAmbiguousRequestIsRefusedAndNothingBehindItServed(t *testing.T) {
	s := startEdge(t, Limits{})
	const second = "GET /smuggled HTTP/1.1\r\n" + host + "\r\n"
	cases := []struct {
		name   string
		raw    string
		status int
	}{
		{"length and chunked", "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked and length", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
		{"length of the first chunk", "POST / HTTP/1.1\r\n" + host + "Content-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"length zero and chunked", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		{"two equal lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\ncontent-length: 1\r\n\r\na", 400},
		{"list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\na", 400},
		{"length with plus", "POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\na", 400},
		{"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\na", 400},
		{"hexadecimal length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0x1\r\n\r\na", 400},
		{"empty length", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400},
		{"length overflows 64 bits", "POST / HTTP/1.1\r\n" + host + "Content-Length: 18446744073709551617\r\n\r\na", 400},
		{"length on GET with chunked", "GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},

		{"chunked on 1.0", "POST / HTTP/1.0\r\n" + host + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"identity", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", 400},
		{"identity and length", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na", 400},
		{"gzip, chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked twice in a line", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked twice", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"identity then chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"xchunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
		{"quoted chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
		{"vertical tab before chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
		{"space before the colon of chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"tab before the colon of length", "POST / HTTP/1.1\r\n" + host + "Content-Length\t: 1\r\n\r\na", 400},

		{"folded value", "GET / HTTP/1.1\r\n" + host + "X-A: a\r\n b\r\n\r\n", 400},
		{"folded with a tab", "GET / HTTP/1.1\r\n" + host + "X-A: a\r\n\tb\r\n\r\n", 400},
		{"folded chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
		{"first line folded", "GET / HTTP/1.1\r\n X-A: a\r\n" + host + "\r\n", 400},
		{"space in a name", "GET / HTTP/1.1\r\n" + host + "X A: a\r\n\r\n", 400},
		{"line without colon", "GET / HTTP/1.1\r\n" + host + "X-A\r\n\r\n", 400},
		{"line without name", "GET / HTTP/1.1\r\n" + host + ": a\r\n\r\n", 400},
		{"control in a name", "GET / HTTP/1.1\r\n" + host + "X\x01A: a\r\n\r\n", 400},
		{"letter beyond ASCII in a name", "GET / HTTP/1.1\r\n" + host + "X-Ä: a\r\n\r\n", 400},
		{"NUL in a value", "GET / HTTP/1.1\r\n" + host + "X-A: a\x00b\r\n\r\n", 400},
		{"DEL in a value", "GET / HTTP/1.1\r\n" + host + "X-A: a\x7fb\r\n\r\n", 400},
		{"bare CR in a value", "GET / HTTP/1.1\r\n" + host + "X-A: a\rTransfer-Encoding: chunked\r\n\r\n", 400},
		{"CR CR LF", "GET / HTTP/1.1\r\n" + host + "X-A: a\r\r\n\r\n", 400},
		{"bare LF behind a header", "GET / HTTP/1.1\r\n" + host + "X-A: a\nX-B: b\r\n\r\n", 400},
		{"bare LF ends the header", "GET / HTTP/1.1\r\n" + host + "X-A: a\n\n", 400},
		{"bare LF as the empty line", "GET / HTTP/1.1\r\n" + host + "X-A: a\r\n\n", 400},

		{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", 405},
		{"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n" + host + "\r\n", 405},
		{"PUT with a body", "PUT / HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\na", 405},
		{"PUT before its body has come", "PUT / HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\n", 405},
		{"chunked PUT before its body has come", "PUT / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1000\r\n", 405},
		{"unknown method", "BREW / HTTP/1.1\r\n" + host + "\r\n", 405},
		{"method in lower case", "get / HTTP/1.1\r\n" + host + "\r\n", 405},
		{"method is no token", "G@T / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", 400},
		{"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 400},
		{"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 400},
		{"HTTP/0.9 without a version", "GET /\r\n" + host + "\r\n", 400},
		{"http/1.1", "GET / http/1.1\r\n" + host + "\r\n", 400},
		{"HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n", 400},
		{"space behind the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
		{"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},

		{"no host", "GET / HTTP/1.1\r\nX-A: a\r\n\r\n", 400},
		{"no header", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\n" + host + "Host: example.org\r\n\r\n", 400},
		{"two equal hosts", "GET / HTTP/1.1\r\n" + host + "hOsT: example.com\r\n\r\n", 400},
		{"two hosts on 1.0", "GET / HTTP/1.0\r\n" + host + host + "Connection: keep-alive\r\n\r\n", 400},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"empty host on 1.0", "GET / HTTP/1.0\r\nHost: \r\nConnection: keep-alive\r\n\r\n", 400},
		{"host with a path", "GET / HTTP/1.1\r\nHost: example.com/a\r\n\r\n", 400},
		{"host with user", "GET / HTTP/1.1\r\nHost: me@example.com\r\n\r\n", 400},
		{"list of hosts", "GET / HTTP/1.1\r\nHost: example.com, example.org\r\n\r\n", 400},
		{"host with a bad port", "GET / HTTP/1.1\r\nHost: example.com:http\r\n\r\n", 400},
		{"host with a port too large", "GET / HTTP/1.1\r\nHost: example.com:65536\r\n\r\n", 400},
		{"host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		{"host beyond ASCII", "GET / HTTP/1.1\r\nHost: exämple.com\r\n\r\n", 400},

		{"other host in the absolute form", "GET http://example.org/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"user in the absolute form", "GET http://me@example.com/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"longer host in the absolute form", "GET http://example.com.evil/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"other scheme", "GET ftp://example.com/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"authority form", "GET example.com:80 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 400},
		{"fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"two leading slashes", "GET //example.org/a HTTP/1.1\r\n" + host + "\r\n", 400},
		{"host hidden behind two slashes", "GET //example.org/a://b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"byte beyond ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"control in the target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", 400},

		{"two authorizations", "GET / HTTP/1.1\r\n" + host + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400},
		{"two content types", "POST / HTTP/1.1\r\n" + host + "Content-Type: a/b\r\nContent-Type: a/c\r\nContent-Length: 0\r\n\r\n", 400},
		{"other expectation", "POST / HTTP/1.1\r\n" + host + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417},
		{"two expectations", "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", 400},
		{"bad request that expects 100", "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400},

		{"chunk size with a sign", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400},
		{"chunk size overflows", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n", 400},
		{"chunk without its end", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
		{"LF in a chunk extension", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n", 400},
		{"bare LF behind a chunk size", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
		{"length in the trailer", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", 400},

		{"garbage", "\x00\xff\xfe\x01garbage\r\n\r\n", 400},
		{"TLS hello", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 400},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial(t)
			send(t, conn, c.raw+second)
			r := bufio.NewReader(conn)
			a := receive(t, r, "GET")
			wantRefusal(t, a, c.status)
			if a.StatusCode == 405 && a.Header.Get("Allow") != allowedMethods {
				t.Errorf("got Allow %q, want %q (RFC 9110 §15.5.6)", a.Header.Get("Allow"), allowedMethods)
			}
			wantClosed(t, r)
			if got := <-s.refused; got != c.status {
				t.Errorf("counted %d, want %d", got, c.status)
			}
		})
	}
	if got := s.handled.all(); len(got) > 0 {
		t.Errorf("the handler served %q, want nothing", got)
	}
}

// The library refuses some of these itself, today: the filter must not need it.
func TestFilterAloneNamesTheFault(t *testing.T) {
	f := func(lines string, http10 bool, want *refusal) {
		t.Helper()
		f := fields{http10: http10}
		got := f.read([]byte(lines))
		if got != want {
			t.Errorf("%q: got %v, want %v", lines, got, want)
		}
	}
	f(host+"\r\n", false, nil)
	f("", true, nil)
	f("\r\n", true, nil)
	f("X-A: a\r\n\r\n", true, nil)
	f(host+"Content-Length: 00000000000000000\r\n\r\n", false, nil)
	f("", false, refuseLineEnd)
	f("\r\n", false, refuseNoHost)
	f(host, false, refuseLineEnd)
	f("X-A: a\r\n", true, refuseLineEnd)
	f(host+"\r\n\r\n", false, refuseLineEnd)
	f(host+"X-A: a\nX-B: b\r\n\r\n", false, refuseLineEnd)
	f("Host: a\n\r\n", false, refuseLineEnd)
	f("\n", true, refuseLineEnd)
	f(host+"X-A: a\r\r\n\r\n", false, refuseValue)
	f(host+"X-A: a\x00\r\n\r\n", false, refuseValue)
	f(host+"X-A: a\x7f\r\n\r\n", false, refuseValue)
	f(host+" X-A: a\r\n\r\n", false, refuseFold)
	f(host+"\tX-A: a\r\n\r\n", false, refuseFold)
	f(host+"X-A : a\r\n\r\n", false, refuseName)
	f(host+"X-A\r\n\r\n", false, refuseName)
	f(host+": a\r\n\r\n", false, refuseName)
	f(host+host+"\r\n", false, refuseRepeated)
	f(host+"Content-Length: 1\r\nContent-LENGTH: 1\r\n\r\n", false, refuseRepeated)
	f(host+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false, refuseRepeated)
	f(host+"Authorization: a\r\nAuthorization: a\r\n\r\n", false, refuseRepeated)
	f(host+"Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", false, refuseRepeated)
	f(host+"Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", false, refuseRepeated)
	f(host+"Expect: x\r\n\r\n", false, refuseExpect)
	f(host+"Content-Length: +1\r\n\r\n", false, refuseLength)
	f(host+"Content-Length: \r\n\r\n", false, refuseLength)
	f(host+"Content-Length: 1000000000000000000\r\n\r\n", false, refuseLength)
	f(host+"Transfer-Encoding: chunked, chunked\r\n\r\n", false, refuseEncoding)
	f(host+"Transfer-Encoding: identity\r\n\r\n", false, refuseEncoding)
	f(host+"Transfer-Encoding: chunked\r\n\r\n", true, refuseEncoding)
	f(host+"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", false, refuseAmbiguous)
	f("Host:\r\n\r\n", false, refuseHost)
	f("Host: \r\n\r\n", true, refuseHost)
}

func TestTargetIsPathOrOwnURL(t *testing.T) {
	f := func(target, host string, want *refusal) {
		t.Helper()
		if got := checkTarget([]byte(target), []byte(host)); got != want {
			t.Errorf("%q of %q: got %v, want %v", target, host, got, want)
		}
	}
	f("/", "", nil)
	f("/a/b?c=//d", "a", nil)
	f("http://A:1/b", "a:1", nil)
	f("https://a/", "a", nil)
	f("http:///b", "", refuseTarget)
	f("http://a", "a", refuseTarget)
	f("http://a?b", "a", refuseTarget)
	f("http://a//b", "a", refuseTarget)
	f("http://ab/", "a", refuseTarget)
	f("http://a:1/", "a", refuseTarget)
	f("//a", "a", refuseTarget)
	f("*", "a", refuseTarget)
	f("a", "a", refuseTarget)
	f("/#", "a", refuseTarget)
	f("/\x7f", "a", refuseTarget)
	f("/\x80", "a", refuseTarget)
	f("/ ", "a", refuseTarget)
}

func TestGoodRequestIsServedAndTheConnectionKept(t *testing.T) {
	s := startEdge(t, Limits{})
	cases := []struct {
		name, raw, body string
	}{
		{"wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", "/ 0"},
		{"curl", "POST /a?b=c HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Basic YTpi\r\nUser-Agent: curl/8\r\nAccept: */*\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b", "/a?b=c 3"},
		{"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "/ 0"},
		{"IPv6 without a port", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "/ 0"},
		{"absolute form", "GET http://EXAMPLE.com/a HTTP/1.1\r\n" + host + "\r\n", "http://EXAMPLE.com/a 0"},
		{"repeated field that may be", "GET / HTTP/1.1\r\n" + host + "Accept: a/b\r\nAccept: a/c\r\nX-A: \xe4\tb\r\n\r\n", "/ 0"},
		{"blanks around values", "POST / HTTP/1.1\r\nHost:\t example.com \r\nContent-Length:  1\t\r\n\r\na", "/ 1"},
		{"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/ 0"},
		{"OPTIONS", "OPTIONS /a HTTP/1.1\r\n" + host + "\r\n", "/a 0"},
		{"empty line before", "\r\nGET / HTTP/1.1\r\n" + host + "\r\n", "/ 0"},
	}
	conn := s.dial(t)
	r := bufio.NewReader(conn)
	for _, c := range cases {
		send(t, conn, c.raw)
		a := receive(t, r, "GET")
		if a.StatusCode != 200 || a.body != c.body || a.Close {
			t.Errorf("%s: got %d %q, close %v; want 200 %q on a connection that is kept", c.name, a.StatusCode, a.body, a.Close, c.body)
		}
	}
	if got := len(s.handled.all()); got != len(cases) {
		t.Errorf("served %d requests, want %d", got, len(cases))
	}
}

func TestPipelinedAnswersComeInOrder(t *testing.T) {
	s := startEdge(t, Limits{})
	conn := s.dial(t)
	const n = 500
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", i, host, i, strings.Repeat("a", i))
	}
	all.WriteString("TRACE / HTTP/1.1\r\n" + host + "\r\nGET /behind HTTP/1.1\r\n" + host + "\r\n")
	go io.WriteString(conn, all.String()) //nolint:errcheck // seen by the reader
	r := bufio.NewReader(conn)
	for i := range n {
		if got, want := receive(t, r, "POST").body, fmt.Sprintf("/%d %d", i, i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	wantRefusal(t, receive(t, r, "GET"), 405)
	wantClosed(t, r)
	if got := len(s.handled.all()); got != n {
		t.Errorf("served %d requests, want %d", got, n)
	}
}

// Whatever the library takes for the end of the trailers, nothing behind it is served.
func TestChunkedBodyIsTheLastOfItsConnection(t *testing.T) {
	s := startEdge(t, Limits{})
	const head = "POST /first HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"
	for _, body := range []string{
		"3\r\na=b\r\n0\r\n\r\n",
		"3;x=y\r\na=b\r\n0\r\n\r\n",
		"3\r\na=b\r\n0\r\nX-A: b\r\n\r\n",
		"3\r\na=b\r\n0\r\n\n",
		"3\r\na=b\r\n0\r\nX-A: b\n\n",
	} {
		conn := s.dial(t)
		send(t, conn, head+body+"GET /smuggled HTTP/1.1\r\n"+host+"\r\n")
		r := bufio.NewReader(conn)
		a := receive(t, r, "POST")
		if a.StatusCode == 200 && a.body != "/first 3" {
			t.Errorf("%q: got %q, want the first request's answer", body, a.body)
		}
		if !a.Close {
			t.Errorf("%q: the answer does not say Connection: close", body)
		}
		wantClosed(t, r)
	}
	handled := s.handled.all()
	if len(handled) == 0 {
		t.Error("no chunked request was served")
	}
	for _, line := range handled {
		if line != "POST /first" {
			t.Errorf("served %q", line)
		}
	}
}

func TestRequestLineMayEndInBareLF(t *testing.T) {
	// The library keeps no request line to look at, and RFC 9112 §2.2 allows
	// this: what matters is that it is one request to everybody.
	s := startEdge(t, Limits{})
	conn := s.dial(t)
	send(t, conn, "GET /one HTTP/1.1\n"+host+"\r\n")
	if got := receive(t, bufio.NewReader(conn), "GET").body; got != "/one 0" {
		t.Errorf("got %q", got)
	}
}

// FuzzRefuse wants no panic, and no request passed that net/http refuses or
// frames in another way: a reader that differs from ours could be in front of us.
func FuzzRefuse(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx"))
	f.Add([]byte("POST http://a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.0\r\nX: \xff\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: [::1]\r\nX: a\r\n b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h fasthttp.RequestHeader
		if h.Read(bufio.NewReaderSize(bytes.NewReader(raw), 16<<10)) != nil || refuse(&h) != nil {
			return
		}
		for len(raw) > 0 && (raw[0] == '\r' || raw[0] == '\n') { // empty lines before: RFC 9112 §2.2
			raw = raw[1:]
		}
		other, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			if _, errTarget := url.ParseRequestURI(string(h.RequestURI())); errTarget != nil {
				return // net/url is stricter with targets, which frame nothing
			}
			t.Fatalf("%q passes, net/http says %v", raw, err)
		}
		wantLength := max(int64(h.ContentLength()), -1)
		if h.ContentLength() == -2 {
			wantLength = 0
		}
		if other.ContentLength != wantLength {
			t.Errorf("%q: length %d here, %d in net/http", raw, h.ContentLength(), other.ContentLength)
		}
		if string(h.Host()) != other.Host {
			t.Errorf("%q: host %q here, %q in net/http", raw, h.Host(), other.Host)
		}
	})
}

func BenchmarkRefuse(b *testing.B) {
	for name, raw := range map[string]string{
		"wrk":  "GET /health HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
		"curl": "POST /oauth/introspect HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Basic ZGVtbzpzZWNyZXQtb2YtdGhlLWRlbW8tY2xpZW50LTAxMjM0NTY3ODk=\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Length: 62\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			var h fasthttp.RequestHeader
			if err := h.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if refuse(&h) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
