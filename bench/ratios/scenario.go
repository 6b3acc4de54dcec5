package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	healthName  = "health"
	connections = 64
	threads     = 1
	poolTokens  = 200 // distinct tokens that a scenario introspects in turn
)

// A scenario is one wrk run.
type scenario struct {
	name   string
	url    string
	script string // path of a Lua script; empty: plain GET
}

type result struct {
	rate   float64 // requests a second
	p99    string
	errors int
}

// scenarios prepares the scripts, and the tokens they introspect.
func (b *bed) scenarios() ([]scenario, error) {
	issue := func(format string) (string, error) {
		return b.script("issue-"+format, format, []string{"grant_type=client_credentials"})
	}
	introspect := func(name, format string) (string, error) {
		tokens, err := b.issue(b.urls[full], format, poolTokens)
		if err != nil {
			return "", err
		}
		for i := range tokens {
			tokens[i] = "token=" + tokens[i]
		}
		return b.script(name, format, tokens)
	}
	all := []scenario{
		{name: healthName, url: b.urls[0] + "/health"},
		{name: "empty-fasthttp", url: "http://" + b.empty.Addr().String() + "/"},
		{name: "jwks", url: b.urls[0] + "/.well-known/jwks.json"},
	}
	for _, s := range []struct {
		name, path string
		replica    int
		script     func(name string) (string, error)
	}{
		{"issue-opaque", "/oauth/token", full, func(string) (string, error) { return issue("opaque") }},
		{"issue-jwt-es256", "/oauth/token", full, func(string) (string, error) { return issue("jwt") }},
		{"introspect-l1", "/oauth/introspect", full, func(n string) (string, error) { return introspect(n, "opaque") }},
		{"introspect-jwt", "/oauth/introspect", full, func(n string) (string, error) { return introspect(n, "jwt") }},
		{"introspect-l2", "/oauth/introspect", noL1, func(n string) (string, error) { return introspect(n, "opaque") }},
		{"introspect-store", "/oauth/introspect", storeOnly, func(n string) (string, error) { return introspect(n, "opaque") }},
		{"introspect-garbage", "/oauth/introspect", full, func(n string) (string, error) {
			return b.script(n, "opaque", []string{"token=oat_" + strings.Repeat("A", 52)})
		}},
	} {
		script, err := s.script(s.name)
		if err != nil {
			return nil, err
		}
		all = append(all, scenario{s.name, b.urls[s.replica] + s.path, script})
	}
	return all, nil
}

// The replicas of the bed: as they come, without L1, without L1 and Redis.
const (
	full = iota
	noL1
	storeOnly
)

// script writes a Lua script that sends the bodies in turn, authenticated as the client of a format. One body is
// formatted once and costs wrk nothing.
func (b *bed) script(name, format string, bodies []string) (string, error) {
	var text bytes.Buffer
	credentials := base64.StdEncoding.EncodeToString([]byte(format + ":" + b.secret[format]))
	fmt.Fprintf(&text, "local headers = {[\"Content-Type\"]=\"application/x-www-form-urlencoded\", [\"Authorization\"]=\"Basic %s\"}\n", credentials)
	if len(bodies) == 1 {
		fmt.Fprintf(&text, "wrk.method, wrk.headers, wrk.body = \"POST\", headers, %q\n", bodies[0])
	} else {
		writeTurns(&text, bodies)
	}
	path := filepath.Join(b.folder, name+".lua")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// writeTurns formats every request beforehand and sends them in turn.
func writeTurns(text *bytes.Buffer, bodies []string) {
	text.WriteString("local bodies = {\n")
	for _, body := range bodies {
		fmt.Fprintf(text, "%q,\n", body)
	}
	text.WriteString(`}
local i = 0
local requests = {}
init = function()
  for n, body in ipairs(bodies) do requests[n] = wrk.format("POST", nil, headers, body) end
end
request = function()
  i = i % #requests + 1
  return requests[i]
end
`)
}

var (
	rateLine  = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	p99Line   = regexp.MustCompile(`99%\s+(\S+)`)
	errorLine = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// play runs wrk and reads what it prints.
func (s scenario) play(ctx context.Context, seconds int) (result, error) {
	args := []string{"-t", strconv.Itoa(threads), "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%ds", seconds), "--latency"}
	if s.script != "" {
		args = append(args, "-s", s.script)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, s.url)...).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("wrk (Debian's package wrk): %w: %s", err, out)
	}
	found := rateLine.FindSubmatch(out)
	if found == nil {
		return result{}, fmt.Errorf("wrk printed no rate: %s", out)
	}
	var r result
	r.rate, _ = strconv.ParseFloat(string(found[1]), 64)
	if p99 := p99Line.FindSubmatch(out); p99 != nil {
		r.p99 = string(p99[1])
	}
	if n := errorLine.FindSubmatch(out); n != nil {
		r.errors, _ = strconv.Atoi(string(n[1]))
	}
	return r, nil
}
