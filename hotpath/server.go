package hotpath

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/proxy"
)

// Options of a [Server].
type Options struct {
	Rules   *oauth.Rules // required
	Tier    *cache.Cache // required
	Ring    *keys.Ring   // required
	Metrics *metrics.Set // required
	Log     *slog.Logger // required
	Limits  Limits
	Origins []string      // web origins that may read the answers of the token and revocation endpoints
	TLS     *tls.Config   // nil: plain HTTP
	Limiter Limiter       // nil: nobody asks too often
	Trusted proxy.Trusted // the proxies that say where a request comes from
	Front   *Front        // for people; nil: there are no pages
	Events  string        // the backend of events that was asked for, one of eventBackends if all is well; "": EventsInMemory
}

// A Server is the public listener.
type Server struct {
	rules        *oauth.Rules
	tier         *cache.Cache
	ring         *keys.Ring
	metrics      *meters
	log          *slog.Logger
	limits       Limits
	origins      []string
	tls          *tls.Config
	limiter      Limiter // may be nil
	trusted      proxy.Trusted
	discovery    document
	insertedPath string // of RFC 8414 §3.1, for an issuer with a path
	front        *front // may be nil
	way          *way
	events       eventsHealth

	server    *fasthttp.Server
	exchanges sync.Pool
	faults    [numRoutes]throttle // of answers 503
	broken    [numRoutes]throttle // of answers 500
	prepared  atomic.Bool
	draining  atomic.Bool

	mu       sync.Mutex
	listener net.Listener // of Serve; nil before it
	ended    bool         // by Shutdown, which may come first
}

// New makes a server. It listens once Serve is called.
func New(options Options) (*Server, error) {
	issuer, err := url.Parse(options.Rules.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	s := &Server{
		rules: options.Rules, tier: options.Tier, ring: options.Ring, log: options.Log,
		metrics: newMeters(options.Metrics), limits: options.Limits, origins: options.Origins, tls: options.TLS,
		limiter: options.Limiter, trusted: options.Trusted,
		discovery:    newMetadata(options.Rules.Issuer),
		insertedPath: routes[routeServerMetadata].path + issuer.Path,
		way:          newWay(issuer, options.Trusted, options.Metrics),
		events:       newEventsHealth(options.Events),
	}
	if options.Front != nil {
		if s.front, err = newFront(*options.Front, issuer); err != nil {
			return nil, err
		}
	}
	s.exchanges.New = func() any { return new(exchange) }
	s.server = newFastServer(s.serve, s.limits, s.log, s.refused)
	s.measureState(options.Metrics)
	return s, nil
}

// Serve answers requests on the listener until Shutdown, and closes it.
func (s *Server) Serve(listener net.Listener) error {
	s.mu.Lock()
	s.listener = listener
	ended := s.ended
	s.mu.Unlock()
	if ended {
		return listener.Close()
	}
	var edge net.Listener = newEdgeListener(listener, s.limits, s.tls != nil, s.refused)
	if s.tls != nil {
		edge = tls.NewListener(edge, s.tls) // outermost, so that the library sees that it is TLS
	}
	if err := s.server.Serve(edge); err != nil {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// Prepared lets /ready say so: the store is as this replica needs it.
func (s *Server) Prepared() { s.prepared.Store(true) }

// Drain makes /ready say that this replica goes away. It still answers.
func (s *Server) Drain() { s.draining.Store(true) }

// Draining reports whether it goes away.
func (s *Server) Draining() bool { return s.draining.Load() }

// Shutdown closes the listener, lets requests under way finish and closes their
// connections; it gives up when ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	s.ended = true
	listener := s.listener
	s.mu.Unlock()
	err := s.server.ShutdownWithContext(ctx)
	if listener != nil {
		_ = listener.Close() // the library may not have known it yet; most often it is closed already
	}
	return err
}

// serve is the one wrapper of every handler.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	begin := time.Now()
	id := routeOther
	if path := ctx.Path(); string(path) == string(ctx.URI().PathOriginal()) { // a path has one spelling: what a proxy hides by name stays hidden
		id = s.routeOf(path)
	}
	s.way.look(ctx, id)
	x := s.exchanges.Get().(*exchange)
	if err := s.dispatch(ctx, x, id); err != nil {
		s.answerError(ctx, x, id, err)
	}
	s.writeLimit(ctx, x)
	if routes[id].cors != corsNobody && !ctx.IsOptions() {
		s.allowOrigin(ctx, routes[id].cors, x.client)
	}
	x.reset()
	s.exchanges.Put(x)
	s.metrics.observe(id, ctx.Method(), ctx.Response.StatusCode(), time.Since(begin))
}

// dispatch calls the handler of the route, if it takes the method and the address has not asked too often.
func (s *Server) dispatch(ctx *fasthttp.RequestCtx, x *exchange, id routeID) error {
	r := &routes[id]
	switch {
	case r.handle == nil:
		return errNoRoute
	case ctx.IsOptions():
		s.preflight(ctx, r)
		return nil
	case !r.allows(ctx.Method()):
		return errMethod
	}
	if err := s.spendAddress(ctx, x, r); err != nil {
		return err
	}
	return r.handle(s, ctx, x)
}

// refused counts a request that the edge answered itself.
func (s *Server) refused(status int) { s.metrics.observe(routeEdge, nil, status, 0) }
