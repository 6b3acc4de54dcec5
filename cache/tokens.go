package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/batch"
)

// A Tier is where a record was found.
type Tier uint8

// The tiers, fastest first.
const (
	TierNone Tier = iota // nowhere: there is no such token
	TierL1
	TierL2
	TierStore
	numTiers
)

var tierNames = [numTiers]string{"none", "l1", "l2", "store"}

const (
	// coldPatience bounds a look-up in the store, its queue included.
	coldPatience = time.Second
	// writePatience bounds an insert or a revocation, its queue included.
	writePatience = 2 * time.Second
)

// A TokenStore is what the road to a token's record needs of the store.
type TokenStore interface {
	InsertTokens(ctx context.Context, rows []store.Token) error
	FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error
	Deny(ctx context.Context, denials []store.Denial) error
}

// lookup is one look-up on its way through the tiers.
type lookup struct {
	key    store.TokenKey
	record []byte // the record, once found; before, memory for it
	found  bool
	tier   Tier
}

// tokens is the road of token records: written through the store, read L1 → L2 → store.
type tokens struct {
	store   TokenStore
	l1      *l1
	l2      *l2 // nil: no Redis
	metrics *meters

	inserts *batch.Group[store.Token]
	denials *batch.Group[store.Denial]
	warm    *batch.Group[*lookup] // Redis
	cold    *batch.Group[*lookup] // the store
	lookups sync.Pool
}

func newTokens(s TokenStore, near *l1, far *l2, m *meters) *tokens {
	t := &tokens{store: s, l1: near, l2: far, metrics: m}
	t.inserts = batch.New(batch.Options[store.Token]{Commit: t.insert, Patience: writePatience, InFlight: 2, Observe: m.inserts.observe})
	t.denials = batch.New(batch.Options[store.Denial]{Commit: t.store.Deny, Patience: writePatience, Limit: store.MaxDenials, Observe: m.denials.observe})
	t.warm = batch.New(batch.Options[*lookup]{Commit: t.findWarm, Patience: 2 * redisPatience, InFlight: 2, Limit: 256, Observe: m.warm.observe})
	t.cold = batch.New(batch.Options[*lookup]{Commit: t.findCold, Patience: coldPatience, InFlight: 2, Limit: 256, Observe: m.cold.observe})
	t.lookups.New = func() any { return new(lookup) }
	return t
}

func (t *tokens) close() {
	t.inserts.Close()
	t.denials.Close()
	t.warm.Close()
	t.cold.Close()
}

// put makes the row durable together with those of concurrent callers, and
// keeps it in the tiers. row.Record may be reused when put returns.
func (t *tokens) put(row store.Token) error {
	if err := t.inserts.Do(row); err != nil {
		return err
	}
	t.l1.put(row.ID[:], row.Record)
	return nil
}

// insert commits one batch. Redis is filled behind the answer, from copies:
// the callers' buffers are theirs again once the batch has reported.
func (t *tokens) insert(ctx context.Context, rows []store.Token) error {
	if err := t.store.InsertTokens(ctx, rows); err != nil {
		return err
	}
	if t.l2.up() {
		t.l2.fill(cloneRows(rows))
	}
	return nil
}

// cloneRows copies rows and their records, in two allocations.
func cloneRows(rows []store.Token) []store.Token {
	size := 0
	for _, row := range rows {
		size += len(row.Record)
	}
	bytes := make([]byte, 0, size)
	clones := make([]store.Token, len(rows))
	for i, row := range rows {
		begin := len(bytes)
		bytes = append(bytes, row.Record...)
		clones[i] = store.Token{TokenKey: row.TokenKey, Record: bytes[begin:len(bytes):len(bytes)]}
	}
	return clones
}

// find writes the record of key over dst. TierNone: there is none.
// [store.ErrUnavailable]: not in L1, and the store could not be asked.
func (t *tokens) find(dst []byte, key store.TokenKey) ([]byte, Tier, error) {
	// Fast path: the record is in process.
	if record, ok := t.l1.get(dst[:0], key.ID[:]); ok {
		t.metrics.found[TierL1].Inc()
		return record, TierL1, nil
	}
	// Slow path: ask Redis, then the store, together with concurrent callers.
	l := t.lookups.Get().(*lookup)
	*l = lookup{key: key, record: dst[:0]}
	err := t.findFar(l)
	record, tier := l.record, l.tier
	*l = lookup{}
	t.lookups.Put(l)
	if err != nil {
		return dst, TierNone, err
	}
	t.metrics.found[tier].Inc()
	return record, tier, nil
}

func (t *tokens) findFar(l *lookup) error {
	if t.l2.up() {
		_ = t.warm.Do(l) // a full or late queue is a miss like any other
	}
	if l.found {
		return nil
	}
	return t.cold.Do(l)
}

// findMany is find for many keys: at most one trip to each tier. found is called once for each key,
// in order; a record is valid until the next call.
func (t *tokens) findMany(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte, tier Tier)) error {
	ctx, cancel := context.WithTimeout(ctx, coldPatience)
	defer cancel()
	lookups := make([]*lookup, len(keys))
	for i, key := range keys {
		lookups[i] = &lookup{key: key}
	}
	t.findNear(lookups)
	if t.l2.up() {
		if err := t.findWarm(ctx, lookups); err != nil {
			return err
		}
	}
	if err := t.findCold(ctx, lookups); err != nil {
		return err
	}
	for i, l := range lookups {
		t.metrics.found[l.tier].Inc()
		found(i, l.record, l.tier)
	}
	return nil
}

// findNear looks into L1: a lookup may have been answered since it was queued.
func (t *tokens) findNear(lookups []*lookup) {
	for _, l := range lookups {
		if !l.found {
			l.record, l.found = t.l1.get(l.record, l.key.ID[:])
			if l.found {
				l.tier = TierL1
			}
		}
	}
}

// findWarm asks Redis. What it does not find stays not found; it fails no lookup.
func (t *tokens) findWarm(ctx context.Context, lookups []*lookup) error {
	t.findNear(lookups)
	t.l2.find(ctx, lookups)
	for _, l := range lookups {
		if l.found && l.tier == TierL2 {
			t.l1.put(l.key.ID[:], l.record)
		}
	}
	return nil
}

// findCold asks the store, in one query, and fills the tiers in front of it.
func (t *tokens) findCold(ctx context.Context, lookups []*lookup) error {
	t.findNear(lookups)
	keys := make([]store.TokenKey, 0, len(lookups))
	asked := make([]*lookup, 0, len(lookups))
	for _, l := range lookups {
		if !l.found {
			keys, asked = append(keys, l.key), append(asked, l)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var fills []store.Token
	err := t.store.FindTokens(ctx, keys, func(i int, record []byte) {
		l := asked[i]
		l.record, l.found, l.tier = append(l.record, record...), true, TierStore
		t.l1.put(l.key.ID[:], l.record)
		fills = append(fills, store.Token{TokenKey: l.key, Record: l.record})
	})
	if err != nil {
		return fmt.Errorf("find tokens: %w", err)
	}
	if t.l2.up() {
		t.l2.fill(cloneRows(fills))
	}
	return nil
}
