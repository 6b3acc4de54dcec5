package private

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy is a network between a client and a server: it forwards TCP
// connections, and can delay, block and cut them.
type Proxy struct {
	target   string
	addr     string
	delay    atomic.Int64 // nanoseconds
	accepted atomic.Int64
	work     sync.WaitGroup // everything that runs

	mu       sync.Mutex
	listener net.Listener       // nil while cut
	pass     chan struct{}      // closed while bytes may pass
	cut      context.CancelFunc // ends the connections
}

// StartProxy forwards what connects to its address to target, a host:port.
func StartProxy(target string) (*Proxy, error) {
	l, err := listen()
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{target: target, addr: l.Addr().String(), pass: make(chan struct{})}
	close(p.pass)
	p.serve(l)
	return p, nil
}

// Addr is the host:port to connect to; it stays the same.
func (p *Proxy) Addr() string { return p.addr }

// Accepted is how many connections were ever made to the proxy.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// SetDelay makes bytes that come from now on arrive d later, in each
// direction. It limits no bandwidth: many bytes may be under way.
func (p *Proxy) SetDelay(d time.Duration) { p.delay.Store(int64(d)) }

// Block lets nothing pass, the end of a connection included, like a network
// that loses every packet. New connections are accepted.
func (p *Proxy) Block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passes() {
		p.pass = make(chan struct{})
	}
}

// Unblock ends what Block began: what came meanwhile passes now.
func (p *Proxy) Unblock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.passes() {
		close(p.pass)
	}
}

// Cut closes all connections and refuses new ones. What was under way is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return
	}
	p.listener.Close()
	p.listener = nil
	p.cut()
}

// Restore ends what Cut began: the proxy accepts connections again.
func (p *Proxy) Restore() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("restore proxy: %w", err)
	}
	p.serve(l)
	return nil
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.Cut()
	p.work.Wait()
}

// gate is closed while bytes may pass.
func (p *Proxy) gate() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass
}

func (p *Proxy) passes() bool {
	select {
	case <-p.pass:
		return true
	default:
		return false
	}
}

// serve accepts connections until l is closed. p.mu is held, or p is new.
func (p *Proxy) serve(l net.Listener) {
	p.listener = l
	up, cut := context.WithCancel(context.Background())
	p.cut = cut
	p.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			p.work.Go(func() { newLink(up, p).run(client) })
		}
	})
}
