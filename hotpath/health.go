package hotpath

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/cache"
	"oauth2-server/store"
)

var healthy = []byte(`{"status":"healthy","service":"oauth2-server"}`)

// health serves GET /health: the process answers. It looks at nothing else.
func (s *Server) health(ctx *fasthttp.RequestCtx, _ *exchange) error {
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.SetBodyRaw(healthy)
	return nil
}

// A check is one part of readiness.
type check struct {
	Status string `json:"status"`         // "ok", "degraded" or "failing"
	Part   string `json:"part,omitempty"` // of the way to the database that fails: one of store.Steps
	Detail string `json:"detail,omitempty"`
}

const (
	checkOK       = "ok"
	checkDegraded = "degraded"
	checkFailing  = "failing"
)

const (
	isReady  = "ready"
	notReady = "not ready"
)

// readiness is the body of /ready.
type readiness struct {
	Status string           `json:"status"` // isReady or notReady
	Checks map[string]check `json:"checks"`
}

// details says what a failing step means and where to look. Error texts stay in the log: they name hosts and users.
var details = map[string]string{
	store.StepFile:           "the file of OAUTH2_DATABASE_URL cannot be opened: see the log",
	store.StepName:           "the host name of OAUTH2_DATABASE_URL does not resolve",
	store.StepTCP:            "no connection to the database: it is down or unreachable",
	store.StepTLS:            "the database speaks no TLS, or its certificate is not trusted: sslmode and sslrootcert of OAUTH2_DATABASE_URL must be as it has them",
	store.StepAuthentication: "the database refuses the user or password of OAUTH2_DATABASE_URL",
	store.StepConnections:    "all of the database's connections are taken",
	store.StepDatabase:       "the database that OAUTH2_DATABASE_URL names does not exist: a superuser of Postgres must create it (createdb); then run oauth2-server migrate",
	store.StepPrimary:        "the database is a standby: OAUTH2_DATABASE_URL must lead to the primary",
	store.StepSchema:         "the schema is missing or older than this binary: run oauth2-server migrate",
	store.StepQuery:          "the database does not answer in time or reports an error: see the log",
}

// ready serves GET /ready: strict for people, with ?for=traffic for balancers: 200 as long as the fence lets this
// replica answer, so that an outage of Postgres does not take away those that still can. It makes no I/O.
func (s *Server) ready(ctx *fasthttp.RequestCtx, _ *exchange) error {
	status := s.tier.Status()
	answer := s.readiness(status)
	if answer.Status != isReady && (!s.forTraffic(ctx) || !s.mayAnswer(status)) {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write readiness: %w", err)
	}
	s.writeJSON(ctx, body)
	return nil
}

// readiness judges all parts.
func (s *Server) readiness(status cache.Status) readiness {
	answer := readiness{Status: isReady, Checks: s.checks(status)}
	for _, c := range answer.Checks {
		if c.Status == checkFailing {
			answer.Status = notReady
		}
	}
	return answer
}

// Failing is the checks for which /ready answers 503, as "check: detail" in order of name; none when it answers 200. It makes no I/O.
func (s *Server) Failing() []string {
	var failing []string
	for name, c := range s.checks(s.tier.Status()) {
		if c.Status == checkFailing {
			failing = append(failing, name+": "+c.Detail)
		}
	}
	slices.Sort(failing)
	return failing
}

func (s *Server) forTraffic(ctx *fasthttp.RequestCtx) bool {
	return string(ctx.URI().QueryArgs().Peek("for")) == "traffic"
}

// mayAnswer reports whether verdicts are given now.
func (s *Server) mayAnswer(status cache.Status) bool {
	return !s.draining.Load() && s.ring.Ready() == nil && status.Loaded &&
		(!status.Stale || status.Age <= s.tier.StalenessMax())
}

// checks judges each part.
func (s *Server) checks(status cache.Status) map[string]check {
	checks := map[string]check{
		"database": {Status: checkOK},
		"keys":     {Status: checkOK},
		"deny_set": {Status: checkOK},
		"redis":    {Status: checkOK, Detail: status.Redis},
	}
	if fault := status.Fault; fault != nil {
		part := partOf(fault)
		checks["database"] = check{checkFailing, part, details[part]}
	}
	switch {
	case !status.Loaded:
		checks["keys"] = check{Status: checkFailing, Detail: "not loaded yet"}
		checks["deny_set"] = check{Status: checkFailing, Detail: "clients and denials are not loaded yet"}
	case status.Stale:
		detail := fmt.Sprintf("%s old; answers come from what is held for at most %s", status.Age.Round(time.Second), s.tier.StalenessMax())
		checks["deny_set"] = check{Status: checkFailing, Detail: detail}
	}
	if !s.prepared.Load() {
		checks["process"] = check{Status: checkFailing, Detail: "starting: schema, partitions and keys are being prepared"}
	}
	if status.Loaded && s.ring.Ready() != nil {
		checks["keys"] = check{Status: checkFailing, Detail: "no key to sign with: see the log"}
	}
	if status.Redis == "down" {
		checks["redis"] = check{Status: checkDegraded, Detail: "down (" + status.Cause + "): look-ups that miss in process go to the database"}
	}
	if s.draining.Load() {
		checks["process"] = check{Status: checkFailing, Detail: "shutting down"}
	}
	return checks
}

// partOf is the part that a fault names, one of details.
func partOf(fault error) string {
	for {
		f, ok := errors.AsType[*store.Fault](fault)
		if !ok {
			return store.StepQuery
		}
		if _, known := details[f.Part]; known {
			return f.Part
		}
		fault = f.Err
	}
}
