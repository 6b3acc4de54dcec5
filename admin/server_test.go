package admin

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestEveryAnswerIsFramed(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/auth/login", "/health", "/metrics", "/openapi.json", "/admin/api/clients", "/nothing"} {
		h := s.do("GET", path, "").Header
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: got %v", path, h)
		}
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	s := newSite(t)
	s.do("GET", "/admin/api/nothing", "").want(t, 404).problem(t)
	s.do("GET", "/oauth/token", "").want(t, 404) // the public listener's
	r := s.do("DELETE", "/admin/api/audit", "").want(t, 405)
	if got := r.Header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("got Allow %q", got)
	}
	r.problem(t)
	s.do("TRACE", "/health", "").want(t, 405)
}

func TestBrowsersAreSentToSignIn(t *testing.T) {
	s := newSite(t)
	f := func(path, want string) {
		t.Helper()
		if got := s.do("GET", path, "", "Accept", "text/html,*/*").want(t, 303).Header.Get("Location"); got != want {
			t.Errorf("%s: got Location %q, want %q", path, got, want)
		}
	}
	f("/", "/auth/login")
	f("/debug/pprof/", "/auth/login?return_to=%2Fdebug%2Fpprof%2F")
	f("/debug/pprof/heap?debug=1", "/auth/login?return_to=%2Fdebug%2Fpprof%2Fheap%3Fdebug%3D1")
	s.do("GET", "/admin/api/clients", "", "Accept", "text/html,*/*").want(t, 401).problem(t) // a program's
	s.do("GET", "/debug/pprof/", "").want(t, 401).problem(t)
	if r := s.do("GET", "/", "", "Cookie", s.sealFor("root")).want(t, 200); !strings.Contains(r.body, "/openapi.json") {
		t.Errorf("got %s", r.body)
	}
}

func TestProfilesAreForOperators(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	paths := []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/mutex", "/debug/pprof/symbol"}
	for _, path := range paths {
		s.do("GET", path, "", "Cookie", session).want(t, 200)
		s.do("GET", path, "", "Cookie", s.sealFor("ann")).want(t, 401)
		s.do("GET", path, "", "Authorization", "Bearer "+s.token("robot", "read")).want(t, 403)
	}
	s.do("GET", "/debug/pprof/profile?seconds=61", "", "Cookie", session).want(t, 400)
	// Arguments may hold a secret (promise P9).
	s.do("GET", "/debug/pprof/cmdline", "", "Cookie", session).want(t, 404)
}

