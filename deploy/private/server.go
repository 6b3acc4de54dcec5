package private

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute           // a machine may be busy
	tryTimeout   = 2 * time.Second       // one attempt to talk to a starting server
	tryAgain     = 10 * time.Millisecond // between two attempts
	logTail      = 2000                  // bytes of the log that an error tells
)

// A server is one child process and its folder.
type server struct {
	name    string // for errors
	dir     string // holds all it writes, and its log
	command []string
	env     []string                        // of the child, beside what all have
	as      *syscall.Credential             // nil: the user we are
	answers func(ctx context.Context) error // nil once the child, and no other process, answers
	sweep   func()                          // removes what a killed child leaves behind; may be nil

	mu    sync.Mutex // one act at a time
	pid   int
	ended chan struct{} // closed when the child was reaped
}

// Pid is the process id of the server, of its first process if it has many.
func (s *server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Stop stops all processes of the server (SIGSTOP): connections stay open and
// new ones are made by the kernel, but nothing answers.
func (s *server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() {
		freeze(s.pid)
	}
}

// Continue ends what Stop began (SIGCONT).
func (s *server) Continue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() {
		signal(tree(s.pid), syscall.SIGCONT)
	}
}

// Kill kills all processes of the server (SIGKILL), stopped or not. When it
// returns they are gone and the port is free.
func (s *server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

// Restart starts the server again on the same port and folder. It kills
// the server before if it still runs.
func (s *server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	return s.start()
}

// Close kills the server and removes its folder.
func (s *server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	_ = os.RemoveAll(s.dir) // a temporary folder: what cannot be removed is left to the system
}

// launch is Restart for the first start: a server that cannot start is closed.
func (s *server) launch() error {
	err := s.Restart()
	if err != nil {
		s.Close()
	}
	return err
}

func (s *server) running() bool {
	if s.ended == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

func (s *server) kill() {
	if s.ended == nil {
		return
	}
	if s.running() {
		procs := freeze(s.pid)
		signal(procs, syscall.SIGKILL)
		awaitEnd(procs)
	}
	<-s.ended
	if s.sweep != nil {
		s.sweep()
	}
	s.ended = nil
}

func (s *server) start() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer log.Close()
	cmd := command(s.dir, s.as, s.command...)
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.ended, err = spawn(cmd); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.pid = cmd.Process.Pid
	return s.await()
}

// await returns when the child answers.
func (s *server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := s.try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("start %s: it ended:\n%s", s.name, s.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("start %s: no answer within %v: %w\n%s", s.name, startTimeout, err, s.lastLog())
		case <-time.After(tryAgain): // another process: there is no event to await
		}
	}
}

func (s *server) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return s.answers(ctx)
}

func (s *server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *server) lastLog() []byte {
	text, _ := os.ReadFile(s.logFile()) // an empty answer says enough
	return bytes.TrimSpace(text[max(0, len(text)-logTail):])
}

// newFolder makes a folder for a server below dir; its path is absolute, for
// children have another working directory.
func newFolder(dir, name string) (string, error) {
	folder, err := os.MkdirTemp(dir, "private-"+name+"-")
	if err == nil {
		folder, err = filepath.Abs(folder)
	}
	if err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	return folder, nil
}

// command prepares a child with an environment of our own: no PGPORT or
// locale of the caller changes what it does.
func command(dir string, as *syscall.Credential, line ...string) *exec.Cmd {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: as,
		Setpgid:    true, // a ^C at the terminal is for us; we end the child
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// spawn starts cmd; the channel it returns is closed when the child has ended.
func spawn(cmd *exec.Cmd) (chan struct{}, error) {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// Pdeathsig is sent when the thread that started the child ends. This
		// goroutine keeps its thread as long as the child lives.
		runtime.LockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}
