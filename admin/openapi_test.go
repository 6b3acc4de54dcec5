package admin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// described is the description, and who finds its operation for a request.
var described = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	text, err := describe(routes(), "test")
	if err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(document)
})

// conforms fails the test if the answer, or a request that was taken, is not as described. Every test that asks over a
// socket comes through here, so description and handlers cannot drift apart.
func conforms(t *testing.T, request *http.Request, body string, answer *http.Response, text string) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	route, parameters, err := router.FindRoute(request)
	if err != nil || answer.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
		return // not described: pages, profiles, and what there is not; or answered by net/http itself
	}
	request.Body = io.NopCloser(strings.NewReader(body))
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true},
	}
	if answer.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			t.Errorf("%s %s was taken: %v", request.Method, request.URL, err)
		}
	}
	output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: answer.StatusCode, Header: answer.Header, Options: input.Options}
	output.SetBodyBytes([]byte(text))
	if err := openapi3filter.ValidateResponse(context.Background(), output); err != nil {
		t.Errorf("%s %s answered %s: %v", request.Method, request.URL, text, err)
	}
}

func TestTheDescriptionIsValid(t *testing.T) {
	s := newSite(t)
	r := s.do("GET", "/openapi.json", "").want(t, 200)
	document, err := openapi3.NewLoader().LoadFromData([]byte(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			if ids[operation.OperationID] || operation.OperationID == "" || operation.Summary == "" {
				t.Errorf("%s %s: the id %q is empty or taken, or there is no summary", method, path, operation.OperationID)
			}
			ids[operation.OperationID] = true
			// What is described is served: not the answer to an unknown path or method.
			probe := httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if _, pattern := s.server.mux().(*paths).Handler(probe); pattern == "" {
				t.Errorf("%s %s is described and not served", method, path)
			}
		}
	}
	for _, r := range s.server.routes {
		if document.Paths.Find(r.path).GetOperation(r.method) == nil {
			t.Errorf("%s %s is served and not described", r.method, r.path)
		}
	}
}

func TestTheDescriptionKnowsOurNouns(t *testing.T) {
	s := newSite(t)
	body := []byte(s.do("GET", "/openapi.json", "").body)
	for _, want := range []string{`"format":"uuid"`, `"format":"date-time"`, `"enum":["off","shadow","enforce","block"]`, `"default":50`, `"maximum":500`, `"name":"If-Match"`} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s is missing", want)
		}
	}
}
