package cache

import (
	"sync"
	"sync/atomic"

	"oauth2-server/store"
)

// denySet is what is dead before it expires, whole, on every replica. Tokens
// are kept by the hour of their expiry, which a token carries, so that a past
// hour goes as one map; grants, sessions and keys are few and kept together.
// Entries cost 30 to 40 bytes each.
type denySet struct {
	shards [denyShards]denyShard
	size   atomic.Int64
}

const denyShards = 16 // by the id's last byte, so that cores seldom meet on a lock

type denyShard struct {
	mu     sync.RWMutex
	tokens map[int64]map[store.ID]uint32 // by hour of expiry; Unix seconds of expiry
	others map[denied]int64              // Unix seconds of expiry
}

type denied struct {
	kind store.DenyKind
	id   store.ID
}

func newDenySet() *denySet {
	s := new(denySet)
	for i := range s.shards {
		s.shards[i].tokens = map[int64]map[store.ID]uint32{}
		s.shards[i].others = map[denied]int64{}
	}
	return s
}

func (s *denySet) shard(id store.ID) *denyShard { return &s.shards[id[15]%denyShards] }

func hour(unix int64) int64 { return unix / 3600 }

func (s *denySet) add(d store.Denial) {
	shard := s.shard(d.ID)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if d.Kind != store.DenyToken {
		if _, known := shard.others[denied{d.Kind, d.ID}]; !known {
			s.size.Add(1)
		}
		shard.others[denied{d.Kind, d.ID}] = d.Expires
		return
	}
	bucket := shard.tokens[hour(d.Expires)]
	if bucket == nil {
		bucket = map[store.ID]uint32{}
		shard.tokens[hour(d.Expires)] = bucket
	}
	if _, known := bucket[d.ID]; !known {
		bucket[d.ID] = uint32(d.Expires)
		s.size.Add(1)
	}
}

// token reports whether the token of this id and expiry (Unix seconds) is denied.
func (s *denySet) token(id store.ID, expires int64) bool {
	if s.size.Load() == 0 {
		return false
	}
	shard := s.shard(id)
	shard.mu.RLock()
	_, dead := shard.tokens[hour(expires)][id]
	shard.mu.RUnlock()
	return dead
}

// other reports whether a grant, session or key is denied.
func (s *denySet) other(kind store.DenyKind, id store.ID) bool {
	if s.size.Load() == 0 {
		return false
	}
	shard := s.shard(id)
	shard.mu.RLock()
	_, dead := shard.others[denied{kind, id}]
	shard.mu.RUnlock()
	return dead
}

// each calls f with every denial that expires after now (Unix seconds).
func (s *denySet) each(now int64, f func(store.Denial)) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.RLock()
		for _, bucket := range shard.tokens {
			for id, expires := range bucket {
				if int64(expires) > now {
					f(store.Denial{Kind: store.DenyToken, ID: id, Expires: int64(expires)})
				}
			}
		}
		for d, expires := range shard.others {
			if expires > now {
				f(store.Denial{Kind: d.kind, ID: d.id, Expires: expires})
			}
		}
		shard.mu.RUnlock()
	}
}

// has reports whether d is in the set.
func (s *denySet) has(d store.Denial) bool {
	if d.Kind == store.DenyToken {
		return s.token(d.ID, d.Expires)
	}
	return s.other(d.Kind, d.ID)
}

// sweep forgets what expired before now (Unix seconds): it is inactive by its expiry.
func (s *denySet) sweep(now int64) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for h, bucket := range shard.tokens {
			if h < hour(now) {
				delete(shard.tokens, h)
				s.size.Add(-int64(len(bucket)))
			}
		}
		for d, expires := range shard.others {
			if expires < now {
				delete(shard.others, d)
				s.size.Add(-1)
			}
		}
		shard.mu.Unlock()
	}
}

// cutoffs is the highest cut-off of all, of each client and of each subject.
type cutoffs struct {
	mu     sync.RWMutex
	byName map[cutKey]store.Cutoff
	size   atomic.Int64
}

type cutKey struct {
	kind store.CutoffKind
	name string
}

func newCutoffs() *cutoffs { return &cutoffs{byName: map[cutKey]store.Cutoff{}} }

// add keeps the higher number of two cut-offs of one name.
func (c *cutoffs) add(cut store.Cutoff) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cutKey{cut.Kind, cut.Name}
	if old, known := c.byName[key]; !known || old.Number < cut.Number {
		c.byName[key] = cut
	}
	c.size.Store(int64(len(c.byName)))
}

// kill reports whether a cut-off kills the record: its position is below the number.
func (c *cutoffs) kill(r *store.Record) bool {
	if c.size.Load() == 0 {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return r.Position < c.byName[cutKey{store.CutAll, ""}].Number ||
		r.Position < c.byName[cutKey{store.CutClient, string(r.Client)}].Number ||
		r.Position < c.byName[cutKey{store.CutSubject, string(r.Subject)}].Number
}

// each calls f with every cut-off.
func (c *cutoffs) each(f func(store.Cutoff)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, cut := range c.byName {
		f(cut)
	}
}

// number is the cut-off's number here, 0 when there is none.
func (c *cutoffs) number(cut store.Cutoff) store.Position {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[cutKey{cut.Kind, cut.Name}].Number
}
