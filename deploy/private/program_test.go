package private

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startScript runs a shell script that makes the file "up" in its folder when it serves.
func startScript(t *testing.T, script string, env ...string) (p *Program, up string, err error) {
	t.Helper()
	up = filepath.Join(t.TempDir(), "up")
	p, err = StartProgram(ProgramOptions{
		Name: "script", Line: []string{"/bin/sh", "-c", script}, Env: append(env, "UP="+up),
		Answers: func(context.Context) error { _, err := os.Stat(up); return err },
	})
	if err == nil {
		t.Cleanup(p.Close)
	}
	return p, up, err
}

func TestProgramEndsOnTerminate(t *testing.T) {
	p, up, err := startScript(t, `trap 'echo ended > $UP; exit' TERM; echo $WORD > $UP; while :; do sleep 0.01; done`, "WORD=begun")
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(up); string(text) != "begun\n" {
		t.Errorf("got %q, want the variable", text)
	}
	if err := p.Terminate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(up); string(text) != "ended\n" {
		t.Errorf("got %q, want what the program does at its end", text)
	}
	if err := p.Terminate(t.Context()); err != nil {
		t.Errorf("a program that has ended: got %v, want nothing to do", err)
	}
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
}

func TestTerminateWaitsNoLongerThanItsContext(t *testing.T) {
	p, _, err := startScript(t, `trap '' TERM; echo > $UP; while :; do sleep 0.01; done`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Terminate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestProgramFailureTellsTheLog(t *testing.T) {
	p, _, err := startScript(t, `echo "no such thing" >&2; exit 1`)
	if err == nil {
		p.Close()
		t.Fatal("a program that ended has started")
	}
	if !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %q, want what the log says", err)
	}
}

func TestServersTellTheirVersions(t *testing.T) {
	version, err := TestRedis(t).Version(t.Context())
	if err != nil || version == "" {
		t.Errorf("Redis: got %q, %v, want its version", version, err)
	}
	version, err = TestPostgres(t).Show(t.Context(), "server_version")
	if err != nil || version == "" {
		t.Errorf("Postgres: got %q, %v, want its version", version, err)
	}
	if _, err := TestPostgres(t).Show(t.Context(), "no_such_setting"); err == nil {
		t.Error("a setting that is none has a value")
	}
}
