// Package floor measures what the machine and HTTP alone cost: /health of the
// server and an empty fasthttp handler, by the same generator as everything else.
package floor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/target"
)

// Serve answers every request with a few bytes, on a free port of 127.0.0.1 that it prints to w, until ctx ends. It is
// meant to be a process of its own, with its own garbage collector.
func Serve(ctx context.Context, w io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, l.Addr()); err != nil {
		return err
	}
	server := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) { c.SetBodyString(`{"status":"healthy"}`) }}
	context.AfterFunc(ctx, func() { l.Close() })
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// Options say how to measure.
type Options struct {
	Line        []string // of the process that calls Serve; nil: no empty handler
	Connections int
	Duration    time.Duration // of each of the two
}

// Measure is the floor: the closed loop over both, one after the other. A target without /health has none.
func Measure(ctx context.Context, t *target.Target, o Options) (*result.Floor, error) {
	f := &result.Floor{Connections: o.Connections}
	if t.Paths.Health != "" {
		outcome, err := o.play(ctx, t.Get(0, t.Paths.Health))
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", t.Paths.Health, err)
		}
		f.Health, f.HealthP99 = outcome.Throughput, outcome.Total.Latency.Quantile(0.99)
	}
	if o.Line == nil {
		return f, nil
	}
	addr, end, err := o.start()
	if err != nil {
		return nil, fmt.Errorf("start the empty handler: %w", err)
	}
	defer end()
	shot := &load.Shot{Kind: "empty", Addr: addr, Bytes: []byte("GET / HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")}
	outcome, err := o.play(ctx, shot)
	if err != nil {
		return nil, fmt.Errorf("measure the empty handler: %w", err)
	}
	f.Empty, f.EmptyP99 = outcome.Throughput, outcome.Total.Latency.Quantile(0.99)
	return f, nil
}

func (o Options) play(ctx context.Context, shot *load.Shot) (*load.Outcome, error) {
	return load.Run(ctx, load.Plan{
		Sources:     func(int) load.Source { return func() *load.Shot { return shot } },
		Connections: o.Connections, Duration: o.Duration, Warmup: o.Duration / 4,
	})
}

// start runs the empty handler; end kills it and waits for that.
func (o Options) start() (addr string, end func(), err error) {
	command := exec.Command(o.Line[0], o.Line[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	started, stop, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
		defer close(ended)
		err := command.Start()
		started <- err
		if err == nil {
			<-stop
			_ = command.Process.Kill()
			_ = command.Wait() // it was killed
		}
	}()
	if err := <-started; err != nil {
		return "", nil, err
	}
	end = func() { close(stop); <-ended }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		return "", nil, errors.Join(errors.New("it prints no address"), err)
	}
	return strings.TrimSpace(line), end, nil
}
