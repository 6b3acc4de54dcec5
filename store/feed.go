package store

import "time"

// A Position is a number of the feed: the changes of the whole cluster, in the
// order in which they became visible. Numbers are not consecutive: each is at least the milliseconds since 1970, and
// above the last, so that those drawn after a restore are above all of the history that it lost.
type Position int64

// A Cursor is where a replica stands in the feed. The tag is random: it must
// come back with the row, or the history behind the cursor is another one.
type Cursor struct {
	Seq Position
	Tag int64
}

// A Beat is what one successful poll proves.
type Beat struct {
	Cursor Cursor    // the newest change that was handed out
	Now    time.Time // the store's clock, read during the poll
}

// A Change is one row of the feed. It carries the new state, not a hint to
// read it, so that following the feed is one query. Any part may be absent.
type Change struct {
	Seq     Position `json:"-"`
	Client  *Client  `json:"client,omitempty"`  // created or changed
	Gone    string   `json:"gone,omitempty"`    // id of a client that was deleted
	Keys    []Key    `json:"keys,omitempty"`    // created or changed; those that were reset come as retired
	Denials []Denial `json:"denials,omitempty"` // at most MaxDenials
	Cutoffs []Cutoff `json:"cutoffs,omitempty"`
	Limit   *Limit   `json:"limit,omitempty"`  // created or changed
	Lifted  string   `json:"lifted,omitempty"` // name of a limit that was deleted
}

// MaxDenials bounds the denials of one change.
const MaxDenials = 1000

// DenyKind says what a denial names.
type DenyKind uint8

// What can be denied by id.
const (
	DenyToken   DenyKind = 1
	DenyGrant   DenyKind = 2
	DenySession DenyKind = 3
	DenyKey     DenyKind = 4
)

// A Denial says that one thing is dead before it expires. Denials are
// absolute: no clock and no position takes part.
type Denial struct {
	Kind    DenyKind `json:"kind"`
	ID      ID       `json:"id"`
	Expires int64    `json:"expires"` // Unix seconds; when what it names would have expired
	Actor   string   `json:"actor,omitempty"`
	At      int64    `json:"at,omitempty"` // Unix seconds, set by the store
}

// CutoffKind says whom a cut-off hits.
type CutoffKind string

// Whom a cut-off can hit.
const (
	CutAll     CutoffKind = "all"
	CutClient  CutoffKind = "client"
	CutSubject CutoffKind = "subject"
)

// A Cutoff kills everything whose position is below its number: all of it, a
// client's or a subject's. It is one row however many tokens it hits.
type Cutoff struct {
	Kind   CutoffKind `json:"kind"`
	Name   string     `json:"name,omitempty"` // client id or subject; empty for all
	Number Position   `json:"number"`         // set by the store: the feed number of its change
	Actor  string     `json:"actor,omitempty"`
	At     int64      `json:"at,omitempty"` // Unix seconds, set by the store
}
