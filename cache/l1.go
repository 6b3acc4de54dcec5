package cache

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// l1 is the tier in process memory: immutable values under keys of up to 32
// bytes, bounded in bytes, oldest out first. It holds no pointer the garbage
// collector must walk: values lie in chunks of bytes, and the index maps a
// key's hash to where its entry lies.
//
// An entry is: key length (1 byte), value length (2 bytes, big endian), key, value.
type l1 struct {
	seed      maphash.Seed // random: nobody can aim at one shard or slot
	maxChunks int          // per shard
	shards    [l1Shards]l1Shard
}

const (
	l1Shards   = 64
	chunkBytes = 64 << 10
	entryHead  = 3
	maxKey     = 32
	// indexShare is what the index adds to the bytes of the entries, in
	// percent: 12 bytes and a load of one half to seven eighths, on entries of about 120.
	indexShare = 25
)

type l1Shard struct {
	mu     sync.RWMutex
	index  map[uint64]uint32 // key hash → chunk number and offset, 16 bits each
	chunks [][]byte          // filled in turn; when all are in use the oldest is emptied
	head   int               // chunk being filled
	_      [16]byte          // a cache line of its own for each lock
}

// newL1 makes a tier of at most about maxBytes, its index included; with 0 it keeps nothing. Memory is taken as it fills.
func newL1(maxBytes int64) *l1 {
	c := &l1{seed: maphash.MakeSeed()}
	if maxBytes > 0 {
		perShard := maxBytes * 100 / (100 + indexShare) / l1Shards
		c.maxChunks = int(min(max(perShard/chunkBytes, 1), 1<<16))
	}
	for i := range c.shards {
		c.shards[i].index = map[uint64]uint32{}
	}
	return c
}

func (c *l1) find(key []byte) (*l1Shard, uint64) {
	hash := maphash.Bytes(c.seed, key)
	return &c.shards[hash%l1Shards], hash
}

// get appends the value of key to dst and reports whether there is one.
func (c *l1) get(dst, key []byte) ([]byte, bool) {
	shard, hash := c.find(key)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	at, ok := shard.index[hash]
	if !ok {
		return dst, false
	}
	stored, value := entryAt(shard.chunks[at>>16], int(at&0xffff))
	if string(stored) != string(key) {
		return dst, false // another key of the same hash
	}
	return append(dst, value...), true
}

// put keeps a copy of value under a copy of key. A value that fits no chunk is not kept.
func (c *l1) put(key, value []byte) {
	size := entryHead + len(key) + len(value)
	if len(key) > maxKey || size > chunkBytes || c.maxChunks == 0 {
		return
	}
	shard, hash := c.find(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if at, ok := shard.index[hash]; ok {
		if stored, _ := entryAt(shard.chunks[at>>16], int(at&0xffff)); string(stored) == string(key) {
			return // values are immutable
		}
	}
	chunk := shard.room(c, size)
	at := uint32(shard.head)<<16 | uint32(len(chunk))
	chunk = append(chunk, byte(len(key)))
	chunk = binary.BigEndian.AppendUint16(chunk, uint16(len(value)))
	chunk = append(chunk, key...)
	shard.chunks[shard.head] = append(chunk, value...)
	shard.index[hash] = at
}

// room makes head a chunk with room for size more bytes.
func (s *l1Shard) room(c *l1, size int) []byte {
	if len(s.chunks) == 0 {
		s.chunks = append(s.chunks, make([]byte, 0, chunkBytes))
	}
	if len(s.chunks[s.head])+size <= chunkBytes {
		return s.chunks[s.head]
	}
	if len(s.chunks) < c.maxChunks {
		s.chunks = append(s.chunks, make([]byte, 0, chunkBytes))
		s.head = len(s.chunks) - 1
	} else {
		s.head = (s.head + 1) % len(s.chunks)
		s.empty(c, s.head)
	}
	return s.chunks[s.head]
}

// empty takes the entries of a chunk out of the index and the chunk.
func (s *l1Shard) empty(c *l1, number int) {
	chunk := s.chunks[number]
	for at := 0; at < len(chunk); {
		key, value := entryAt(chunk, at)
		hash := maphash.Bytes(c.seed, key)
		if s.index[hash] == uint32(number)<<16|uint32(at) {
			delete(s.index, hash)
		}
		at += entryHead + len(key) + len(value)
	}
	s.chunks[number] = chunk[:0]
}

func entryAt(chunk []byte, at int) (key, value []byte) {
	keyEnd := at + entryHead + int(chunk[at])
	valueEnd := keyEnd + int(binary.BigEndian.Uint16(chunk[at+1:]))
	return chunk[at+entryHead : keyEnd], chunk[keyEnd:valueEnd]
}

// size is the number of entries and the bytes they take, index included.
func (c *l1) size() (entries int, bytes int64) {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.RLock()
		entries += len(shard.index)
		bytes += int64(len(shard.chunks)) * chunkBytes
		shard.mu.RUnlock()
	}
	return entries, bytes * (100 + indexShare) / 100
}
