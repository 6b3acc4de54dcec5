package admin

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

const maxProfileSeconds = 60

// addProfiles serves net/http/pprof to operators: all of it but cmdline, since arguments may hold a secret.
func (s *Server) addProfiles(paths *paths) {
	for path, serve := range map[string]http.HandlerFunc{
		"/debug/pprof/{$}": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/trace": pprof.Trace, "/debug/pprof/symbol": pprof.Symbol,
	} {
		paths.add(http.MethodGet, path, s.page(s.slow(serve)))
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		paths.add(http.MethodGet, "/debug/pprof/"+name, s.page(s.slow(pprof.Handler(name).ServeHTTP)))
	}
}

// slow gives a profile the time that it asks for, within bounds.
func (s *Server) slow(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.ParseFloat(r.FormValue("seconds"), 64); err == nil && n > maxProfileSeconds {
			s.answerError(w, r, refuse(http.StatusBadRequest, "seconds must be at most %d", maxProfileSeconds))
			return
		}
		patience := maxProfileSeconds*time.Second + writePatience
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // else the request counts as gone
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		serve(w, r.WithContext(ctx))
	}
}
