package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"oauth2-server/cache"
	"oauth2-server/store"
)

// This file is the tiers as the rules know them, when an explainer stands in for them.

// Find looks in Redis and in the store, and notes both.
func (e *explainer) Find(_ []byte, key store.TokenKey) ([]byte, cache.Tier, error) {
	e.asked = true
	var record []byte
	tier := cache.TierNone
	err := e.db.FindTokens(e.ctx, []store.TokenKey{key}, func(_ int, found []byte) {
		record, tier = bytes.Clone(found), cache.TierStore
	})
	if err != nil {
		return nil, cache.TierNone, err
	}
	e.told.InStore = new(record != nil)
	if e.redis != nil {
		far, err := cache.Peek(e.ctx, e.redis, e.ring, key)
		if err != nil {
			e.told.RedisFault = err.Error() // Redis is a hint: the servers do without it, too
		} else {
			e.told.InRedis = new(far != nil)
		}
		if far != nil {
			record, tier = far, cache.TierL2
		}
	}
	if record == nil {
		return nil, tier, nil
	}
	r := new(store.Record)
	if err := r.Parse(record); err != nil {
		return nil, cache.TierNone, err
	}
	e.record(r)
	return record, tier, nil
}

// Dead looks for what killed the record, and notes it.
func (e *explainer) Dead(r *store.Record) bool {
	e.judged = true
	e.denied(store.DenyToken, r.ID)
	if e.told.Denied == nil && !r.Grant.IsZero() {
		e.denied(store.DenyGrant, r.Grant)
	}
	all, err := e.db.Cutoffs(e.ctx)
	if err != nil {
		e.fault = err
	}
	for _, cut := range all {
		if r.Position < cut.Number && hits(&cut, r) {
			e.told.CutOff = &ending{cutTarget(&cut), time.Unix(cut.At, 0).UTC(), cut.Actor, cut.Number}
		}
	}
	return e.told.Denied != nil || e.told.CutOff != nil
}

func (e *explainer) denied(kind store.DenyKind, id store.ID) {
	d, err := e.db.Denied(e.ctx, kind, id)
	switch {
	case err == nil:
		e.told.Denied = &ending{What: kind.String(), At: time.Unix(d.At, 0).UTC(), By: d.Actor}
	case !errors.Is(err, store.ErrNotFound):
		e.fault = err
	}
}

// hits reports whether a cut-off is about the record, whatever its number.
func hits(cut *store.Cutoff, r *store.Record) bool {
	switch cut.Kind {
	case store.CutAll:
		return true
	case store.CutClient:
		return cut.Name == string(r.Client)
	case store.CutSubject:
		return cut.Name == string(r.Subject)
	}
	return false
}

// cutTarget is whose tokens a cut-off hit, "" for all.
func cutTarget(cut *store.Cutoff) string {
	if cut.Kind == store.CutAll {
		return ""
	}
	return fmt.Sprintf(" of %s %q", cut.Kind, cut.Name)
}

// Now is this machine's clock.
func (e *explainer) Now() int64 { return e.now.UnixNano() }

// Remembered finds nothing.
func (e *explainer) Remembered([]byte, *[sha256.Size]byte) ([]byte, bool) { return nil, false }

// Remember forgets.
func (e *explainer) Remember(*[sha256.Size]byte, []byte) {}

// AwaitPoll has nothing to await.
func (e *explainer) AwaitPoll() {}
