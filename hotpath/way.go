package hotpath

import (
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/proxy"
)

// way counts requests that came another way than the server was told: through a proxy that is not trusted, or by another name than
// the public URL's. Either is most often a setting that is missing.
type way struct {
	host, hostPort string // of the public URL, in lower case: without the scheme's own port, and with the port whatever it is
	trusted        proxy.Trusted
	unbelieved     *metrics.Counter
	otherHost      *metrics.Counter
	last           atomic.Pointer[string]
}

func newWay(issuer *url.URL, trusted proxy.Trusted, set *metrics.Set) *way {
	w := &way{
		host: strings.ToLower(issuer.Host), trusted: trusted,
		unbelieved: set.NewCounter("oauth2_server_proxy_headers_unbelieved_total"),
		otherHost:  set.NewCounter("oauth2_server_other_host_requests_total"),
	}
	standard := map[string]string{"http": ":80", "https": ":443"}[issuer.Scheme]
	w.hostPort = w.host
	if issuer.Port() == "" {
		w.hostPort += standard
	} else {
		w.host = strings.TrimSuffix(w.host, standard)
	}
	return w
}

// look counts the request. It costs comparisons alone when nothing is amiss.
func (w *way) look(ctx *fasthttp.RequestCtx, id routeID) {
	switch id {
	case routeHealth, routeReady, routeMetrics, routeEvents:
		return // machines ask by whatever name and way they have
	}
	h := &ctx.Request.Header
	if forwarded := h.Peek(fasthttp.HeaderXForwardedFor); len(forwarded) > 0 && !w.trusts(ctx) || len(forwarded) == 0 && len(h.Peek(fasthttp.HeaderForwarded)) > 0 {
		w.unbelieved.Inc()
	}
	if host := h.Host(); len(host) > 0 && !foldEqual(host, w.host) && !foldEqual(host, w.hostPort) && !isAddress(host) {
		w.otherHost.Inc()
		w.remember(host)
	}
}

func (w *way) trusts(ctx *fasthttp.RequestCtx) bool {
	if len(w.trusted) == 0 {
		return false
	}
	return w.trusted.Trusts(peerOf(ctx))
}

// isAddress reports whether the host is an IP address: so ask probes, and people who look for the fault themselves.
func isAddress(host []byte) bool {
	if host[0] == '[' {
		return true
	}
	for _, b := range host {
		if b != '.' && b != ':' && (b < '0' || b > '9') {
			return false
		}
	}
	return true
}

// maxHost bounds what is kept of a name that anybody may have made up.
const maxHost = 255

func (w *way) remember(host []byte) {
	host = host[:min(len(host), maxHost)]
	if last := w.last.Load(); last != nil && *last == string(host) {
		return
	}
	text := string(host)
	w.last.Store(&text)
}

// OtherHost is the last host but the public URL's that a request was for, cut to 255 characters; "": none. Probes of health, and requests
// for a bare IP address, do not count.
func (s *Server) OtherHost() string {
	if last := s.way.last.Load(); last != nil {
		return *last
	}
	return ""
}

// peerOf is the address at the other end of the connection.
func peerOf(ctx *fasthttp.RequestCtx) netip.Addr {
	address, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return address.Unmap()
}
