package admin

import "net/http"

// paths is what is served where. Another path is a 404 and another method a 405, both as problems.
type paths struct {
	http.ServeMux
	s *Server
}

// add serves a path by a method. GET serves HEAD as well.
func (p *paths) add(method, path string, handler http.Handler) {
	p.Handle(method+" "+path, handler)
}

// ServeHTTP answers for what was not added itself, with the status and the Allow that the mux would have sent.
func (p *paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refusal, pattern := p.Handler(r)
	if pattern != "" {
		p.ServeMux.ServeHTTP(w, r)
		return
	}
	head := headWriter{header: http.Header{}}
	refusal.ServeHTTP(&head, r)
	if allow := head.header.Get("Allow"); head.status == http.StatusMethodNotAllowed {
		p.s.answerError(w, r, refuse(head.status, "this path takes %s", allow).with("Allow", allow))
		return
	}
	p.s.answerError(w, r, refuse(http.StatusNotFound, "there is nothing at this path: /openapi.json describes what there is"))
}

// headWriter keeps the head of an answer, and drops its body.
type headWriter struct {
	header http.Header
	status int
}

func (w *headWriter) Header() http.Header         { return w.header }
func (w *headWriter) WriteHeader(status int)      { w.status = status }
func (w *headWriter) Write(b []byte) (int, error) { return len(b), nil }