func TestMetricsAndHealthAreHereToo(t *testing.T) {
	s := newSite(t)
	s.do("GET", "/admin/api/clients", "")
	r := s.do("GET", "/metrics", "").want(t, 200)
	for _, want := range []string{"oauth2_server_fence_age_seconds", "process_resident_memory_bytes", `oauth2_server_admin_requests_total{route="GET /admin/api/clients",status="401"} 1`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if r := s.do("GET", "/health", "").want(t, 200); !strings.Contains(r.body, `"status":"healthy"`) {
		t.Errorf("got %s", r.body)
	}
}

// TestPathsOfRequestsAreNoSeries: metrics are by route, so that nobody can add to them without end.
func TestPathsOfRequestsAreNoSeries(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	for _, path := range []string{"/alpha", "/beta", "/admin/api/clients/gamma", "/admin/api/clients/delta"} {
		s.do("GET", path, "", "Cookie", session)
		s.do("BREW", path, "")
	}
	r := s.do("GET", "/metrics", "")
	for _, word := range []string{"alpha", "beta", "gamma", "delta", "BREW"} {
		if strings.Contains(r.body, word+`"`) {
			t.Errorf("%q is in a label", word)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	p := s.do("PATCH", "/admin/api/limits/x", `{"mode":"`+strings.Repeat("x", 65<<10)+`"}`, "Cookie", session).want(t, 400).problem(t)
	if len(p.Errors) == 0 || p.Errors[0].Field != "body" {
		t.Errorf("got %+v", p)
	}
	s.do("GET", "/health", "", "X-Large", strings.Repeat("x", 32<<10)).want(t, 431)
}

// TestOnlyHTTP1: one protocol, one set of bounds.
func TestOnlyHTTP1(t *testing.T) {
	s := newSite(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 400 || response.ProtoMajor != 1 {
		t.Errorf("got %s %s", response.Proto, response.Status)
	}
}

func TestAPanicEndsOneRequest(t *testing.T) {
	s := newSite(t)
	handler := s.server.frame(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") }))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "fault of ours") || !strings.Contains(s.log.String(), "a fault of ours") {
		t.Errorf("got %d %s, log %s", w.Code, w.Body, s.log.String())
	}
}

// thing is a noun of the tests, with a version.
type thing struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
}

// try calls a route of act, as root.
func try[In any](s *site, act func(s *Server, c *call, in *In) (thing, error), headers ...string) *httptest.ResponseRecorder {
	r := on("PUT", "/x", "x", act)
	request := httptest.NewRequest(http.MethodPut, "/x", nil)
	request.Header.Set("Cookie", s.sealFor("root"))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.server.act(&r).ServeHTTP(w, request)
	return w
}

func TestErrorsOfHandlersHaveTheirStatus(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		err    error
		status int
		logged bool
	}{
		{store.ErrNotFound, 404, false},
		{store.ErrConflict, 409, false},
		{&store.Fault{Part: "query", Err: errors.New("host db-7 is gone")}, 503, true},
		{errors.Join(&store.FieldError{Field: "a", Problem: "b"}, &store.FieldError{Field: "c", Problem: "d"}), 400, false},
		{errors.New("host db-7 is odd"), 500, true},
		{refuse(418, "tea"), 418, false},
	} {
		before := len(s.log.String())
		w := try(s, func(*Server, *call, *struct{}) (thing, error) { return thing{}, c.err })
		if w.Code != c.status || strings.Contains(w.Body.String(), "db-7") || (len(s.log.String()) > before) != c.logged {
			t.Errorf("%v: got %d %s, want %d, logged %t", c.err, w.Code, w.Body, c.status, c.logged)
		}
		if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: got Retry-After %q", c.err, w.Header().Get("Retry-After"))
		}
	}
}

func TestAVersionIsTheEntityTag(t *testing.T) {
	s := newSite(t)
	w := try(s, func(_ *Server, c *call, _ *struct{}) (thing, error) {
		c.Status = http.StatusCreated
		return thing{"x", 7}, nil
	})
	if w.Code != 201 || w.Header().Get("ETag") != `"7"` || w.Body.String() != `{"name":"x","version":7}`+"\n" {
		t.Errorf("got %d, ETag %s, %s", w.Code, w.Header().Get("ETag"), w.Body)
	}
}

func TestAStaleVersionTellsWhoChangedIt(t *testing.T) {
	s := newSite(t)
	client := s.tier.Client([]byte("robot"))
	_, err := s.db.UpdateClient(t.Context(), store.Actor{Kind: "admin", ID: "zoe", Address: "192.0.2.1"}, "robot", func(c *store.Client) error {
		c.Name = "new"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w := try(s, func(_ *Server, c *call, _ *struct{}) (thing, error) {
		return thing{}, c.matches("client", "robot", client.Version+1)
	}, "If-Match", `"1"`)
	p := reply{w.Result(), w.Body.String()}.problem(t)
	if w.Code != 409 || p.Version != 2 || p.ChangedBy != "admin:zoe@192.0.2.1" || p.ChangedAt == nil || time.Since(*p.ChangedAt) > time.Minute {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAuditIsPaged(t *testing.T) {
	s := newSite(t)
	session := s.sealFor("root")
	var whole auditPage
	s.do("GET", "/admin/api/audit?limit=500", "", "Cookie", session).want(t, 200).read(t, &whole)
	var ids []int64
	for path := "/admin/api/audit?limit=2"; path != ""; {
		var page auditPage
		s.do("GET", path, "", "Cookie", session).want(t, 200).read(t, &page)
		for _, row := range page.Items {
			ids = append(ids, row.ID)
		}
		path = ""
		if page.Next != nil {
			path = "/admin/api/audit?limit=2&before=" + strconv.FormatInt(*page.Next, 10)
		}
	}
	var want []int64
	for _, row := range whole.Items {
		want = append(want, row.ID)
	}
	if !slices.Equal(ids, want) || len(want) < 5 {
		t.Errorf("got %v, want %v", ids, want)
	}
	var one auditPage
	s.do("GET", "/admin/api/audit?object=robot&action=client.", "", "Cookie", session).want(t, 200).read(t, &one)
	if len(one.Items) != 1 || one.Items[0].Action != "client.create" || !strings.Contains(string(one.Items[0].After), `"id":"robot"`) || one.Items[0].Before != nil {
		t.Errorf("got %+v", one)
	}
}

func TestStatsTellOfClusterAndReplica(t *testing.T) {
	s := newSite(t)
	s.token("robot", "read")
	got := map[string]any{}
	s.do("GET", "/admin/api/stats", "", "Cookie", s.sealFor("root")).want(t, 200).read(t, &got)
	for name, want := range map[string]any{"clients": 3.0, "users": 2.0, "redis": "off", "denials": 0.0} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if keys, _ := got["keys"].([]any); len(keys) != 4 {
		t.Errorf("got %d keys, want an active and a next one of each use", len(keys))
	}
}

func TestConfigIsShownMasked(t *testing.T) {
	s := newSite(t)
	var got settingList
	s.do("GET", "/admin/api/config", "", "Cookie", s.sealFor("root")).want(t, 200).read(t, &got)
	if want := []Setting{{"OAUTH2_JWT_SECRET", "***", true}}; !slices.Equal(got.Items, want) {
		t.Errorf("got %v, want %v", got.Items, want)
	}
}

func TestAStaleUserTellsWhoChangedIt(t *testing.T) {
	s := newSite(t)
	s.changeUser("ann", func(u *store.User) { u.Email = "ann@example.com" })
	p := s.do("PATCH", "/admin/api/users/ann", `{"email":"a@example.com","version":1}`, "Cookie", s.sealFor("root")).want(t, 409).problem(t)
	if p.Version != 2 || p.ChangedBy != "cli:test" {
		t.Errorf("got %+v", p)
	}
}
