package hotpath

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
)

// methods and statuses are the closed sets of two labels; the last entry of each is for all others.
var (
	methods  = [...]string{"GET", "HEAD", "POST", "OPTIONS", "other"}
	statuses = [...]int{200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 408, 413, 417, 429, 431, 500, 503, 0}
)

// durationBounds are the upper bounds of request latencies, in seconds.
var durationBounds = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// meters are the measures of the public listener, in one replica's set. Series of
// requests are made when first needed: most combinations never are.
type meters struct {
	set      *metrics.Set
	requests [numRoutes][len(methods)][len(statuses)]atomic.Pointer[requestMeter]
	issued   [oauth.NumGrants][2]*metrics.Counter
	active   *metrics.Counter
	inactive *metrics.Counter
	revoked  *metrics.Counter
}

// requestMeter counts and times the requests of one route, method and status.
type requestMeter struct {
	total    *metrics.Counter
	duration *metrics.PrometheusHistogram
}

func newMeters(set *metrics.Set) *meters {
	m := &meters{
		set:      set,
		active:   set.NewCounter(`oauth2_server_introspections_total{outcome="active"}`),
		inactive: set.NewCounter(`oauth2_server_introspections_total{outcome="inactive"}`),
		revoked:  set.NewCounter("oauth2_server_tokens_revoked_total"),
	}
	for grant := range oauth.NumGrants {
		for i, format := range [...]string{"opaque", "jwt"} {
			m.issued[grant][i] = set.NewCounter(fmt.Sprintf("oauth2_server_tokens_issued_total{grant=%q,format=%q}", grant, format))
		}
	}
	return m
}

// measureState adds what the server is, beside what it does.
func (s *Server) measureState(set *metrics.Set) {
	set.NewGauge("oauth2_server_ready", func() float64 {
		if len(s.Failing()) > 0 {
			return 0
		}
		return 1
	})
	set.NewGauge("oauth2_server_http_connections", func() float64 { return float64(s.server.GetOpenConnectionsCount()) })
	set.NewGauge("oauth2_server_http_connections_limit", func() float64 { return float64(s.limits.withDefaults().Connections) })
}

// countLogin counts somebody who signs in, by what became of it.
func (m *meters) countLogin(err error) {
	outcome := "ok"
	if err != nil {
		_, limited := errors.AsType[*login.TooMany](err)
		switch {
		case limited:
			outcome = "limited"
		case errors.Is(err, login.ErrWrong):
			outcome = "wrong"
		default:
			outcome = "fault"
		}
	}
	m.set.GetOrCreateCounter(`oauth2_server_logins_total{outcome="` + outcome + `"}`).Inc()
}

func formatIndex(jwt bool) int {
	if jwt {
		return 1
	}
	return 0
}

// observe counts and times one request.
func (m *meters) observe(id routeID, method []byte, status int, took time.Duration) {
	i, j := methodIndex(method), statusIndex(status)
	slot := &m.requests[id][i][j]
	r := slot.Load()
	if r == nil {
		r = m.newRequestMeter(id, i, j)
		slot.Store(r)
	}
	r.total.Inc()
	r.duration.Update(took.Seconds())
}

func (m *meters) newRequestMeter(id routeID, method, status int) *requestMeter {
	code := "other"
	if s := statuses[status]; s != 0 {
		code = fmt.Sprint(s)
	}
	labels := fmt.Sprintf("{route=%q,method=%q,status=%q}", routes[id].path, methods[method], code)
	return &requestMeter{
		total:    m.set.GetOrCreateCounter("oauth2_server_http_requests_total" + labels),
		duration: m.set.GetOrCreatePrometheusHistogramExt("oauth2_server_http_request_duration_seconds"+labels, durationBounds),
	}
}

func methodIndex(method []byte) int {
	for i, known := range methods {
		if string(method) == known {
			return i
		}
	}
	return len(methods) - 1
}

func statusIndex(status int) int {
	for i, known := range statuses {
		if status == known {
			return i
		}
	}
	return len(statuses) - 1
}

// writeMetrics serves GET /metrics: this replica's set, and the process's own.
func (s *Server) writeMetrics(ctx *fasthttp.RequestCtx, _ *exchange) error {
	ctx.Response.Header.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	w := ctx.Response.BodyWriter()
	s.metrics.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	metrics.WriteFDMetrics(w)
	return nil
}
