package private

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A link is one connection through a [Proxy].
type link struct {
	proxy  *Proxy
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
}

func newLink(up context.Context, p *Proxy) *link {
	ctx, cancel := context.WithCancel(up)
	return &link{p, ctx, cancel}
}

// run connects the client with the target until both have ended, or the link is cut.
func (l *link) run(client net.Conn) {
	defer l.cancel()
	defer client.Close()
	server, err := new(net.Dialer).DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		return // the client sees a connection that ends at once
	}
	defer server.Close()
	context.AfterFunc(l.ctx, func() {
		client.Close()
		server.Close()
	})
	var both sync.WaitGroup
	both.Go(func() { l.forward(server.(*net.TCPConn), client) })
	both.Go(func() { l.forward(client.(*net.TCPConn), server) })
	both.Wait()
}

// A parcel is what one Read brought.
type parcel struct {
	bytes []byte
	err   error // how the stream ended, after the bytes
	due   time.Time
}

// A queue this long holds what is under way on a slow network, and bounds it.
const queueLength = 1024

// forward passes on what src says, and in the end that it ended.
func (l *link) forward(dst *net.TCPConn, src net.Conn) {
	queue := make(chan parcel, queueLength)
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { l.read(queue, src) })
	for {
		p, ok := l.next(queue)
		if !ok {
			return
		}
		if _, err := dst.Write(p.bytes); err != nil {
			l.cancel()
			return
		}
		if errors.Is(p.err, io.EOF) {
			_ = dst.CloseWrite() // it fails if dst is gone, which its own reader sees
			return
		}
		if p.err != nil {
			l.cancel()
			return
		}
	}
}

// read fills the queue until src ends or the link does.
func (l *link) read(queue chan<- parcel, src net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		due := time.Now().Add(time.Duration(l.proxy.delay.Load()))
		select {
		case queue <- parcel{bytes.Clone(buf[:n]), err, due}:
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// next is the next parcel, once it is due and may pass; ok is false when the link has ended.
func (l *link) next(queue <-chan parcel) (p parcel, ok bool) {
	select {
	case p = <-queue:
	case <-l.ctx.Done():
		return p, false
	}
	if wait := time.Until(p.due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
			return p, false
		}
	}
	select {
	case <-l.proxy.gate():
		return p, true
	case <-l.ctx.Done():
		return p, false
	}
}
