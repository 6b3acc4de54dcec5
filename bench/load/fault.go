package load

import (
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"

	"github.com/valyala/fasthttp"
)

// A fault is why there is no answer to judge. Its text is what it is counted under.
type fault string

func (f fault) Error() string { return string(f) }

// The faults there are.
const (
	TimedOut    = fault("timeout")            // no answer within Plan.Timeout
	Refused     = fault("refused connection") // nobody listens
	Unreachable = fault("no connection")      // any other reason: name, route, TLS
	Closed      = fault("closed")             // by the server, before or within the answer
	Malformed   = fault("malformed answer")   // not HTTP, or more than one answer
	TooLarge    = fault("answer too large")   // above 16 MiB
	NoneFree    = fault("no free connection") // open loop: not sent, none was free within Plan.Timeout, or until the end
	interrupted = fault("interrupted")        // the run was cancelled: not counted
)

// dialFault says why no connection came about.
func dialFault(err error) fault {
	switch {
	case isTimeout(err):
		return TimedOut
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	}
	return Unreachable
}

// answerFault says why no answer came about on a connection.
func answerFault(err error) fault {
	switch {
	case isTimeout(err):
		return TimedOut
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return TooLarge
	case isClosed(err):
		return Closed
	}
	return Malformed
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

func isClosed(err error) bool {
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, closed) {
			return true
		}
	}
	return false
}

// Status is the judge of a shot that has none: any 2xx is good.
func Status(status int, _ []byte) error {
	if status/100 == 2 {
		return nil
	}
	return statusError(status)
}

type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }
