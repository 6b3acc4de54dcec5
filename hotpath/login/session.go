package login

import (
	"encoding/binary"
	"time"

	"oauth2-server/store"
)

// SessionLife is how long a session lasts, whatever is done with it.
const SessionLife = 12 * time.Hour

// A Session is somebody who has signed in. Nothing of it is stored: the browser keeps it, sealed by [Sessions].
type Session struct {
	ID         store.ID // new at every sign-in: nobody can choose one for somebody else
	User       store.ID
	Generation int64 // store.User.Sessions when it began
	Issued     int64 // Unix seconds
	Expires    int64 // Unix seconds: SessionLife after Issued
	// Position of the feed that was applied before the user was read: a newer cut-off ends the session; of an operator's, one of all.
	Position store.Position
}

// NewSession is of a user who has just signed in.
func NewSession(user *store.User, now time.Time) Session {
	return Session{ID: store.NewID(now), User: user.ID, Generation: user.Sessions, Issued: now.Unix(), Expires: now.Add(SessionLife).Unix()}
}

// Valid reports whether the session still stands, given the user as the store has it now (nil: deleted): disabling the user,
// a new password and another role end it. role is the one that is demanded; "": any.
func (s *Session) Valid(user *store.User, role string) bool {
	return user != nil && user.ID == s.User && !user.Disabled && user.Sessions == s.Generation &&
		(role == "" || user.Role == role)
}

const sessionBytes = 16 + 16 + 8 + 8 + 8

// append writes the session: fixed places, so that there is one text for it.
func (s *Session) append(dst []byte) []byte {
	dst = append(append(dst, s.ID[:]...), s.User[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Generation))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Issued))
	return binary.BigEndian.AppendUint64(dst, uint64(s.Position))
}

// parse reads what append writes.
func (s *Session) parse(b []byte) {
	copy(s.ID[:], b[0:16])
	copy(s.User[:], b[16:32])
	s.Generation = int64(binary.BigEndian.Uint64(b[32:40]))
	s.Issued = int64(binary.BigEndian.Uint64(b[40:48]))
	s.Expires = s.Issued + int64(SessionLife/time.Second)
	s.Position = store.Position(binary.BigEndian.Uint64(b[48:56]))
}
