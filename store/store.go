package store

import "errors"

// The four errors a caller may branch on. Everything else is a plain error,
// answered as a server error and seen only in the log.
var (
	// ErrNotFound means that there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the name is taken, or that the thing changed since it was read.
	ErrConflict = errors.New("conflict")
	// ErrSpent means that a single-use record was used before.
	ErrSpent = errors.New("already used")
	// ErrUnavailable means a fault, a deadline or a full queue. Nothing is
	// known about the outcome; over HTTP it is always 503.
	ErrUnavailable = errors.New("store unavailable")
)

// A Fault is an [ErrUnavailable] that names the part that failed, for /ready and people.
type Fault struct {
	Part string // one of Steps
	Err  error
}

func (f *Fault) Error() string { return f.Part + ": " + f.Err.Error() }

// Is makes every Fault an [ErrUnavailable].
func (f *Fault) Is(target error) bool { return target == ErrUnavailable }

func (f *Fault) Unwrap() error { return f.Err }

// ActorCLI is the kind of an [Actor] at the command line.
const ActorCLI = "cli"

// An Actor is who makes a change. It is kept with the change and in the audit.
type Actor struct {
	Kind    string `json:"kind"`              // ActorCLI, "client", "replica", "admin"
	ID      string `json:"id"`                // operating-system user, client id, replica id, user name
	Address string `json:"address,omitempty"` // where from, when it came over a network
}

func (a Actor) String() string {
	s := a.Kind + ":" + a.ID
	if a.Address != "" {
		s += "@" + a.Address
	}
	return s
}
