package hotpath

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// Limits bounds what one connection and all of them may take. Zero means the
// default.
type Limits struct {
	Header      int           // bytes of request line and headers; default 16 KiB. Each open connection holds a buffer of this size
	Body        int           // bytes of a request body; default 32 KiB
	BatchBody   int           // bytes of a body for POST /oauth/introspect/batch; default 2 MiB
	Read        time.Duration // from the first byte of a request (of the first request: from the connection) to its last; default 5 s
	Write       time.Duration // for the answer to be taken; default 5 s
	Idle        time.Duration // between two requests; default 75 s, above the 60 s that load balancers keep connections
	Connections int           // open at once; default 10,000; those above get 503
	PerAddress  int           // open at once from one IP address; default 0, no limit: behind a proxy all come from one
}

func (l Limits) withDefaults() Limits {
	l.Header = orDefault(l.Header, 16<<10)
	l.Body = orDefault(l.Body, 32<<10)
	l.BatchBody = orDefault(l.BatchBody, 2<<20)
	l.Read = orDefault(l.Read, 5*time.Second)
	l.Write = orDefault(l.Write, 5*time.Second)
	l.Idle = orDefault(l.Idle, 75*time.Second)
	l.Connections = orDefault(l.Connections, 10_000)
	return l
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return value
}

// batchPath is the one path with a larger body. It is compared with the target
// as sent: another spelling of the path has the smaller limit.
const batchPath = "/oauth/introspect/batch"

// keptBuffer bounds the body buffers a connection keeps for its next request,
// or 10,000 idle ones would hold the largest body each of them ever sent.
const keptBuffer = 64 << 10

// closing is how many connections more than the listener admits the library
// takes: one leaves the listener's count a moment before its worker is free.
const closing = 64

// edge is everything between a socket and the handlers.
type edge struct {
	handler fasthttp.RequestHandler
	limits  Limits
	log     *slog.Logger
	panics  throttle
	events  throttle
	refused func(status int)
}

// newFastServer returns a server that calls handler for good requests only,
// and answers all others itself, in JSON. It calls refused, which may be nil,
// with the status of each request that it answers itself.
func newFastServer(handler fasthttp.RequestHandler, limits Limits, log *slog.Logger, refused func(status int)) *fasthttp.Server {
	if refused == nil {
		refused = func(int) {}
	}
	e := &edge{handler: handler, limits: limits.withDefaults(), log: log, refused: refused}
	fasthttp.SetBodySizePoolLimit(keptBuffer, keptBuffer)
	return &fasthttp.Server{
		Handler:                      e.serve,
		HeaderReceived:               e.headerReceived,
		ErrorHandler:                 e.failed,
		Logger:                       e,
		ReadBufferSize:               e.limits.Header,
		MaxRequestBodySize:           e.limits.Body,
		ReadTimeout:                  e.limits.Read,
		WriteTimeout:                 e.limits.Write,
		IdleTimeout:                  e.limits.Idle,
		MaxConnsPerIP:                e.limits.PerAddress,
		Concurrency:                  e.limits.Connections + closing,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
}

// headerReceived runs the filter when a header has arrived, before a byte of
// the body is read and before 100 Continue is sent. The library lets this hook
// see a request but not answer it, so a refused one is stripped of its body
// and marked as the last of its connection; serve asks the filter again and
// answers.
func (e *edge) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if refuse(h) != nil {
		h.SetContentLength(0)
		h.Del(fasthttp.HeaderExpect)
		h.SetConnectionClose()
		return fasthttp.RequestConfig{}
	}
	limit := e.bodyLimit(h.RequestURI())
	switch n := h.ContentLength(); {
	case n > limit:
		h.Del(fasthttp.HeaderExpect) // 413 at once, without inviting the body first
	case n == -1:
		// The library ends chunk trailers at a bare LF, which we cannot see. A
		// chunked body is the last on its connection, so that no reading of
		// its end can bring forth another request.
		h.SetConnectionClose()
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limit}
}

func (e *edge) bodyLimit(target []byte) int {
	n := len(batchPath)
	if len(target) >= n && string(target[:n]) == batchPath && (len(target) == n || target[n] == '?') {
		return e.limits.BatchBody
	}
	return e.limits.Body
}

// serve calls the handler, or answers what headerReceived marked.
func (e *edge) serve(ctx *fasthttp.RequestCtx) {
	defer e.recovered(ctx)
	if h := &ctx.Request.Header; h.ConnectionClose() {
		if r := refuse(h); r != nil {
			e.answer(ctx, r)
			return
		}
	}
	e.handler(ctx)
}

var refusePanic = newRefusal(fasthttp.StatusInternalServerError, "server_error", "internal error")

// recovered turns a panic of the handler into 500 and a log line. The library
// itself would let it end the process.
func (e *edge) recovered(ctx *fasthttp.RequestCtx) {
	cause := recover()
	if cause == nil {
		return
	}
	if held, ok := e.panics.pass(time.Now()); ok {
		e.log.Error("handler panicked", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()), "unlogged", held)
	}
	ctx.Response.Reset()
	e.answer(ctx, refusePanic)
}

var (
	refuseUnreadable = malformed("request is not readable as HTTP/1.1")
	refuseSlow       = newRefusal(fasthttp.StatusRequestTimeout, "invalid_request", "request did not arrive in time")
	refuseBody       = newRefusal(fasthttp.StatusRequestEntityTooLarge, "invalid_request", "request body is too large")
	refuseHeader     = newRefusal(fasthttp.StatusRequestHeaderFieldsTooLarge, "invalid_request", "request header is too large")
)

