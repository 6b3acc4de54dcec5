package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"oauth2-server/store"
)

// act is the wrapper of every route: authorise, decode, act, answer.
func (s *Server) act(route *route) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		actor, err := s.authorize(r)
		if err != nil {
			return err
		}
		c := &call{Context: r.Context(), Actor: actor}
		out, err := route.serve(s, c, r)
		if err != nil {
			return c.unmatched(err)
		}
		s.count(route.method+" "+route.path, c.status(route))
		return answer(w, c.status(route), out)
	})
}

// status is what a call that succeeded is answered with.
func (c *call) status(route *route) int {
	switch {
	case c.Status != 0:
		return c.Status
	case route.out == reflect.TypeFor[struct{}]():
		return http.StatusNoContent
	}
	return http.StatusOK
}

// handle makes a handler of one that may fail.
func (s *Server) handle(serve func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.answerError(w, r, err)
		}
	})
}

// answer writes v as JSON, and its version as the entity tag that If-Match takes.
func answer(w http.ResponseWriter, status int, v any) error {
	if version, ok := versionOf(v); ok {
		w.Header().Set("ETag", entityTag(version))
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %T as JSON: %w", v, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who does not read it is gone
	return nil
}

// versionOf is the version of a thing that has one.
func versionOf(v any) (int64, bool) {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		return 0, false
	}
	for _, f := range bodyFields(value.Type()) {
		if f.name == "version" && f.t.Kind() == reflect.Int64 {
			at, err := value.FieldByIndexErr(f.index)
			return at.Int(), err == nil
		}
	}
	return 0, false
}

var errPanic = errors.New("a handler panicked")

// answerError writes what the operator may read of err, and logs what nobody outside may.
func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	p, known := problemOf(err)
	if stale, ok := errors.AsType[*staleVersion](err); ok {
		p, known = s.explainStale(r.Context(), stale), true
	}
	if !known && !errors.Is(err, errPanic) && !errors.Is(err, context.Canceled) {
		s.Log.Error("a request of an operator failed", "method", r.Method, "route", r.Pattern, "err", err)
	}
	s.count(r.Pattern, p.Status)
	for name, values := range p.header {
		w.Header()[name] = values
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("BUG: write a problem as JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// explainStale tells the version that there is, and who made it when.
func (s *Server) explainStale(ctx context.Context, stale *staleVersion) *problem {
	p := refuse(http.StatusConflict, "somebody changed it since: it has version %d now; read it again, then change that", stale.version)
	p.Version = stale.version
	rows, err := s.DB.Audits(ctx, store.AuditQuery{Object: stale.object(), Action: stale.kind + ".", Limit: 1})
	if err == nil && len(rows) == 1 { // without it the answer is still right
		p.ChangedBy, p.ChangedAt = rows[0].Actor, &rows[0].At
	}
	return p
}
