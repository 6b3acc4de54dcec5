package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/hotpath/login"
)

// count counts a request; what is refused before it has a route has none. Routes and statuses are closed sets, and
// operators few: looking the series up costs nothing.
func (s *Server) count(route string, status int) {
	route = cmp.Or(route, "none")
	s.Metrics.GetOrCreateCounter(fmt.Sprintf(`oauth2_server_admin_requests_total{route=%q,status="%d"}`, route, status)).Inc()
}

// countSignIn counts an attempt to sign in by what became of it.
func (s *Server) countSignIn(err error) {
	outcome := "ok"
	if err != nil {
		_, limited := errors.AsType[*login.TooMany](err)
		switch {
		case limited:
			outcome = "limited"
		case errors.Is(err, login.ErrWrong):
			outcome = "wrong"
		case errors.Is(err, login.ErrRole):
			outcome = "role"
		default:
			outcome = "fault"
		}
	}
	s.Metrics.GetOrCreateCounter(fmt.Sprintf(`oauth2_server_admin_logins_total{outcome=%q}`, outcome)).Inc()
}

// showMetrics serves GET /metrics: what the public listener's /metrics tells, the same set and the process's own.
func (s *Server) showMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.Metrics.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	metrics.WriteFDMetrics(w)
}

// showHealth serves GET /health: the process answers. It looks at nothing else.
func showHealth(w http.ResponseWriter, _ *http.Request) {
	_ = answer(w, http.StatusOK, map[string]string{"status": "healthy", "service": "oauth2-server"}) // strings can be written
}
