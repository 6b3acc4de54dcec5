package explain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"oauth2-server/cache"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// An explainer looks at one token with the server's own eyes: the rules judge it, and the explainer stands in for
// the tiers, which here are asked at once and remember nothing.
type explainer struct {
	oauth.Tokens // nil: what a verdict never asks for
	Options
	ctx    context.Context
	stored []store.Key

	told   Explanation
	asked  bool          // the record of an opaque token was looked for
	seen   *store.Record // what an authentic token says
	judged bool          // it was looked for what killed it
	grant  *store.Grant  // of a refresh token
	owner  *store.Client // of that grant, as far as the rules asked
	fault  error         // why it cannot be told
}

// upToDate: whoever asks the store itself knows all there is.
type upToDate struct {
	oauth.Clients
	explainer *explainer
}

// Client is the client as it is registered, nil if it is not.
func (u upToDate) Client(id []byte) *store.Client {
	e := u.explainer
	client, err := e.Store.Client(e.ctx, string(id))
	switch {
	case err == nil:
		e.owner = &client
	case !errors.Is(err, store.ErrNotFound):
		e.fault = err
	}
	return e.owner
}

func (upToDate) Fresh() (stale bool, err error) { return false, nil }

// Find looks in Redis and in the store, and notes both.
func (e *explainer) Find(_ []byte, key store.TokenKey) ([]byte, cache.Tier, error) {
	e.asked = true
	var record []byte
	tier := cache.TierNone
	err := e.Store.FindTokens(e.ctx, []store.TokenKey{key}, func(_ int, found []byte) {
		record, tier = bytes.Clone(found), cache.TierStore
	})
	if err != nil {
		return nil, cache.TierNone, err
	}
	e.told.InStore = new(record != nil)
	if e.Peek != nil {
		far, err := e.Peek(e.ctx, key)
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
	deaths, err := ReadDeaths(e.ctx, e.Store)
	if err == nil {
		e.told.Fate, err = deaths.Of(e.ctx, r)
	}
	if err != nil {
		e.fault = err
	}
	return !e.told.Alive()
}

// Now is the clock that was given.
func (e *explainer) Now() int64 { return e.Options.Now.UnixNano() }

// Remembered finds nothing.
func (e *explainer) Remembered([]byte, *[sha256.Size]byte) ([]byte, bool) { return nil, false }

// Remember forgets.
func (e *explainer) Remember(*[sha256.Size]byte, []byte) {}

// AwaitPoll has nothing to await.
func (e *explainer) AwaitPoll() {}
