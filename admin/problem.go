package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"oauth2-server/store"
)

// A problem is a refusal as an operator reads it (RFC 9457), an error that a handler can return.
type problem struct {
	Status    int            `json:"status"`
	Type      string         `json:"type"` // about:blank: the status says it all
	Title     string         `json:"title"`
	Detail    string         `json:"detail,omitempty"`
	Errors    []fieldProblem `json:"errors,omitempty"`     // 400: all that is wrong with the input
	Version   int64          `json:"version,omitempty"`    // 409: the version that there is
	ChangedBy string         `json:"changed_by,omitempty"` // 409: who made it
	ChangedAt *time.Time     `json:"changed_at,omitempty"` // 409: when

	header http.Header // to be sent along; may be nil
}

type fieldProblem struct {
	Field   string `json:"field"` // its path, like trial.rate; of the path or the query its name
	Problem string `json:"problem"`
}

// refuse makes a problem. The detail is for the operator: what is wrong and what to do.
func refuse(status int, format string, args ...any) *problem {
	return &problem{Status: status, Type: "about:blank", Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...)}
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// with adds a header to the answer.
func (p *problem) with(name, value string) *problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// A staleVersion is a change of a version that there is no more.
type staleVersion struct {
	kind, id string
	version  int64 // that there is
}

func (e *staleVersion) Error() string {
	return fmt.Sprintf("%s %q has version %d", e.kind, e.id, e.version)
}

// object is what audit rows of the thing have as their object: see store/audit.go.
func (e *staleVersion) object() string {
	if e.kind == "client" {
		return e.id
	}
	return e.kind + " " + e.id
}

// problemOf is what an operator is told of an error. What is nobody's fault but the server's comes back as known = false and is logged.
func problemOf(err error) (p *problem, known bool) {
	if p, ok := errors.AsType[*problem](err); ok {
		return p, true
	}
	if faults := store.FieldErrors(err); faults != nil {
		p := refuse(http.StatusBadRequest, "the input is wrong; nothing was changed")
		for _, f := range faults {
			p.Errors = append(p.Errors, fieldProblem{f.Field, f.Problem})
		}
		return p, true
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusNotFound, "there is no such thing"), true
	case errors.Is(err, store.ErrConflict):
		return refuse(http.StatusConflict, "the name is taken, or somebody changed it at the same time: read it again"), true
	case errors.Is(err, store.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "the store does not answer; whether anything was changed is not known: look, then try again").
			with("Retry-After", "1"), false
	}
	return refuse(http.StatusInternalServerError, "internal error: the log says more"), false
}
