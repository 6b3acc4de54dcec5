package load

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer waits for points in time. It sleeps on a timer of the kernel, because the runtime's own may wake an idle
// process a millisecond late, and spins for the last microseconds.
type pacer struct {
	timer  *os.File
	poll   syscall.RawConn
	spin   time.Duration
	unhook func() bool
}

const (
	longestSpin = 50 * time.Microsecond // about as late as the kernel wakes us
	spinShare   = 0.05                  // of a core, at most, for the spinning of all workers
)

// spinFor is how long to spin before each of rate requests a second.
func spinFor(rate float64) time.Duration {
	return min(longestSpin, time.Duration(spinShare*float64(time.Second)/max(rate, 1)))
}

// newPacer makes a pacer that stops waiting when ctx ends.
func newPacer(ctx context.Context, spin time.Duration) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	p := &pacer{timer: os.NewFile(uintptr(fd), "timer"), spin: spin}
	if p.poll, err = p.timer.SyscallConn(); err != nil {
		return nil, fmt.Errorf("poll timer: %w", err)
	}
	p.unhook = context.AfterFunc(ctx, func() { _ = p.timer.SetReadDeadline(time.Unix(1, 0)) })
	return p, nil
}

// until waits for a point in time and reports false when ctx ended before it.
func (p *pacer) until(ctx context.Context, at time.Time) bool {
	for {
		left := time.Until(at)
		switch {
		case left <= 0:
			return ctx.Err() == nil
		case left <= p.spin:
			runtime.Gosched()
		case p.sleep(left-p.spin) != nil:
			return false
		}
	}
}

// sleep waits for the timer, or the end of ctx.
func (p *pacer) sleep(long time.Duration) (err error) {
	armed := false
	// The timer is armed only when the poller already watches: what it tells is told once.
	pollErr := p.poll.Read(func(fd uintptr) bool {
		if armed {
			return true
		}
		armed = true
		err = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(long))}, nil)
		return err != nil
	})
	if err != nil {
		return err
	}
	return pollErr
}

func (p *pacer) close() {
	p.unhook()
	_ = p.timer.Close()
}
