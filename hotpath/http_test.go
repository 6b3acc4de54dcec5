package hotpath

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
)

func TestMethodsAndPaths(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", batchPath} {
		r := s.do(call{method: "GET", path: path}) // RFC 6749 §3.2: POST only
		wantError(t, r, 405, "invalid_request")
		if r.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: Allow %q", path, r.header.Get("Allow"))
		}
	}
	wantError(t, s.do(call{path: "/health"}), 405, "invalid_request")
	wantError(t, s.do(call{method: "GET", path: "/nothing"}), 404, "invalid_request")
	wantError(t, s.do(call{method: "GET", path: "/admin"}), 404, "invalid_request")
	for _, spelling := range []string{"/%6detrics", "/oauth/..%2fmetrics", "/oauth/../metrics", "//metrics", "/./metrics"} {
		if r := s.do(call{method: "GET", path: spelling}); r.status == 200 { // a proxy that hides /metrics is not passed
			t.Errorf("%s is served", spelling)
		}
	}
	if r := s.do(call{method: "HEAD", path: "/health"}); r.status != 200 || r.body != "" {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
}

// RFC 6749 §2.3.1: credentials never in the URI; and what belongs in the body is not taken from there.
func TestNothingIsTakenFromTheQuery(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{
		"/oauth/token?client_secret=x", "/oauth/token?client_id=app", "/oauth/token?grant_type=client_credentials",
		"/oauth/introspect?token=x", "/oauth/revoke?token=x",
	} {
		r := s.do(call{path: path, basic: "app", form: values("grant_type", "client_credentials", "token", "x")})
		wantError(t, r, 400, "invalid_request")
	}
}

func TestOtherContentTypesAreRefused(t *testing.T) {
	s := newSite(t)
	for _, contentType := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded; charset=latin1"} {
		r := s.do(call{path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials"), headers: map[string]string{"Content-Type": contentType}})
		wantError(t, r, 400, "invalid_request")
	}
	r := s.do(call{
		path: "/oauth/token", basic: "app", form: values("grant_type", "client_credentials"),
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
	})
	if r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantError(t, s.do(call{path: "/oauth/token", basic: "app", body: "grant_type=%zz"}), 400, "invalid_request")
}

// RFC 8414 §3: the issuer is the URL's, and only what works is listed.
func TestMetadataIsTrue(t *testing.T) {
	s := newPeople(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		r := s.do(call{method: "GET", path: path})
		if r.status != 200 || r.field("issuer") != issuer || r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %s %v", path, r.status, r.body, r.header)
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(r.body), &document); err != nil {
			t.Fatal(err)
		}
		for name, value := range document {
			target, isText := value.(string)
			if !isText || name == "issuer" {
				continue
			}
			method := "POST"
			if name == "jwks_uri" {
				method = "GET"
			}
			if r := s.do(call{method: method, path: strings.TrimPrefix(target, issuer)}); r.status == 404 || r.status == 405 {
				t.Errorf("%s leads to %d", name, r.status)
			}
		}
		for _, grant := range document["grant_types_supported"].([]any) {
			if r := s.do(call{path: "/oauth/token", basic: "app", form: values("grant_type", grant.(string))}); r.field("error") == "unsupported_grant_type" {
				t.Errorf("%s is listed and not supported", grant)
			}
		}
	}
}

func TestPublicDocumentsAreCacheable(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		r := s.do(call{method: "GET", path: path})
		etag := r.header.Get("ETag")
		if etag == "" || !strings.Contains(r.header.Get("Cache-Control"), "max-age") {
			t.Fatalf("%s: headers %v", path, r.header)
		}
		for given, want := range map[string]int{etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304, `"other"`: 200} {
			again := s.do(call{method: "GET", path: path, headers: map[string]string{"If-None-Match": given}})
			if again.status != want || want == 304 && again.body != "" {
				t.Errorf("%s with %s: %d %q", path, given, again.status, again.body)
			}
		}
	}
}

func TestCORS(t *testing.T) {
	s := newSite(t)
	const header = "Access-Control-Allow-Origin"
	ask := func(method, path, origin, client string) string {
		c := call{method: method, path: path, headers: map[string]string{"Origin": origin}}
		if method == "POST" {
			c.form = values("token", "x", "client_id", client)
		}
		r := s.do(c)
		if r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s allows credentials", path)
		}
		return r.header.Get(header)
	}
	listed, own, other := "https://console.example.com", "https://page.example.com", "https://evil.example.com"
	for _, test := range []struct{ method, path, origin, client, want string }{
		{"POST", "/oauth/revoke", listed, "page", listed},
		{"POST", "/oauth/revoke", own, "page", own},
		{"POST", "/oauth/revoke", own, "app", ""}, // another client's own
		{"POST", "/oauth/revoke", other, "page", ""},
		{"POST", "/oauth/revoke", "null", "page", ""},
		{"POST", "/oauth/token", listed, "page", listed},
		{"POST", "/oauth/introspect", listed, "page", ""},
		{"OPTIONS", "/oauth/token", listed, "", listed},
		{"OPTIONS", "/oauth/token", own, "", own},
		{"OPTIONS", "/oauth/token", other, "", ""},
		{"OPTIONS", "/oauth/introspect", listed, "", ""},
		{"GET", "/.well-known/jwks.json", other, "", "*"},
		{"GET", "/health", listed, "", ""},
	} {
		if got := ask(test.method, test.path, test.origin, test.client); got != test.want {
			t.Errorf("%s %s from %s as %q: %q, want %q", test.method, test.path, test.origin, test.client, got, test.want)
		}
	}
}

func TestReadyAndHealth(t *testing.T) {
	s := newSite(t)
	if r := s.do(call{method: "GET", path: "/health"}); r.status != 200 || r.field("status") != "healthy" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.do(call{method: "GET", path: "/ready"}); r.status != 200 || r.field("status") != "ready" {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.server.Drain()
	for _, path := range []string{"/ready", "/ready?for=traffic"} {
		if r := s.do(call{method: "GET", path: path}); r.status != 503 {
			t.Errorf("%s while draining: %d %s", path, r.status, r.body)
		}
	}
	s.issue("app") // it still answers
}

// Every label is from a closed set: what outsiders send makes no series.
func TestOutsidersMakeNoMetricSeries(t *testing.T) {
	s := newSite(t)
	s.do(call{method: "GET", path: "/x"})
	s.issue("app")
	s.do(call{method: "GET", path: "/metrics"}) // its own series is there from now on
	before := series(s.do(call{method: "GET", path: "/metrics"}).body)
	for _, path := range []string{"/a", "/b?c=d", "/oauth/token/e", "/%2e%2e/f"} {
		s.do(call{method: "GET", path: path})
	}
	if after := series(s.do(call{method: "GET", path: "/metrics"}).body); after != before {
		t.Errorf("%d series became %d", before, after)
	}
}

func series(text string) (n int) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "oauth2_server_") {
			n++
		}
	}
	return n
}

// Shutdown may come before Serve, or at the same moment: Serve returns all the same.
func TestShutdownBeforeServe(t *testing.T) {
	s := newSite(t)
	for range 200 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		late := &Server{server: newFastServer(s.server.serve, Limits{}, s.server.log, nil)}
		done := make(chan error, 1)
		go func() { done <- late.Serve(listener) }()
		if err := late.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
