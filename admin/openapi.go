package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// describe is the description of the routes (OpenAPI 3.0.3), made of their types: it says what the wrapper does.
func describe(all []route, version string) ([]byte, error) {
	components := schemas{}
	operations := map[string]schema{}
	for i := range all {
		r := &all[i]
		if operations[r.path] == nil {
			operations[r.path] = schema{}
		}
		operations[r.path][strings.ToLower(r.method)] = r.operation(components)
	}
	describeOthers(operations, components)
	components.of(reflect.TypeFor[problem](), written)
	document := schema{
		"openapi": "3.0.3",
		"info": schema{
			"title": "oauth2-server for operators", "version": version,
			"description": "Sign in at /auth/login, or send a token of the scope admin whose client is one of OAUTH2_ADMIN_CLIENT_IDS. " +
				"Bodies are read strictly. Errors are problems (RFC 9457). An ETag is the version that If-Match takes.",
		},
		"paths":    operations,
		"security": []schema{{"token": []string{}}, {"session": []string{}}},
		"components": schema{
			"schemas": components,
			"securitySchemes": schema{
				"token":   schema{"type": "http", "scheme": "bearer"},
				"session": schema{"type": "apiKey", "in": "cookie", "name": cookieName, "description": secureCookieName + " with https"},
			},
		},
	}
	body, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("describe the routes: %w", err)
	}
	return body, nil
}

// operation describes one route.
func (r *route) operation(components schemas) schema {
	o := schema{
		"operationId": r.id(), "summary": r.summary, "tags": []string{strings.Split(r.path, "/")[3]},
		"responses": r.responses(components),
	}
	var parameters []schema
	for i := range r.in.path {
		p := &r.in.path[i]
		parameters = append(parameters, schema{"name": p.name, "in": "path", "required": true, "schema": p.describe(components.of(p.t, read))})
	}
	for i := range r.in.query {
		q := &r.in.query[i]
		parameters = append(parameters, schema{"name": q.name, "in": "query", "required": q.required(), "schema": q.describe(components.of(q.t, read))})
	}
	if r.method != http.MethodGet {
		parameters = append(parameters, schema{
			"name": "If-Match", "in": "header", "schema": schema{"type": "string"},
			"description": "the version that is to be changed, for what has versions: 409 if there is another by now",
		})
	}
	if len(parameters) > 0 {
		o["parameters"] = parameters
	}
	if len(r.in.body) > 0 {
		o["requestBody"] = jsonBody(components.object(r.in.body, read))
	}
	return o
}

// id names the operation: getLimitsNameStats.
func (r *route) id() string {
	id := strings.ToLower(r.method)
	for word := range strings.FieldsFuncSeq(strings.TrimPrefix(r.path, "/admin/api"), func(c rune) bool { return strings.ContainsRune("/{}-_.", c) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (r *route) responses(components schemas) schema {
	responses := schema{"default": problemResponse}
	if r.out == reflect.TypeFor[struct{}]() {
		responses["204"] = schema{"description": "done"}
		return responses
	}
	done := jsonBody(components.of(r.out, written))
	done["description"] = "done"
	responses["200"] = done
	if r.method == http.MethodPost || r.method == http.MethodPut {
		responses["201"] = done
	}
	return responses
}

func jsonBody(s schema) schema {
	return schema{"content": schema{"application/json": schema{"schema": s}}}
}

var problemResponse = schema{
	"description": "what is wrong, and what to do",
	"content":     schema{"application/problem+json": schema{"schema": schema{"$ref": "#/components/schemas/problem"}}},
}

// pageOrProblem is a refusal for who may be a browser.
var pageOrProblem = schema{
	"description": "what is wrong, and what to do; for a browser the page again",
	"content": schema{
		"application/problem+json": schema{"schema": schema{"$ref": "#/components/schemas/problem"}},
		"text/html":                schema{"schema": schema{"type": "string"}},
	},
}

// describeOthers adds what is no route of the API.
func describeOthers(operations map[string]schema, components schemas) {
	form := jsonBody(components.object(credentialsForm.body, read))
	content := form["content"].(schema)
	content["application/x-www-form-urlencoded"] = content["application/json"]
	signedIn := jsonBody(components.of(reflect.TypeFor[signedInAnswer](), written))
	signedIn["description"] = "signed in; the session is in the cookie"
	add := func(method, path, summary string, responses schema) schema {
		o := schema{"operationId": method + strings.ReplaceAll(path, "/", "_"), "summary": summary, "responses": responses, "security": []schema{}}
		if operations[path] == nil {
			operations[path] = schema{}
		}
		operations[path][method] = o
		return o
	}
	text := func(kind string) schema {
		return schema{"200": schema{"description": "done", "content": schema{kind: schema{"schema": schema{}}}}}
	}
	add("get", "/auth/login", "The page to sign in", text("text/html"))
	add("post", "/auth/login", "Sign in: 303 to where the form came from, or JSON where that is asked for", schema{
		"200": signedIn, "303": schema{"description": "signed in; go on there"}, "default": pageOrProblem,
	})["requestBody"] = form
	add("post", "/auth/logout", "End the session", schema{
		"204": schema{"description": "signed out, where JSON is asked for"}, "303": schema{"description": "signed out"}, "default": problemResponse,
	})
	add("get", "/metrics", "What this replica measures, for Prometheus", text("text/plain"))
	add("get", "/health", "The process answers", text("application/json"))
	add("get", "/openapi.json", "This description", text("application/json"))
}

// showAPI serves GET /openapi.json.
func (s *Server) showAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.api) // who does not read it is gone
}
