package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// runs runs the reload for a time. It is for a bubble, where time stands still while anything is at work.
func (r *reloading) runs(d time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	if err := r.run(ctx); err != nil {
		r.t.Error(err)
	}
}

// A signal is answered at once, and not at the next look.
func TestSignalIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReloading(t)
		r.hangup = make(chan os.Signal, 1)
		r.hangup <- os.Interrupt
		begin := time.Now()
		r.parts[0].try = func(context.Context, *Config) (func(), error) {
			return func() { r.taken = append(r.taken, time.Since(begin).String()) }, nil
		}
		r.write("level", "debug")
		r.runs(lookEvery / 2)
		r.want("0s", false)
	})
}

// Without a signal a change is in force at the second look, of which there is one each second; what is refused is tried again when five
// are over.
func TestFilesAreLookedAtEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReloading(t)
		after := func(d time.Duration, taken string, refused bool) {
			t.Helper()
			r.runs(d)
			r.want(taken, refused)
		}
		r.write("level", "debug")
		after(1500*time.Millisecond, "", false)
		after(1500*time.Millisecond, "level", false)
		r.broken = errors.New("the database refuses it")
		r.write("session", strings.Repeat("two session keys ", 3))
		after(2500*time.Millisecond, "level", true)
		r.broken = nil
		after(4400*time.Millisecond, "level", true)
		after(1500*time.Millisecond, "level session", false)
	})
}

// Files that change while they are judged are judged again: what was tried is not what there is.
func TestFilesThatChangeWhileTheyAreReadAreRefused(t *testing.T) {
	r := newReloading(t)
	try := r.parts[0].try
	r.parts[0].try = func(ctx context.Context, fresh *Config) (func(), error) {
		r.write("session", strings.Repeat("two session keys ", 3))
		return try(ctx, fresh)
	}
	r.write("level", "debug")
	r.looks(2)
	r.want("", true)
	r.parts[0].try = try
	r.looks(2)
	r.want("level session", false)
}

// When what wants a restart is put back, the log takes back that it does.
func TestARestartThatIsOwedNoMoreIsTold(t *testing.T) {
	r := newReloading(t)
	told := func(want string) {
		t.Helper()
		if lines := strings.Split(strings.TrimSpace(r.log.String()), "\n"); !strings.Contains(lines[len(lines)-1], want) {
			t.Errorf("got %q, want %q last", lines, want)
		}
	}
	r.write("port", "8085")
	r.looks(3)
	told("needs a restart")
	r.write("port", "0")
	r.looks(3)
	told("the files hold again what is in force")
	if strings.Contains(r.log.String(), "one session key") {
		t.Errorf("a secret in the log:\n%s", r.log.String())
	}
}

// An attempt that the end of the server cuts short is no fault of what the files hold.
func TestTheEndOfTheServerRefusesNothing(t *testing.T) {
	r := newReloading(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.parts[0].try = func(ctx context.Context, _ *Config) (func(), error) {
		cancel()
		return nil, ctx.Err()
	}
	r.write("level", "debug")
	r.look(ctx)
	r.look(ctx)
	r.want("", false)
	if ctx.Err() == nil || r.log.Len() > 0 {
		t.Errorf("got %v and the log\n%s", ctx.Err(), r.log.String())
	}
	r.wantMetric(`oauth2_server_config_reloads_total{outcome="refused"} 0`)
}

// What could last for ever is not read again: a file that has become a pipe, or was one and names no variable of its own.
func TestNoLookWaitsForAPipe(t *testing.T) {
	r := newReloading(t)
	if err := errors.Join(os.Remove(r.file("level")), syscall.Mkfifo(r.file("level"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := namedFiles([]string{"OAUTH2_TLS_CERT_FILE=" + r.file("level")}); len(got.paths) != 0 {
		t.Errorf("%v are looked at", got.paths)
	}
	looked := make(chan digests, 1)
	go func() { looked <- r.files.digests() }()
	select {
	case got := <-looked:
		if got["OAUTH2_LOG_LEVEL"] != [32]byte{} || got["OAUTH2_SESSION_KEY"] == [32]byte{} {
			t.Errorf("got %x", got)
		}
	case <-time.After(30 * time.Second):
		t.Error("a look waits for who writes to the pipe")
		_ = os.WriteFile(r.file("level"), nil, 0o600) // then it ends
	}
}
