package hotpath

import (
	"net/http"
	"testing"
)

// What was asked for and what works are told apart: a broker that this build has not is no reason not to start, and none to be silent.
func TestEventsHealth(t *testing.T) {
	f := func(configured string, status int, want string) {
		t.Helper()
		s := newSite(t, func(o *Options) { o.Events = configured })
		r := s.do(call{method: http.MethodGet, path: "/events/health"})
		got := map[string]any{}
		for _, name := range []string{"enabled", "backend", "configured", "degraded"} {
			got[name] = r.field(name)
		}
		if r.status != status || jsonOf(t, got) != want {
			t.Errorf("%q: got %d %s, want %d %s", configured, r.status, r.body, status, want)
		}
		if degraded := status != http.StatusOK; degraded != (r.header.Get("Retry-After") != "") || degraded == HasEventBackend(r.field("configured").(string)) {
			t.Errorf("%q: got %v", configured, r.header)
		}
		if r.header.Get("Cache-Control") != "no-store" {
			t.Error("it may be cached")
		}
	}
	f("", 200, `{"backend":"in_memory","configured":"in_memory","degraded":false,"enabled":false}`)
	f("in_memory", 200, `{"backend":"in_memory","configured":"in_memory","degraded":false,"enabled":false}`)
	f("none", 200, `{"backend":"none","configured":"none","degraded":false,"enabled":false}`)
	f("kafka", 503, `{"backend":"in_memory","configured":"kafka","degraded":true,"enabled":false}`)
}

func TestEventsHealthNamesThePlugins(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Events = `ra"bbit` })
	if got := jsonOf(t, s.do(call{method: http.MethodGet, path: "/events/health"}).field("plugins")); got != `[{"healthy":true,"name":"in_memory"},{"healthy":false,"name":"ra\"bbit"}]` {
		t.Errorf("got %s", got)
	}
	s = newSite(t)
	if got := jsonOf(t, s.do(call{method: http.MethodGet, path: "/events/health"}).field("plugins")); got != `[{"healthy":true,"name":"in_memory"}]` {
		t.Errorf("got %s", got)
	}
}
