package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// A worker sends one request at a time.
type worker struct {
	run    *run
	source Source
	pacer  *pacer
	out    *recorder
	conns  map[address]*conn
}

type address struct {
	addr string
	tls  bool
}

// pauseRefused keeps a closed loop from hammering an address that nobody listens on.
const pauseRefused = 10 * time.Millisecond

func (w *worker) play(ctx context.Context) {
	if w.run.schedule != nil {
		w.openLoop(ctx)
	} else {
		w.closedLoop(ctx)
	}
	for _, c := range w.conns {
		c.drop()
	}
	w.pacer.close()
}

// closedLoop sends the next request when the answer is there.
func (w *worker) closedLoop(ctx context.Context) {
	for {
		shot := w.source()
		start := w.run.now()
		if shot == nil || start >= w.run.end {
			return
		}
		err := w.send(ctx, shot)
		if ctx.Err() != nil {
			return
		}
		w.record(shot, start, notFree, err)
		if errors.Is(err, Refused) && !w.pacer.until(ctx, time.Now().Add(pauseRefused)) {
			return
		}
	}
}

// openLoop takes the next request that is due, waits for its time, and sends
// it. Latency counts from that time, however late it leaves.
func (w *worker) openLoop(ctx context.Context) {
	for {
		due, ok := w.run.schedule.due(w.run.next.Add(1) - 1)
		if !ok {
			w.pacer.until(ctx, w.run.begin.Add(w.run.end))
			return
		}
		free := w.run.now() <= due
		shot := w.source()
		if shot == nil {
			return
		}
		if !w.pacer.until(ctx, w.run.begin.Add(due)) {
			return
		}
		lag, err := w.run.now()-due, error(NoneFree)
		if free || !w.run.givenUp(due) {
			err = w.send(ctx, shot)
		}
		if ctx.Err() != nil {
			return
		}
		if !free {
			lag = notFree
		}
		w.record(shot, due, lag, err)
	}
}

// send sends a request and judges the answer.
func (w *worker) send(ctx context.Context, shot *Shot) error {
	status, body, err := w.conn(shot).exchange(ctx, shot.Bytes)
	switch {
	case err != nil:
		return err
	case shot.Judge != nil:
		return shot.Judge(status, body)
	}
	return Status(status, body)
}

func (w *worker) conn(shot *Shot) *conn {
	key := address{shot.Addr, shot.TLS}
	c := w.conns[key]
	if c == nil {
		c = &conn{addr: shot.Addr, timeout: w.run.plan.Timeout}
		if shot.TLS {
			c.tls = tlsConfig(w.run.plan.TLS, shot.Addr)
		}
		w.conns[key] = c
	}
	return c
}

// tlsConfig is the plan's, for the name in addr.
func tlsConfig(base *tls.Config, addr string) *tls.Config {
	config := &tls.Config{}
	if base != nil {
		config = base.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return config
}

// notFree is the lag of a request that had to wait for a connection, or waits for nothing in a closed loop.
const notFree = time.Duration(-1)

// record keeps what became of a request, unless it belongs to the warm-up.
func (w *worker) record(shot *Shot, start, lag time.Duration, err error) {
	if start < w.run.plan.Warmup {
		return
	}
	s := sample{kind: shot.Kind, latency: w.run.now() - start, lag: lag}
	if err != nil {
		s.fault = err.Error()
	}
	w.out.add(s)
}