// failed answers what the library could not read.
func (e *edge) failed(ctx *fasthttp.RequestCtx, err error) { e.answer(ctx, refusalOf(err)) }

func refusalOf(err error) *refusal {
	if _, ok := errors.AsType[*fasthttp.ErrSmallBuffer](err); ok {
		return refuseHeader
	}
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		return refuseBody
	}
	// The library's error for a broken chunk hides its cause from errors.Is.
	if errors.Is(err, fasthttp.ErrTimeout) || strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error()) {
		return refuseSlow
	}
	return refuseUnreadable
}

// answer writes r and makes it the last answer of its connection.
func (e *edge) answer(ctx *fasthttp.RequestCtx, r *refusal) {
	e.refused(r.status)
	header := &ctx.Response.Header
	header.SetContentType("application/json")
	header.Set(fasthttp.HeaderCacheControl, "no-store")
	if r.status == fasthttp.StatusMethodNotAllowed {
		header.Set(fasthttp.HeaderAllow, allowedMethods)
	}
	ctx.SetStatusCode(r.status)
	ctx.Response.SetBodyRaw(r.body)
	ctx.SetConnectionClose()
	linger(ctx.Conn())
}

// Printf takes the library's own lines. Outsiders cause them, and some carry
// whole requests, credentials included, in spite of SecureErrorLogMessage: of
// the arguments only the other side's address, and what causeOf says, are logged.
func (e *edge) Printf(format string, args ...any) {
	held, ok := e.events.pass(time.Now())
	if !ok {
		return
	}
	event, _, _ := strings.Cut(format, " %")
	about := []any{"event", event, "unlogged", held}
	from := "" // the last address: a line about both sides has it second
	for _, arg := range args {
		switch arg := arg.(type) {
		case net.Addr:
			from = arg.String()
		case error:
			about = append(about, "cause", causeOf(arg))
		}
	}
	if from != "" {
		about = append(about, "from", from)
	}
	e.log.Warn("connection failed", about...)
}

// causeOf says why a connection ended, without a byte of a request: a handshake precedes them, and what the system says holds none.
func causeOf(err error) string {
	system, ok := errors.AsType[*net.OpError](err)
	switch {
	case ok:
		return system.Error()
	case strings.HasPrefix(err.Error(), "tls: "):
		return err.Error()
	case errors.Is(err, io.EOF):
		return "the other side closed it"
	}
	return refusalOf(err).description
}

// throttle lets one line a second pass and counts the others.
type throttle struct {
	mu   sync.Mutex
	next time.Time
	held int
}

// pass reports whether a line may be written now, and how many were not since the last.
func (t *throttle) pass(now time.Time) (held int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.next) {
		t.held++
		return 0, false
	}
	held, t.held = t.held, 0
	t.next = now.Add(time.Second)
	return held, true
}

// edgeListener accepts connections for the server of newFastServer. It sheds
// those above the limit itself, because the library answers them in plain
// text, and it survives a shortage of file descriptors, which the library
// takes as the end of the listener.
type edgeListener struct {
	net.Listener
	limit   int64
	open    atomic.Int64
	plain   bool // no TLS above: an answer can be written
	refused func(status int)
}

// newEdgeListener wraps inner, which must be the TCP listener itself: TLS goes
// above (withTLS says so).
func newEdgeListener(inner net.Listener, limits Limits, withTLS bool, refused func(status int)) *edgeListener {
	if refused == nil {
		refused = func(int) {}
	}
	return &edgeListener{Listener: inner, limit: int64(limits.withDefaults().Connections), plain: !withTLS, refused: refused}
}

// shortage is the pause before accepting again when the system lacks means to.
const shortage = 50 * time.Millisecond

// Accept returns the next connection within the limit.
func (l *edgeListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case isShortage(err):
			time.Sleep(shortage)
		case err != nil:
			return nil, err
		case l.open.Add(1) > l.limit:
			l.open.Add(-1)
			l.shed(conn)
		default:
			return &edgeConn{Conn: conn, open: &l.open}, nil
		}
	}
}

func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

const fullBody = `{"error":"temporarily_unavailable","error_description":"too many connections"}`

var fullAnswer = fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"+
	"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(fullBody), fullBody)

// shed answers 503 without reading. The answer fits the empty send buffer of a
// new connection, so that writing it does not hold up the next.
func (l *edgeListener) shed(conn net.Conn) {
	l.refused(fasthttp.StatusServiceUnavailable)
	if l.plain {
		conn.Write(fullAnswer) //nolint:errcheck // the connection is given up either way
	}
	conn.Close()
}

// edgeConn is a connection that can wait for its last answer to be read.
type edgeConn struct {
	net.Conn
	open    *atomic.Int64
	closed  atomic.Bool
	lingers atomic.Bool
}

// linger makes c wait in Close. Closing a socket that holds unread bytes resets
// it, and a reset may overtake the answer: a client that is still sending its
// body would never see why it was refused (RFC 9112 §9.6).
func linger(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if conn, ok := c.(*edgeConn); ok {
		conn.lingers.Store(true)
	}
}

// What a lingering connection takes before it is closed anyway.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// Close closes the connection, after the other side has when it lingers.
func (c *edgeConn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	defer c.open.Add(-1)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.lingers.Load() {
		if half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			io.CopyN(io.Discard, c.Conn, lingerBytes) //nolint:errcheck // whatever ends it, the connection is closed
		}
	}
	return c.Conn.Close()
}
