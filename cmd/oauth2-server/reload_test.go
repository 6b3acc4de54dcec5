package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/VictoriaMetrics/metrics"
)

// reloading is a reload over two files, and two parts that note what is taken.
type reloading struct {
	*reload
	t       *testing.T
	dir     string
	set     *metrics.Set
	log     bytes.Buffer
	taken   []string
	settled int
	broken  error // of the part of the session key
	late    error // of settling it
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	r := &reloading{t: t, dir: t.TempDir(), set: metrics.NewSet()}
	r.write("session", strings.Repeat("one session key ", 3))
	r.write("level", "info")
	r.write("port", "0")
	environ := []string{
		"OAUTH2_SESSION_KEY_FILE=" + r.file("session"), "OAUTH2_LOG_LEVEL_FILE=" + r.file("level"), "OAUTH2_SERVER_PORT_FILE=" + r.file("port"),
	}
	from := source{files: namedFiles(environ)}
	from.start = from.files.digests()
	c, err := loadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	r.reload = newReload(c, from, r.set, slog.New(slog.NewJSONHandler(&r.log, nil)))
	note := func(name string) func() { return func() { r.taken = append(r.taken, name) } }
	r.parts = []part{
		{names: []string{"OAUTH2_LOG_LEVEL"}, try: func(context.Context, *Config) (func(), error) { return note("level"), nil }},
		{
			names:  []string{"OAUTH2_SESSION_KEY"},
			try:    func(context.Context, *Config) (func(), error) { return note("session"), r.broken },
			settle: func(context.Context, *Config) error { r.settled++; return r.late },
		},
	}
	return r
}

func (r *reloading) file(name string) string { return filepath.Join(r.dir, name) }

func (r *reloading) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// looks looks n times, without the waits between.
func (r *reloading) looks(n int) {
	for range n {
		r.look(r.t.Context())
	}
}

// again lets the time pass after which what was refused is tried again.
func (r *reloading) again() {
	r.tried = r.tried.Add(-2 * retryEvery)
	r.looks(1)
}

func (r *reloading) want(taken string, refused bool) {
	r.t.Helper()
	if got := strings.Join(r.taken, " "); got != taken || (r.standing().refused != "") != refused {
		r.t.Errorf("got %q taken, refused %q; want %q, %t", got, r.standing().refused, taken, refused)
	}
}

func (r *reloading) wantMetric(line string) {
	r.t.Helper()
	var text bytes.Buffer
	r.set.WritePrometheus(&text)
	if !slices.Contains(strings.Split(text.String(), "\n"), line) {
		r.t.Errorf("no %q in\n%s", line, text.String())
	}
}

func TestFilesAreTakenOverOnceTheyStand(t *testing.T) {
	r := newReloading(t)
	r.looks(3)
	r.want("", false)
	r.write("level", "deb") // half written
	r.looks(1)
	r.write("level", "debug")
	r.looks(1)
	r.want("", false)
	r.looks(1)
	r.want("level", false)
	if r.config().LogLevel != "debug" {
		t.Errorf("got level %q in effect", r.config().LogLevel)
	}
	r.looks(3)
	r.want("level", false)
	r.wantMetric(`oauth2_server_config_reloads_total{outcome="applied"} 1`)
	r.wantMetric(`oauth2_server_config_reloads_total{outcome="refused"} 0`)
	r.wantMetric(`oauth2_server_config_reload_ok 1`)
}

func TestALineEndIsNoChange(t *testing.T) {
	r := newReloading(t)
	r.write("level", "info\n")
	r.looks(3)
	r.want("", false)
	r.wantMetric(`oauth2_server_config_reloads_total{outcome="unchanged"} 0`)
}

