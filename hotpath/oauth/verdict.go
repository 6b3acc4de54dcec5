package oauth

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// A Reading is a token on its way to a verdict. Its memory is reused: pass one in again.
//
//	read   well-formed and authentic, not expired      no I/O
//	       the record: here, or found in the tiers
//	judge  its key still holds, not denied, not cut off; may the caller see it?
type Reading struct {
	Record  store.Record // valid until the reading is used again
	bytes   []byte       // what Record's fields alias
	far     bool         // an opaque token: its record must be found
	key     store.TokenKey
	number  byte              // of the MAC key of an opaque token
	header  []byte            // of a JWT: it names the key; nil of an opaque token; valid as long as the text
	refresh bool              // a refresh token: its record is what its grant says
	waited  bool              // a poll was awaited for the request already
	digest  [sha256.Size]byte // of a JWT's text; here, because it is passed through an interface
}

// read judges the text alone: is it one that we wrote, and not expired? Garbage costs no I/O (promise P6). An error
// means that the text names a key that this replica may just not know.
func (s *Rules) read(text []byte, t *Reading) (bool, error) {
	t.refresh = false
	switch token.KindOf(text) {
	case token.Access:
		return s.readOpaque(text, t)
	case token.JWT:
		return s.readJWT(text, t)
	default:
		return false, nil
	}
}

func (s *Rules) readOpaque(text []byte, t *Reading) (bool, error) {
	opaque, authentic, err := s.open(token.Access, text, t)
	if !authentic || err != nil {
		return false, err
	}
	t.far, t.key = true, store.TokenKey{ID: opaque.ID, Expires: opaque.Expires}
	t.number, t.header = opaque.Key, nil
	return opaque.Expires > s.now(), nil
}

// open reads an opaque text of the kind. What is none of ours is not authentic, which is a verdict and no fault, and costs no I/O
// (promise P6). An error means that the text names a key that this replica may just not know. Of t it touches what awaitKey does.
func (s *Rules) open(kind token.Kind, text []byte, t *Reading) (opaque token.Opaque, authentic bool, err error) {
	opaque, err = token.ParseOpaque(s.Ring, kind, text)
	if errors.Is(err, token.ErrUnknownKey) && s.awaitKey(int(opaque.Key), t) {
		opaque, err = token.ParseOpaque(s.Ring, kind, text)
	}
	if errors.Is(err, token.ErrUnknownKey) {
		return opaque, false, s.unknownKey()
	}
	return opaque, err == nil, nil
}

// readJWT takes a JWT that was verified before from memory, as long as its key is in the ring.
func (s *Rules) readJWT(text []byte, t *Reading) (bool, error) {
	t.far, t.digest = false, sha256.Sum256(text)
	t.header, _, _ = bytes.Cut(text, dot)
	if s.Ring.Verifier(t.header) == nil {
		if !s.awaitKey(256+int(byte(maphash.Bytes(seed, t.header))), t) || s.Ring.Verifier(t.header) == nil {
			return false, s.unknownKey()
		}
	} else if record, ok := s.Tokens.Remembered(t.bytes, &t.digest); ok && t.parse(record) == nil {
		return t.Record.Expires > s.now(), nil
	}
	if token.ParseJWT(s.Ring, s.Issuer, text, &t.Record) != nil || t.Record.Expires <= s.now() {
		return false, nil //nolint:nilerr // likewise
	}
	t.bytes = t.Record.Append(t.bytes[:0])
	s.Tokens.Remember(&t.digest, t.bytes)
	return true, nil
}

// unknownKey is the verdict on a token of a key that is not in the ring: none of ours, and no error, unless the ring
// has a key that no secret here opens, or the replica is cut off from where keys come from.
func (s *Rules) unknownKey() error {
	stale, err := s.Clients.Fresh()
	switch {
	case err != nil:
		return err
	case stale:
		return errStale
	case !s.Ring.Whole():
		return errSealedKey
	}
	return nil
}

var errSealedKey = fmt.Errorf("a key of the ring is sealed to this server: %w: %w", keys.ErrSealed, store.ErrUnavailable)

var (
	dot  = []byte(".")
	seed = maphash.MakeSeed()
)

// parse takes the bytes of a record that was found.
func (t *Reading) parse(record []byte) error {
	t.bytes = record
	return t.Record.Parse(record)
}

// find fetches the record of an opaque token. It reports false when there is none.
func (s *Rules) find(t *Reading) (bool, error) {
	record, tier, err := s.Tokens.Find(t.bytes, t.key)
	if err != nil || tier == cache.TierNone {
		return false, err
	}
	return true, t.parse(record)
}

// alive is the verdict on a record that was found: its key not retired, not denied and not cut off, as far as the fence
// vouches. The fence comes after the record was found, however long that took.
func (s *Rules) alive(t *Reading) (bool, error) {
	if _, err := s.Clients.Fresh(); err != nil {
		return false, err
	}
	return s.holds(t) && !s.Tokens.Dead(&t.Record), nil
}

// holds reports whether the key that made the token is in the ring still: the poll that the fence waited for may have
// brought its end, after the text was read.
func (s *Rules) holds(t *Reading) bool {
	if t.header != nil {
		return s.Ring.Verifier(t.header) != nil
	}
	return s.Ring.MAC(t.number) != nil
}

// verdict reads a token, finds its record and says whether it is alive. It is
// the only way to a verdict: introspection, revocation and whatever comes ask it.
func (s *Rules) verdict(text []byte, t *Reading) (bool, error) {
	t.waited = false
	if authentic, err := s.read(text, t); !authentic || err != nil {
		return false, err
	}
	if t.far {
		if found, err := s.find(t); !found || err != nil {
			return false, err
		}
	}
	return s.alive(t)
}

// maySee reports whether the caller may learn of the token (RFC 7662 §2.1, §4): it was issued to the caller, or for a
// resource that the caller is, or the caller may see all.
func maySee(caller *store.Client, r *store.Record) bool {
	if caller.Introspect == store.IntrospectAny || string(r.Client) == caller.ID {
		return true
	}
	if len(caller.Resources) == 0 {
		return false
	}
	for audience := range bytes.SplitSeq(r.Audience, space) {
		if slices.ContainsFunc(caller.Resources, func(own string) bool { return own == string(audience) }) {
			return true
		}
	}
	return false
}

// unknownKeys remembers when a token last named a key that is not known: by the key's number for opaque
// tokens, and apart from those by a byte of the header's hash for JWTs.
type unknownKeys [512]atomic.Int64 // store's clock, nanoseconds

const (
	keyWait  = int64(100 * time.Millisecond) // two polls
	keyQuiet = int64(time.Second)
)

// awaitKey waits for a poll, which brings a key that was made a moment ago. A flood of unknown keys waits for nothing: a number is awaited during
// one poll in a second, by all who ask meanwhile, and a request waits once. No I/O is made for it.
func (s *Rules) awaitKey(number int, t *Reading) bool {
	now, slot := s.Tokens.Now(), &s.unknown[number]
	first := slot.Load()
	if t.waited || now-first > keyWait && now-first < keyQuiet {
		return false
	}
	if now-first >= keyQuiet {
		slot.CompareAndSwap(first, now)
	}
	t.waited = true
	s.Tokens.AwaitPoll()
	return true
}
