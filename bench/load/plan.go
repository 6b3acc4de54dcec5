package load

import (
	"crypto/tls"
	"errors"
	"time"
)

// A Shot is a request built beforehand. Workers share it: it is not changed once it was handed out.
type Shot struct {
	Kind  string // "issue", "introspect", …: what results are kept by
	Addr  string // host:port it goes to
	TLS   bool
	Bytes []byte // the whole HTTP/1.1 request, without "Connection: close"

	// Judge looks at an answer: nil is good; an error is counted under its
	// text, which must come from a small set ("status 503", "inactive"). It is
	// called on the worker's goroutine; body is valid during the call only.
	// Nil stands for [Status].
	Judge func(status int, body []byte) error
}

// A Source gives the shots of one worker, which calls it from one goroutine,
// shortly before each is due. Nil ends the worker.
type Source func() *Shot

// A Plan says what to send, how often and for how long.
type Plan struct {
	Sources     func(worker int) Source // required; called for each worker before the first request
	Connections int                     // required: workers, each with a connection of its own to each address
	Rate        Rate                    // nil: closed loop, as fast as answers come. Else open loop: requests leave when they are due
	Duration    time.Duration           // required; without the warm-up
	Warmup      time.Duration           // before it, not recorded; an open loop warms up at the rate it begins with
	Timeout     time.Duration           // of one request on the wire; 0: 5 s
	TLS         *tls.Config             // nil: the system's roots
	Progress    func(Tick)              // called every second, from one goroutine; may be nil
}

const defaultTimeout = 5 * time.Second

// check reports a plan that cannot be run.
func (p *Plan) check() error {
	switch {
	case p.Sources == nil:
		return errors.New("plan has no sources")
	case p.Connections <= 0:
		return errors.New("plan has no connections")
	case p.Duration <= 0:
		return errors.New("plan has no duration")
	case p.Warmup < 0 || p.Timeout < 0:
		return errors.New("plan has a negative time")
	}
	return nil
}
