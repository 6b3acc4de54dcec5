package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/admin/doctor"
	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/proxy"
)

// Options of a [Server]. All are required but Clients, Trusted and TLS.
type Options struct {
	DB       Store
	Tier     *cache.Cache
	Ring     *keys.Ring
	Rules    *oauth.Rules    // judge bearer tokens
	Sessions *login.Sessions // seals cookies
	Door     *login.Door     // of the role admin
	Clients  []string        // whose tokens of the scope admin may come in
	Trusted  proxy.Trusted
	TLS      *tls.Config // nil: plain HTTP
	Metrics  *metrics.Set
	Log      *slog.Logger

	Secrets      keys.Secrets  // seal new keys
	Alg          keys.Alg      // of new keys
	PublishAhead time.Duration // how long a next key is published before it may sign

	Version  string           // of the program, for the description
	Settings func() []Setting // the configuration in effect, secrets masked
	Gather   func(ctx context.Context) *doctor.Facts
}

// Server is the listener for operators.
type Server struct {
	Options
	routes []route
	api    []byte // the description of the routes
	server *http.Server

	diagnosis doctor.Shared
}

// Bounds of a request. A handler that takes longer says so itself: see pprof.go.
const (
	headerPatience = 5 * time.Second
	readPatience   = 10 * time.Second
	workPatience   = 10 * time.Second // for the store
	writePatience  = 20 * time.Second
	idlePatience   = time.Minute
	maxHeaderBytes = 16 << 10
)

// New makes a server. It listens once Serve is called.
func New(options Options) (*Server, error) {
	s := &Server{Options: options, routes: routes()}
	var err error
	if s.api, err = describe(s.routes, options.Version); err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.server = &http.Server{
		Handler: s.Handler(), Protocols: protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerPatience, ReadTimeout: readPatience, IdleTimeout: idlePatience,
		ErrorLog: slog.NewLogLogger(options.Log.Handler(), slog.LevelDebug), // of connections: anybody can cause them
	}
	return s, nil
}

// Serve answers requests on the listener until Shutdown, and closes it.
func (s *Server) Serve(listener net.Listener) error {
	if s.TLS != nil {
		listener = tls.NewListener(listener, s.TLS)
	}
	if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// Shutdown closes the listener and lets requests under way finish; when ctx is done it ends them.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

// Handler is what the listener answers.
func (s *Server) Handler() http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answerError(w, r, refuse(http.StatusForbidden, "the request comes from a page of another origin"))
	}))
	return s.frame(protection.Handler(s.mux()))
}

// mux leads to the routes and to what is not one: people's pages, and machines' files.
func (s *Server) mux() http.Handler {
	paths := &paths{s: s}
	for i := range s.routes {
		r := &s.routes[i]
		paths.add(r.method, r.path, s.act(r))
	}
	paths.add("GET", "/{$}", s.page(s.index))
	paths.add("GET", "/auth/login", http.HandlerFunc(s.showSignIn))
	paths.add("POST", "/auth/login", s.handle(s.signIn))
	paths.add("POST", "/auth/logout", s.handle(s.signOut))
	paths.add("GET", "/openapi.json", http.HandlerFunc(s.showAPI))
	paths.add("GET", "/metrics", http.HandlerFunc(s.showMetrics))
	paths.add("GET", "/health", http.HandlerFunc(showHealth))
	s.addProfiles(paths)
	return paths
}

// frame is around every answer: bounds of time and size, headers, and a fault of ours that ends one request only.
func (s *Server) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			fault := recover()
			if fault == nil {
				return
			}
			if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(fault)
			}
			s.Log.Error("a handler for operators panicked", "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
			s.answerError(w, r, errPanic)
		}()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writePatience)) // of a recorder in tests there is none
		ctx, cancel := context.WithTimeout(r.Context(), workPatience)
		defer cancel()
		secure(w.Header())
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// secure sets what holds for every answer: nobody keeps it, frames it, guesses its type or learns where a link was on it.
func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
