package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	maxHeadBytes = 16 << 10
	maxBodyBytes = 16 << 20
	// restTime is how long a connection rests before it is looked at for having been closed meanwhile.
	restTime = time.Millisecond
)

// conn is one worker's connection to one address: made when it is needed, and again after it was lost.
type conn struct {
	addr    string
	tls     *tls.Config // nil: plain
	timeout time.Duration

	wire   net.Conn // nil: there is none
	socket syscall.RawConn
	in     *bufio.Reader
	unhook func() bool // from the context that interrupts it
	used   time.Time   // when the last answer came
	answer fasthttp.Response
}

// exchange sends a request and reads the answer, which is valid until the
// next. The fault is nil or a fault.
func (c *conn) exchange(ctx context.Context, request []byte) (status int, body []byte, err error) {
	deadline := time.Now().Add(c.timeout)
	if err := c.ready(ctx, deadline); err != nil {
		return 0, nil, whenNotInterrupted(ctx, dialFault(err))
	}
	if err := c.trip(request); err != nil {
		c.drop()
		return 0, nil, whenNotInterrupted(ctx, answerFault(err))
	}
	if c.in.Buffered() > 0 { // nobody asked for more: what follows would be taken for the next answer
		c.drop()
		return 0, nil, Malformed
	}
	if c.answer.ConnectionClose() {
		c.drop()
	}
	return c.answer.StatusCode(), c.answer.Body(), nil
}

func whenNotInterrupted(ctx context.Context, f fault) error {
	if ctx.Err() != nil {
		return interrupted
	}
	return f
}

// trip writes the request and reads the answer.
func (c *conn) trip(request []byte) error {
	if _, err := c.wire.Write(request); err != nil {
		return err
	}
	c.answer.SkipBody = len(request) > 4 && string(request[:5]) == "HEAD " // RFC 9110 §9.3.2
	if err := c.answer.ReadLimitBody(c.in, maxBodyBytes); err != nil {
		return err
	}
	c.used = time.Now()
	return nil
}

// ready sees to it that there is a connection which lasts until the deadline or ctx ends.
func (c *conn) ready(ctx context.Context, deadline time.Time) error {
	if c.wire != nil {
		if err := c.wire.SetDeadline(deadline); err != nil || c.lost() {
			c.drop()
		}
	}
	if c.wire == nil {
		if err := c.dial(ctx, deadline); err != nil {
			return err
		}
	}
	// The hook may have fired before the deadline was set; after this it cannot go unseen.
	return ctx.Err()
}

func (c *conn) dial(ctx context.Context, deadline time.Time) error {
	dialer := net.Dialer{Deadline: deadline}
	plain, err := dialer.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	if c.socket, err = plain.(*net.TCPConn).SyscallConn(); err != nil {
		return err
	}
	c.wire = plain
	c.unhook = context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })
	if err := plain.SetDeadline(deadline); err != nil {
		return err
	}
	if c.tls != nil {
		secure := tls.Client(plain, c.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.drop()
			return err
		}
		c.wire = secure
	}
	if c.in == nil {
		c.in = bufio.NewReaderSize(nil, maxHeadBytes)
	}
	c.in.Reset(c.wire)
	c.used = time.Now()
	return nil
}

// lost looks whether the server closed the connection, or spoke unasked, while it rested: a request sent now would be
// lost through no fault of the server.
func (c *conn) lost() bool {
	if time.Since(c.used) < restTime {
		return false
	}
	lost := true
	_ = c.socket.Read(func(fd uintptr) bool { // an error leaves it lost
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err != nil:
			lost = err != syscall.EAGAIN
		default:
			lost = n == 0 || c.tls == nil // over TLS, bytes may be session tickets
		}
		return true
	})
	return lost
}

// drop closes the connection, if there is one.
func (c *conn) drop() {
	if c.wire == nil {
		return
	}
	c.unhook()
	_ = c.wire.Close()
	c.wire = nil
}
