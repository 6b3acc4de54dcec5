package cache

import (
	"context"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/batch"
)

// A GrantStore is what the grants of users need of the store.
type GrantStore interface {
	RedeemCode(ctx context.Context, r store.Redemption) (store.Code, error)
	RotateGrants(ctx context.Context, rotations []store.Rotation, done func(i int, r store.Rotated)) error
	Grant(ctx context.Context, id store.ID) (store.Grant, error)
	RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error)
}

// maxRotations bounds a batch: each of its rows is locked until all are committed.
const maxRotations = 256

// grants is the road of users' grants. They change, so none is kept: each step asks the store, rotations in batches.
type grants struct {
	store     GrantStore
	rotations *batch.Group[*rotation]
}

// rotation is one on its way through a batch.
type rotation struct {
	store.Rotation
	done    store.Rotated
	settled bool // done was told, and is durable: whatever becomes of the others, it is not asked for again
}

func newGrants(s GrantStore, m *meters) *grants {
	g := &grants{store: s}
	g.rotations = batch.New(batch.Options[*rotation]{
		Commit: g.rotate, Patience: writePatience, InFlight: 2, Limit: maxRotations, Observe: m.rotations.observe,
	})
	return g
}

func (g *grants) close() { g.rotations.Close() }

// rotate commits one batch, without those that were settled by one that failed for others.
func (g *grants) rotate(ctx context.Context, all []*rotation) error {
	open, asked := make([]*rotation, 0, len(all)), make([]store.Rotation, 0, len(all))
	for _, r := range all {
		if !r.settled {
			open, asked = append(open, r), append(asked, r.Rotation)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return g.store.RotateGrants(ctx, asked, func(i int, done store.Rotated) { open[i].done, open[i].settled = done, true })
}

// Rotate makes the next generation of a grant's refresh token durable, together with those of concurrent callers, and says what became of
// it. A reuse has revoked the grant, in force here before it returns. [store.ErrUnavailable].
func (c *Cache) Rotate(r store.Rotation) (store.Rotated, error) {
	one := &rotation{Rotation: r}
	if err := c.grants.rotations.Do(one); err != nil && !one.settled {
		return store.Rotated{}, err
	}
	if one.done.Outcome == store.RotationReused {
		c.denyGrant(r.Grant)
	}
	return one.done, nil
}

// Redeem spends a code and makes the row of its grant. [store.ErrNotFound]: something is not as the code has it, and nothing
// has changed. [store.ErrReused]: it was redeemed before, and its grant is revoked by now, which the feed will tell. [store.ErrUnavailable].
func (c *Cache) Redeem(r store.Redemption) (store.Code, error) {
	ctx, cancel := context.WithTimeout(context.Background(), writePatience)
	defer cancel()
	return c.grants.store.RedeemCode(ctx, r)
}

// Grant reads a grant's row as it is now. [store.ErrNotFound], [store.ErrUnavailable].
func (c *Cache) Grant(id store.ID) (store.Grant, error) {
	ctx, cancel := context.WithTimeout(context.Background(), coldPatience)
	defer cancel()
	return c.grants.store.Grant(ctx, id)
}

// RevokeGrant revokes the grant and all that was made from it, if it is the client's and lives, in force here before it returns. It
// reports whether there was anything to revoke. [store.ErrUnavailable].
func (c *Cache) RevokeGrant(actor store.Actor, id store.ID, client string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), writePatience)
	defer cancel()
	n, err := c.grants.store.RevokeGrants(ctx, actor, store.GrantQuery{ID: id, Client: client, Live: true, Limit: 1})
	if err != nil || n == 0 {
		return false, err
	}
	c.denyGrant(id)
	return true, nil
}

// denyGrant puts in force here what the store has made durable, ahead of the feed.
func (c *Cache) denyGrant(id store.ID) {
	expires := time.Unix(0, c.Now()).Add(store.MaxTokenLife).Unix()
	c.state.deny(store.Denial{Kind: store.DenyGrant, ID: id, Expires: expires})
}

// Ended reports whether the session was ended before it expired, as of what [Cache.Fresh] says. It costs no I/O.
func (c *Cache) Ended(session store.ID) bool {
	return c.state.denials.Load().other(store.DenySession, session)
}
