package store

import (
	"fmt"
	"time"
)

// What a mutation makes of its nouns is the same in every database; only the
// SQL differs. These are the parts that know no SQL.

// First is c as it is created: version 1, the times set.
func (c Client) First(now time.Time) Client {
	c.Version, c.Created, c.Updated = 1, now, now
	return c
}

// Next is c as the version after old. The id, the version and the times belong
// to the store: whatever c says of them is overruled.
func (c Client) Next(old *Client, now time.Time) Client {
	c.ID, c.Version, c.Created, c.Updated = old.ID, old.Version+1, old.Created, now
	return c
}

// Changed is the change that tells of client's next version. Disabling it cuts
// it off in the same change; enabling it again lifts no cut-off.
func Changed(old, client *Client, actor Actor) Change {
	change := Change{Client: client}
	if client.Disabled && !old.Disabled {
		change.Cutoffs = []Cutoff{{Kind: CutClient, Name: client.ID, Actor: actor.String()}}
	}
	return change
}

// Deleted is the change that tells that client id is gone, and cuts it off.
func Deleted(id string, actor Actor) Change {
	return Change{Gone: id, Cutoffs: []Cutoff{{Kind: CutClient, Name: id, Actor: actor.String()}}}
}

// Reset is the change that puts keys in the place of old and cuts off
// everything. The old ones are told as retired, without their sealed parts:
// followers drop a retired key.
func Reset(old, keys []Key, actor Actor) Change {
	change := Change{Cutoffs: []Cutoff{{Kind: CutAll, Actor: actor.String()}}}
	for _, key := range old {
		key = key.Masked()
		key.State = KeyRetired
		change.Keys = append(change.Keys, key)
	}
	change.Keys = append(change.Keys, keys...)
	return change
}

// ChangedLimit is the change that tells of a limit's next version, or, when limit is nil, that old is deleted.
func ChangedLimit(old, limit *Limit) Change {
	if limit == nil {
		return Change{Lifted: old.Name}
	}
	return Change{Limit: limit}
}

// ChangedUser is the change that makes user, nil when old is deleted, of old, nil when the user is new. Replicas do not
// hold users: all that they are told is the cut-off of one whose sessions end.
func ChangedUser(old, user *User, actor Actor) Change {
	if old == nil || user != nil && !user.EndsSessions(old) {
		return Change{}
	}
	return Change{Cutoffs: []Cutoff{{Kind: CutSubject, Name: old.ID.String(), Actor: actor.String()}}}
}

// Place gives the change its number in the feed and the time to what has none.
// A cut-off that has a number keeps it: it comes from a history that was lost.
func (c *Change) Place(seq Position, now time.Time) {
	c.Seq = seq
	for i := range c.Cutoffs {
		if cut := &c.Cutoffs[i]; cut.Number == 0 {
			cut.Number, cut.At = seq, now.Unix()
		}
	}
	for i := range c.Denials {
		if d := &c.Denials[i]; d.At == 0 {
			d.At = now.Unix()
		}
	}
}

// Masked is the key as it may be shown and audited: without its sealed parts.
func (k Key) Masked() Key {
	k.Seals = nil
	return k
}

// String is the kind in one word.
func (k DenyKind) String() string {
	switch k {
	case DenyToken:
		return "token"
	case DenyGrant:
		return "grant"
	case DenySession:
		return "session"
	case DenyKey:
		return "key"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}
