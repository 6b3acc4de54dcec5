package private

import (
	"context"
	"fmt"
	"syscall"
)

// Program is any other program that serves: a replica of the server under
// test. Its log is its standard output and error.
type Program struct{ server }

// ProgramOptions say how to run a program.
type ProgramOptions struct {
	Name    string                          // for errors
	Line    []string                        // the program's path and its arguments
	Env     []string                        // beside PATH, LC_ALL and TZ
	Answers func(ctx context.Context) error // nil once it serves; asked until then
}

// StartProgram starts a program in a new folder, and returns once it answers.
func StartProgram(o ProgramOptions) (*Program, error) {
	dir, err := newFolder("", o.Name)
	if err != nil {
		return nil, err
	}
	p := &Program{server{name: o.Name, dir: dir, command: o.Line, env: o.Env, answers: o.Answers}}
	if err := p.launch(); err != nil {
		return nil, err
	}
	return p, nil
}

// Terminate asks the program to end (SIGTERM) and returns when it has, by ctx's end at the latest.
func (p *Program) Terminate(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("terminate %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("terminate %s: it does not end: %w", p.name, ctx.Err())
	}
}

// FreePort finds a port for a program about to start.
func FreePort() (int, error) { return freePort() }