// All or nothing: of two changes, one of them bad, none is in force; both are once the bad one is mended.
func TestABadFileKeepsAllOfTheOld(t *testing.T) {
	for name, spoil := range map[string]func(r *reloading){
		"value":   func(r *reloading) { r.write("session", "too short") },
		"missing": func(r *reloading) { _ = os.Remove(r.file("session")) },
		"empty":   func(r *reloading) { r.write("session", "") },
		"part": func(r *reloading) {
			r.write("session", strings.Repeat("two session keys ", 3))
			r.broken = errors.New("it opens nothing")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReloading(t)
			before := r.config().SessionKey
			spoil(r)
			r.write("level", "debug")
			r.looks(4)
			r.again()
			r.want("", true)
			if !strings.Contains(r.standing().refused, "OAUTH2_SESSION_KEY") || strings.Contains(r.standing().refused, "too short") || r.config().SessionKey != before {
				t.Errorf("got %q", r.standing().refused)
			}
			if got := strings.Count(r.log.String(), "refused"); got != 1 {
				t.Errorf("told %d times, want once:\n%s", got, r.log.String())
			}
			r.wantMetric(`oauth2_server_config_reloads_total{outcome="refused"} 1`)
			r.wantMetric(`oauth2_server_config_reload_ok 0`)
			r.broken = nil
			r.write("session", strings.Repeat("two session keys ", 3))
			r.looks(2)
			r.again()
			r.want("level session", false)
			r.wantMetric(`oauth2_server_config_reload_ok 1`)
			if strings.Contains(r.log.String(), "two session") || strings.Contains(r.log.String(), "one session") {
				t.Errorf("a secret in the log:\n%s", r.log.String())
			}
		})
	}
}

// The fault may be elsewhere: a password that the database does not know yet is good later, and no file changes.
func TestWhatWasRefusedIsTriedAgain(t *testing.T) {
	r := newReloading(t)
	r.broken = errors.New("the database refuses it")
	r.write("session", strings.Repeat("two session keys ", 3))
	r.looks(4)
	r.want("", true)
	r.broken = nil
	r.looks(4)
	r.want("", true) // not at every look
	r.again()
	r.want("session", false)
}

func TestFilesPutBackAreInForce(t *testing.T) {
	r := newReloading(t)
	r.write("level", "loud")
	r.looks(3)
	r.want("", true)
	r.write("level", "info")
	r.looks(3)
	r.want("", false)
	r.wantMetric(`oauth2_server_config_reload_ok 1`)
}

// What is left to do in the store is tried until it is done, and until then not all is in force.
func TestReloadSettlesUntilItIsDone(t *testing.T) {
	r := newReloading(t)
	r.late = errors.New("the store is away")
	r.write("session", strings.Repeat("two session keys ", 3))
	r.looks(3)
	r.want("session", false)
	r.wantMetric(`oauth2_server_config_reload_ok 0`)
	if got := r.standing().unfinished; !strings.Contains(got, "the store is away") || strings.Contains(r.log.String(), "refused") || !strings.Contains(r.log.String(), "in force, but not finished in the store") {
		t.Errorf("got %q, and it is told as\n%s", got, r.log.String())
	}
	r.late = nil
	r.again()
	r.want("session", false)
	r.wantMetric(`oauth2_server_config_reload_ok 1`)
	r.again()
	if r.settled != 2 {
		t.Errorf("settled %d times, want twice", r.settled)
	}
}

func TestWhatNeedsARestartIsNamed(t *testing.T) {
	r := newReloading(t)
	r.write("port", "8085")
	r.write("level", "debug")
	r.looks(6)
	r.want("level", false)
	if got := strings.Count(r.log.String(), `"applied":["OAUTH2_LOG_LEVEL"],"restart":["OAUTH2_SERVER_PORT"]`); got != 1 || r.config().Port != 0 {
		t.Errorf("got %d lines, port %d:\n%s", got, r.config().Port, r.log.String())
	}
}

// What needs a restart is owed until the file is put back, whatever else is taken or refused meanwhile.
func TestARestartIsOwedUntilTheFileIsPutBack(t *testing.T) {
	r := newReloading(t)
	owed := func(want string) {
		t.Helper()
		if got := strings.Join(r.standing().restart, " "); got != want {
			t.Errorf("got a restart owed for %q, want %q", got, want)
		}
	}
	r.write("port", "8085")
	r.looks(3)
	owed("OAUTH2_SERVER_PORT")
	r.write("level", "debug")
	r.looks(3)
	owed("OAUTH2_SERVER_PORT")
	r.write("session", "too short")
	r.looks(3)
	owed("OAUTH2_SERVER_PORT")
	r.want("level", true)
	r.write("session", strings.Repeat("one session key ", 3))
	r.write("port", "0")
	r.looks(3)
	owed("")
	r.want("level", false)
}

