package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// dials makes the connections of a pool. An attempt outlives a caller who cannot wait for it, and what it brings is
// there for the next: connecting to a slow database takes several trips, and callers with short deadlines
// would else begin anew for ever. The caller's place in the pool is free at once all the same.
type dials struct {
	config *atomic.Pointer[pgx.ConnConfig]
	ctx    context.Context // ended by close
	stop   context.CancelFunc
	begun  chan struct{} // one for each attempt, until its outcome is taken: as many as the pool has places
	ended  chan dialled
}

type dialled struct {
	conn *pgx.Conn
	err  error
	at   time.Time
}

func newDials(config *atomic.Pointer[pgx.ConnConfig], size int) *dials {
	ctx, stop := context.WithCancel(context.Background())
	return &dials{config: config, ctx: ctx, stop: stop, begun: make(chan struct{}, size), ended: make(chan dialled, size)}
}

// get waits for a connection, beginning an attempt if fewer than the pool has places are under way.
func (d *dials) get(ctx context.Context) (*pgx.Conn, error) {
	asked := time.Now()
	for {
		select {
		case d.begun <- struct{}{}:
			go d.dial()
		default:
		}
		select {
		case outcome := <-d.ended:
			if outcome.err == nil && tooLate(ctx, asked) {
				d.ended <- outcome
				return nil, fmt.Errorf("connect: %w", context.DeadlineExceeded)
			}
			<-d.begun
			switch {
			case outcome.err != nil && outcome.at.After(asked):
				return nil, outcome.err
			case outcome.err != nil: // of an earlier time, and nobody waited for it
			case hungUp(outcome.conn.PgConn().Conn()):
				hangUp(outcome.conn)
			default:
				return outcome.conn, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("connect: %w", ctx.Err())
		}
	}
}

// ahead gets a connection for a caller who does not wait: it comes by the channel, or why there is none.
func (d *dials) ahead() <-chan dialled {
	coming := make(chan dialled, 1)
	go func() {
		ctx, cancel := context.WithTimeout(d.ctx, 2*dialPatience) // more than half of it is left when an attempt ends: see tooLate
		defer cancel()
		conn, err := d.get(ctx)
		coming <- dialled{conn, err, time.Now()}
	}()
	return coming
}

// tooLate: a caller who has waited for more than half of its time leaves the connection to the next one, who begins
// with all of it. A statement that the deadline cuts short takes the connection with it, and nobody would get on.
func tooLate(ctx context.Context, asked time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < time.Since(asked)
}

func (d *dials) dial() {
	ctx, cancel := context.WithTimeout(d.ctx, dialPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, d.config.Load())
	d.ended <- dialled{conn, err, time.Now()}
}

// close ends the attempts under way, those of ahead among them, and closes what they bring. Nobody else calls get any more.
func (d *dials) close(coming []<-chan dialled) {
	d.stop()
	for _, one := range coming {
		if outcome := <-one; outcome.conn != nil {
			hangUp(outcome.conn)
		}
	}
	for free := 0; free < cap(d.begun); {
		select {
		case outcome := <-d.ended:
			<-d.begun
			if outcome.conn != nil {
				hangUp(outcome.conn)
			}
		case d.begun <- struct{}{}:
			free++
		}
	}
}
