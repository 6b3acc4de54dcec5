package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	probeEvery   = 20 * time.Millisecond // a replica that drains is noticed in this time
	probePatient = time.Second
	maxForwarded = 1 << 20 // bytes of a request's body
)

// A balancer stands before replicas as one does in production: it follows each one's readiness, sends to those that take
// traffic in turn, and tries another replica only with a request that was never sent.
type balancer struct {
	URL *url.URL // where it listens

	server    *http.Server
	transport *http.Transport
	backends  []*backend
	next      atomic.Uint64
	stop      context.CancelFunc
	work      sync.WaitGroup
}

// A backend is a replica as the balancer sees it.
type backend struct {
	url   *url.URL
	ready atomic.Bool
}

// newBalancer starts a balancer before the replicas, whose readiness is asked at path.
func newBalancer(replicas []*url.URL, path string, connections int) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start balancer: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &balancer{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}, stop: stop, transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}}
	for _, replica := range replicas {
		to := &backend{url: replica}
		b.backends = append(b.backends, to)
		to.ready.Store(b.takesTraffic(ctx, to, path))
		b.work.Go(func() { b.follow(ctx, to, path) })
	}
	b.server = &http.Server{Handler: b}
	b.work.Go(func() { _ = b.server.Serve(l) }) // it ends by Close
	return b, nil
}

// Close ends the balancer and its connections.
func (b *balancer) Close() {
	b.stop()
	b.server.Close()
	b.work.Wait()
	b.transport.CloseIdleConnections()
}

// follow keeps up with the readiness of a replica.
func (b *balancer) follow(ctx context.Context, to *backend, path string) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			to.ready.Store(b.takesTraffic(ctx, to, path))
		}
	}
}

func (b *balancer) takesTraffic(ctx context.Context, to *backend, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, probePatient)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url.String()+path, nil)
	if err != nil {
		return false
	}
	answer, err := b.transport.RoundTrip(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK
}

// ServeHTTP forwards one request.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForwarded))
	if err != nil {
		http.Error(w, "request is cut or too large", http.StatusBadRequest)
		return
	}
	for range b.backends {
		to := b.pick()
		if to == nil {
			break
		}
		answer, err := b.send(to, r, body)
		if neverSent(err) {
			to.ready.Store(false)
			continue
		}
		if err != nil {
			break // it may have been done: only the client can know whether to repeat it
		}
		give(w, answer)
		return
	}
	http.Error(w, "no replica answered", http.StatusBadGateway)
}

// pick is the next replica that takes traffic; nil: none does.
func (b *balancer) pick() *backend {
	for range b.backends {
		if to := b.backends[b.next.Add(1)%uint64(len(b.backends))]; to.ready.Load() {
			return to
		}
	}
	return nil
}

// send forwards the request. On a kept connection that turns out to be closed before a byte was written, the transport
// itself takes another.
func (b *balancer) send(to *backend, r *http.Request, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, to.url.String()+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Authorization", "Content-Type", "Accept"} {
		if value := r.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	return b.transport.RoundTrip(request)
}

// neverSent reports whether not even a connection was made.
func neverSent(err error) bool {
	fault, ok := errors.AsType[*net.OpError](err)
	return ok && fault.Op == "dial"
}

// give hands an answer on.
func give(w http.ResponseWriter, answer *http.Response) {
	defer answer.Body.Close()
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // a client that left has no use for the rest
}
