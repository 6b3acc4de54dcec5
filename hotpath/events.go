package hotpath

import (
	"encoding/json"
	"slices"

	"github.com/valyala/fasthttp"
)

// Backends of events that this build has.
const (
	EventsInMemory = "in_memory"
	EventsNone     = "none"
)

var eventBackends = []string{EventsInMemory, EventsNone}

// HasEventBackend reports whether this build can do what OAUTH2_EVENTS_BACKEND asks for. What it cannot is told by GET /events/health
// and stops nothing: tokens do not depend on events.
func HasEventBackend(name string) bool { return slices.Contains(eventBackends, name) }

// eventsHealth is what GET /events/health answers, always the same: no backend of this build can fail.
type eventsHealth struct {
	status int
	body   []byte
}

// eventsState is the body.
type eventsState struct {
	Enabled    bool          `json:"enabled"`    // events are published
	Backend    string        `json:"backend"`    // at work
	Configured string        `json:"configured"` // asked for
	Degraded   bool          `json:"degraded"`   // the two differ
	Plugins    []eventPlugin `json:"plugins"`
	Detail     string        `json:"detail"`
}

type eventPlugin struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
}

func newEventsHealth(configured string) eventsHealth {
	state := eventsState{
		Backend: EventsInMemory, Configured: configured, Plugins: []eventPlugin{{EventsInMemory, true}},
		Detail: "this build publishes no events yet: nothing is queued and nothing can be lost",
	}
	status := fasthttp.StatusOK
	switch configured {
	case "", EventsInMemory:
		state.Configured = EventsInMemory
	case EventsNone:
		state.Backend, state.Plugins = EventsNone, []eventPlugin{}
	default:
		status = fasthttp.StatusServiceUnavailable
		state.Degraded = true
		state.Plugins = append(state.Plugins, eventPlugin{configured, false})
		state.Detail = "this build has no such backend, and publishes no events yet: set OAUTH2_EVENTS_BACKEND to in_memory or none; tokens are not affected"
	}
	body, err := json.Marshal(state)
	if err != nil {
		panic("BUG: " + err.Error()) // plain data
	}
	return eventsHealth{status, body}
}

// eventsHealth serves GET /events/health: 200 when what was asked for works.
func (s *Server) eventsHealth(ctx *fasthttp.RequestCtx, _ *exchange) error {
	if s.events.status != fasthttp.StatusOK {
		ctx.SetStatusCode(s.events.status)
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	}
	s.writeJSON(ctx, s.events.body)
	return nil
}
