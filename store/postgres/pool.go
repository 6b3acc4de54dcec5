package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

const (
	connectTimeout = 2 * time.Second // for each address of dialling, TLS and authentication
	dialPatience   = 5 * time.Second // for an attempt over all addresses
	maxLifetime    = time.Hour       // of a connection, so that load moves to a new address; ± a tenth
	pingAfter      = time.Second     // idle for longer than this, a connection is tried before it is used
	renewAgain     = time.Minute     // between attempts to take over from a connection that has lived long enough
	closeTimeout   = time.Second
)

// errClosed is what the methods of a closed DB give.
var errClosed = errors.New("the store is closed")

// A pool is a fixed number of connections, each made when it is first used.
//
// It is not pgxpool, because that keeps the place of a connection that
// missed its deadline for up to 15 s while it tries to close it in good order:
// after a network cut the feed's only place must be free at once.
type pool struct {
	name   string
	config *atomic.Pointer[pgx.ConnConfig] // of the next connections
	places chan *place                     // those not in use
	dials  *dials
	closed chan struct{}

	connected atomic.Int64
	waits     atomic.Int64
	waited    atomic.Int64 // nanoseconds
}

// A place is where a connection is, was or will be.
type place struct {
	conn    *pgx.Conn // nil before the first use
	expires time.Time
	used    time.Time
	next    <-chan dialled // the connection that is to take over, once it is there; nil: none is on its way
}

func newPool(name string, config *atomic.Pointer[pgx.ConnConfig], size int) *pool {
	p := &pool{name: name, config: config, places: make(chan *place, size), dials: newDials(config, size), closed: make(chan struct{})}
	for range size {
		p.places <- new(place)
	}
	return p
}

// use runs f on a connection of its own. A connection that f leaves within a
// transaction is closed, which rolls it back.
func (p *pool) use(ctx context.Context, f func(*pgx.Conn) error) error {
	place, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(place)
	if err := p.connect(ctx, place); err != nil {
		return err
	}
	err = f(place.conn)
	if fault, ok := errors.AsType[*store.Fault](classify(err)); ok && fault.Part == store.StepPrimary {
		p.drop(place) // it was a primary once: the next connection finds out which server is
	}
	return err
}

// take waits for a free place.
func (p *pool) take(ctx context.Context) (*place, error) {
	select {
	case <-p.closed:
		return nil, errClosed
	default:
	}
	select {
	case place := <-p.places:
		return place, nil
	default:
	}
	start := time.Now()
	defer func() {
		p.waits.Add(1)
		p.waited.Add(int64(time.Since(start)))
	}()
	select {
	case place := <-p.places:
		return place, nil
	case <-p.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection of pool %s: %w", p.name, ctx.Err())
	}
}

// give puts a place back for the next user.
func (p *pool) give(place *place) {
	if place.conn != nil {
		place.used = time.Now()
		if place.conn.IsClosed() || place.conn.PgConn().TxStatus() != 'I' {
			p.drop(place)
		}
	}
	p.places <- place
}

// connect makes sure that the place has a connection that looks alive.
func (p *pool) connect(ctx context.Context, place *place) error {
	now := time.Now()
	if place.next != nil || place.conn != nil && now.After(place.expires) {
		p.renew(place)
	}
	if place.conn != nil && hungUp(place.conn.PgConn().Conn()) {
		p.drop(place)
	}
	if place.conn != nil && now.Sub(place.used) > pingAfter && place.conn.Ping(ctx) != nil {
		p.drop(place)
	}
	if place.conn != nil {
		return nil
	}
	conn, err := p.dials.get(ctx)
	if err != nil {
		return err
	}
	p.settle(place, conn)
	return nil
}

// renew lets a new connection take over once it is there; until then the old one goes on, and nobody waits. Where none can be
// made, as between the change of a password in the database and here, the old one goes on for longer.
func (p *pool) renew(place *place) {
	if place.next == nil {
		place.next = p.dials.ahead()
	}
	var fresh dialled
	select {
	case fresh = <-place.next:
		place.next = nil
	default:
		return
	}
	if fresh.err != nil {
		place.expires = time.Now().Add(renewAgain)
		return
	}
	if place.conn != nil {
		p.drop(place)
	}
	p.settle(place, fresh.conn)
	place.used = fresh.at // long ago perhaps: then it is tried first
}

// settle gives the place a connection that was just made.
func (p *pool) settle(place *place, conn *pgx.Conn) {
	now := time.Now()
	p.connected.Add(1)
	place.conn, place.used = conn, now
	place.expires = now.Add(maxLifetime - maxLifetime/10 + rand.N(maxLifetime/5))
}

// drop empties the place at once; the connection is closed behind it.
func (p *pool) drop(place *place) {
	conn := place.conn
	place.conn = nil
	p.connected.Add(-1)
	go hangUp(conn)
}

// hangUp closes a connection in good order if the server still listens.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	conn.Close(ctx) // what fails here has no user any more
}

// close waits for the users of the pool and closes its connections.
func (p *pool) close() {
	close(p.closed)
	var coming []<-chan dialled
	for range cap(p.places) {
		place := <-p.places
		if place.conn != nil {
			p.connected.Add(-1)
			hangUp(place.conn)
		}
		if place.next != nil {
			coming = append(coming, place.next)
		}
	}
	p.dials.close(coming)
}

// PoolStats are the gauges and counters of one pool.
type PoolStats struct {
	Name     string // "feed", "security", "batch", "read"
	Total    int    // connections open
	Idle     int    // of them, not in use
	Acquired int    // places in use
	Limit    int    // places
	Waits    int64  // times that a caller had to wait for a place
	Waited   time.Duration
}

func (p *pool) stats() PoolStats {
	limit, free := cap(p.places), len(p.places)
	total := int(p.connected.Load())
	return PoolStats{
		Name:     p.name,
		Total:    total,
		Idle:     max(0, total-(limit-free)),
		Acquired: limit - free,
		Limit:    limit,
		Waits:    p.waits.Load(),
		Waited:   time.Duration(p.waited.Load()),
	}
}
