package limits

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tableShards = 64
	// shardKeys bounds the keys of a shard: 32,768 of a rule.
	shardKeys = 512
	// evictSample is how many keys that are not refused are compared to find one that is missed least.
	evictSample = 8
)

// table is what this replica knows of the keys of one rule: bounded, however many there are.
type table struct {
	seed   maphash.Seed // random: nobody can aim at one shard
	size   atomic.Int64
	shards [tableShards]shard
}

type shard struct {
	mu   sync.RWMutex
	keys map[string]*entry
	_    [32]byte // a cache line of its own for each lock
}

// entry is one key.
type entry struct {
	key   string
	live  count
	trial count

	used    atomic.Int64 // microseconds; when it was last asked for
	refused atomic.Int64 // until then, microseconds
	told    atomic.Int64 // when it was last queued as a refused key, microseconds; 0: never

	minuteAllowed, minuteRefused atomic.Int64 // permits, in this minute
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].keys = map[string]*entry{}
	}
	return t
}

// get is the entry of key, which is copied if it is new.
func (t *table) get(key []byte, now int64) *entry {
	s := &t.shards[maphash.Bytes(t.seed, key)%tableShards]
	s.mu.RLock()
	e := s.keys[string(key)]
	s.mu.RUnlock()
	if e == nil {
		e = t.add(s, string(key), now)
	}
	const tick = int64(10 * time.Millisecond / time.Microsecond) // a line of memory that all write is dear
	if now-e.used.Load() > tick {
		e.used.Store(now)
	}
	return e
}

func (t *table) add(s *shard, key string, now int64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.keys[key]; e != nil {
		return e
	}
	if len(s.keys) >= shardKeys {
		s.evict(now)
		t.size.Add(-1)
	}
	e := &entry{key: key}
	e.used.Store(now)
	s.keys[key] = e
	t.size.Add(1)
	return e
}

// evict forgets a key of a few, as the map has them in random order: that of which the least is spent, else the one longest idle. What
// is counted here alone begins anew with it: nobody gets his own budget back by making up other keys. One
// that is refused goes only where all are: without Redis it would be free again.
func (s *shard) evict(now int64) {
	var idle, refused *entry
	least, seen := 0.0, 0
	for _, e := range s.keys {
		if e.refused.Load() > now {
			refused = older(refused, e)
			continue
		}
		full := e.live.fullness(now)
		switch {
		case idle == nil || full < least:
			idle, least = e, full
		case full == least:
			idle = older(idle, e)
		}
		if seen++; seen == evictSample {
			break
		}
	}
	if idle == nil {
		idle = refused
	}
	delete(s.keys, idle.key)
}

func older(a, b *entry) *entry {
	if a == nil || b.used.Load() < a.used.Load() {
		return b
	}
	return a
}

// each calls f for every key.
func (t *table) each(f func(e *entry)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, e := range s.keys {
			f(e)
		}
		s.mu.RUnlock()
	}
}