// What others are judged by is taken before them, and stays taken when they are refused; they are taken together, or none of them.
func TestWhatProvesItselfIsTakenFirst(t *testing.T) {
	r := newReloading(t)
	r.parts[0].first = true
	r.parts[1].try = func(context.Context, *Config) (func(), error) {
		if len(r.taken) == 0 {
			return nil, errors.New("the store is out of reach")
		}
		return func() { r.taken = append(r.taken, "session") }, r.broken
	}
	r.parts[0], r.parts[1] = r.parts[1], r.parts[0]
	r.write("level", "debug")
	r.write("session", strings.Repeat("two session keys ", 3))
	r.broken = errors.New("it is not ready yet")
	r.looks(3)
	r.want("level", true)
	if r.config().LogLevel != "debug" {
		t.Errorf("got level %q in effect", r.config().LogLevel)
	}
	r.broken = nil
	r.again()
	r.want("level session", false)
}

// A pipe can be read but once: its value is kept, and it is neither looked at nor read again.
func TestPipesAreReadOnce(t *testing.T) {
	r := newReloading(t)
	pipe := r.file("pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(strings.Repeat("a piped session ", 3)+"\n"), 0o600) }()
	from := source{files: namedFiles(readPipes([]string{"OAUTH2_SESSION_KEY_FILE=" + pipe, "OAUTH2_LOG_LEVEL_FILE=" + r.file("level")}))}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	from.start = from.files.digests()
	c, err := loadConfig(from.files.environ)
	if err != nil || string(c.SessionKey) != strings.Repeat("a piped session ", 3) {
		t.Fatalf("got %v", err)
	}
	parts := r.parts
	r.reload = newReload(c, from, metrics.NewSet(), r.reload.log)
	r.parts = parts
	r.write("level", "debug")
	r.looks(3)
	r.want("level", false)
	if r.config().SessionKey != c.SessionKey {
		t.Error("the value of the pipe is lost")
	}
}

// A mounted secret of Kubernetes is a link to a link to a folder, and the middle one is swapped.
func TestSwappedLinksAreSeen(t *testing.T) {
	r := newReloading(t)
	link := func(name, to string) {
		t.Helper()
		if err := errors.Join(os.Symlink(to, r.file("new")), os.Rename(r.file("new"), r.file(name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"..1", "..2"} {
		if err := os.Mkdir(r.file(version), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.write("..1/level", "info")
	r.write("..2/level", "warn")
	link("..data", "..1")
	link("level", "..data/level")
	r.looks(2)
	r.want("", false)
	link("..data", "..2")
	r.looks(2)
	r.want("level", false)
	if r.config().LogLevel != "warn" {
		t.Errorf("got level %q", r.config().LogLevel)
	}
}

func TestNamedFiles(t *testing.T) {
	f := namedFiles([]string{
		"OAUTH2_JWT_SECRET_FILE=/a", "OAUTH2_TLS_CERT_FILE=/b", "OAUTH2_TLS_KEY_FILE_FILE=/c", "OAUTH2_LOG_LEVEL=info", "OAUTH2_NOTHING_FILE=/d",
		"OAUTH2_SESSION_KEY_FILE=", "HOME_FILE=/e",
	})
	want := map[string]string{"OAUTH2_JWT_SECRET": "/a", "OAUTH2_TLS_CERT_FILE": "/b", "OAUTH2_TLS_KEY_FILE": "/c"}
	if len(f.paths) != len(want) {
		t.Errorf("got %v", f.paths)
	}
	for name, path := range want {
		if f.paths[name] != path {
			t.Errorf("%s: got %q, want %q", name, f.paths[name], path)
		}
	}
}
