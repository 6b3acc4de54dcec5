package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Every program of deploy/connect.md is run as it stands there; only its port is one that is free.

// guide is deploy/connect.md with a free port of its own in the place of 3000.
type guide struct {
	t    *testing.T
	text string
	here string // where the application listens
	env  []string
}

func newGuide(t *testing.T, s *site) *guide {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/connect.md")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("3000", port, "http://127.0.0.1:8080", s.issuer).Replace(string(raw))
	return &guide{t: t, text: text, here: "http://127.0.0.1:" + port, env: append(os.Environ(), "ISSUER="+s.issuer, "AUTHLIB_INSECURE_TRANSPORT=1")}
}

// program is the one in a language.
func (g *guide) program(language string) string {
	g.t.Helper()
	_, rest, found := strings.Cut(g.text, "\n```"+language+"\n")
	program, _, ended := strings.Cut(rest, "\n```\n")
	if !found || !ended {
		g.t.Fatalf("there is no program in %s", language)
	}
	return program + "\n"
}

// register runs the command of the guide that registers a client, under another id.
func (g *guide) register(s *site, id, as string) {
	g.t.Helper()
	command := regexp.MustCompile(`(?m)^oauth2-server (client create --id ` + id + ` .*)$`).FindStringSubmatch(g.text)
	if command == nil {
		g.t.Fatalf("no command registers %s", id)
	}
	in := console{t: g.t, env: s.env}
	args := strings.Fields(strings.Replace(command[1], "--id "+id, "--id "+as, 1))
	made := decodeJSON[struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}](g.t, in.must(append(args, "--json")...))
	s.awaitClient(made.ID, g.redirect(args))
	g.env = append(g.env, "CLIENT_ID="+made.ID, "CLIENT_SECRET="+made.Secret)
}

// redirect is the redirect URI among the arguments.
func (g *guide) redirect(args []string) string {
	for i, arg := range args {
		if arg == "--redirect-uri" {
			return args[i+1]
		}
	}
	g.t.Fatal("no --redirect-uri")
	return ""
}

// start runs a program until the end of the test, and returns when it listens.
func (g *guide) start(command *exec.Cmd) {
	g.t.Helper()
	r := &replica{t: g.t, url: g.here, cmd: command, log: new(logBuffer)}
	command.Env, command.Stdout, command.Stderr = g.env, r.log, r.log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run has a child
	if err := command.Start(); err != nil {
		g.t.Fatalf("%v: scripts/deps installs what runs it", err)
	}
	g.t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
	r.await("listen", func() bool { return r.get("/").status == http.StatusOK })
}

// write puts a program into a file.
func (g *guide) write(folder, name, program string) string {
	g.t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return file
}

// walkThrough says no at the application, signs in there, and out again.
func (g *guide) walkThrough(anna *person) {
	g.t.Helper()
	host, err := url.Parse(g.here)
	if err != nil {
		g.t.Fatal(err)
	}
	anna.hosts, anna.denies = []string{host.Host}, true
	w := anna.walk(g.here + "/login")
	if !w.signedIn() || !w.asked() || anna.last.status != http.StatusForbidden || !strings.Contains(anna.last.body, "access_denied") {
		g.t.Errorf("after saying no: %s", anna.last)
	}
	anna.denies = false
	if w := anna.walk(g.here + "/login"); !w.asked() || !strings.Contains(anna.last.body, "Hello, anna.") {
		g.t.Fatalf("after signing in: %s", anna.last)
	}
	if anna.walk(g.here + "/logout"); !strings.Contains(anna.last.body, "Sign in") || anna.last.at.String() != g.here+"/" {
		g.t.Errorf("after signing out: %s", anna.last)
	}
}

func guides(t *testing.T, s *site, anna *person, modules string) {
	t.Run("Go", func(t *testing.T) {
		g := newGuide(t, s)
		g.register(s, "web", "guide-go")
		g.start(exec.Command("go", "run", g.write(t.TempDir(), "main.go", g.program("go"))))
		g.walkThrough(anna.in(t))
	})
	t.Run("Node", func(t *testing.T) {
		g := newGuide(t, s)
		g.register(s, "web", "guide-node")
		g.start(exec.Command("node", g.write(modules, "app.mjs", g.program("js"))))
		g.walkThrough(anna.in(t))
	})
	t.Run("Python", func(t *testing.T) {
		g := newGuide(t, s)
		g.register(s, "web", "guide-python")
		g.start(exec.Command("/usr/bin/python3", g.write(t.TempDir(), "app.py", g.program("python"))))
		g.walkThrough(anna.in(t))
	})
}

// servePage serves the page of the guide at its port, and takes what is posted there.
func (g *guide) servePage() {
	g.t.Helper()
	listener, err := net.Listen("tcp", strings.TrimPrefix(g.here, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	page := g.program("html")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.PostFormValue("code") != "" && r.PostFormValue("iss") != "":
			_, _ = io.WriteString(w, "posted with state "+r.PostFormValue("state"))
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, page)
		default:
			w.WriteHeader(http.StatusNoContent) // the icon that browsers ask for
		}
	})}
	g.t.Cleanup(func() { server.Close() })
	go func() { _ = server.Serve(listener) }()
}
