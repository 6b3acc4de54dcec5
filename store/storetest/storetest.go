// Package storetest is the one definition of a store: what every database
// below store must do, concurrent cases included.
package storetest

import (
	"context"
	"time"

	"oauth2-server/store"
)

// Store is what both databases do. Every method may return an error that is
// [store.ErrUnavailable]; the others each can return are named. ctx bounds the
// wait on the client's side, also when the database hangs.
type Store interface {
	// InsertTokens makes rows durable, all or none of them: when it returns nil
	// they survive kill -9. ErrUnavailable means that the outcome is unknown
	// although it was tried once more; another error that a row was refused.
	InsertTokens(ctx context.Context, rows []store.Token) error
	// FindTokens calls found with i and the record for each key i that has a row, in any
	// order, in one query. The record is valid only during the call.
	FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error

	// Load hands out the whole state as changes, from one consistent snapshot, and
	// the beat to follow from. The order is of no meaning. Denials that
	// have expired by the store's clock are left out.
	Load(ctx context.Context, apply func(*store.Change) error) (store.Beat, error)
	// Poll hands out the changes after the cursor, in order, at most 1,000 of them, and the beat that
	// they lead to. ErrNotFound: the row at the cursor is gone or carries another tag,
	// so Load again. It asserts that it speaks to a primary.
	Poll(ctx context.Context, from store.Cursor, apply func(*store.Change) error) (store.Beat, error)

	// Deny adds denials, one change for all of them (at most store.MaxDenials). What is denied
	// already stays as it is, and is no error.
	Deny(ctx context.Context, denials []store.Denial) error
	// CutOff kills what is below the number it returns: its own feed number.
	CutOff(ctx context.Context, actor store.Actor, kind store.CutoffKind, name string) (store.Cutoff, error)
	// Rewrite writes back what a lost history knew: it moves the feed's numbers past last, adds the
	// denials, and the cut-offs with the numbers they have (the higher one wins).
	Rewrite(ctx context.Context, actor store.Actor, last store.Position, denials []store.Denial, cutoffs []store.Cutoff) error

	// CreateClient returns the client with version and times set. ErrConflict: the id is taken.
	CreateClient(ctx context.Context, actor store.Actor, client store.Client) (store.Client, error)
	// UpdateClient reads the client for update, lets change alter it, and stores it with the
	// next version; an error of change is returned as it is. Disabling a client cuts it off in the same transaction. ErrNotFound.
	UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error)
	// DeleteClient reads the client for update, deletes it and cuts it off, so that a later client of
	// this id does not inherit its tokens. An error of check, which may be nil, is returned as it is, and nothing is done. ErrNotFound.
	DeleteClient(ctx context.Context, actor store.Actor, id string, check func(*store.Client) error) error
	Client(ctx context.Context, id string) (store.Client, error) // ErrNotFound
	Clients(ctx context.Context) ([]store.Client, error)         // ordered by id

	// ChangeKeys reads all keys for update, lets change say which are new or different, and stores those; an error of
	// change is returned as it is, and nothing is written when it says none. ErrConflict: an (use, alg) would have two active or two next keys.
	ChangeKeys(ctx context.Context, actor store.Actor, action string, change func(all []store.Key) ([]store.Key, error)) error
	// ResetKeys puts keys in the place of all there are, and cuts off everything, in one transaction.
	ResetKeys(ctx context.Context, actor store.Actor, keys []store.Key) error
	Keys(ctx context.Context) ([]store.Key, error) // ordered by creation

	// Denied finds the denial of a thing, for explaining. ErrNotFound.
	Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error)
	// Cutoffs lists the cut-offs, for explaining.
	Cutoffs(ctx context.Context) ([]store.Cutoff, error)
	// Audits lists rows of the audit, the newest first.
	Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error)
	// FindToken finds an opaque token's row by its id alone, for people. ErrNotFound.
	FindToken(ctx context.Context, id store.ID) (store.Token, error)
	// NewestTokens calls found for at most limit rows, those with the newest ids first, all with an id before before
	// if that is not zero. It reads no more rows than it hands out; found may end it by returning false.
	NewestTokens(ctx context.Context, before store.ID, limit int, found func(store.Token) bool) error
	// CountTokens estimates how many token rows there are, without reading them all.
	CountTokens(ctx context.Context) (int64, error)

	// ChangeLimit reads the limit of the name for update, lets change say what it is to be, and stores that as the next
	// version: old is nil when there is none, and nil is returned to delete it. An error of change is returned as
	// it is. The result is what was stored; of a deleted limit what it was.
	ChangeLimit(ctx context.Context, actor store.Actor, action, name string, change func(old *store.Limit) (*store.Limit, error)) (store.Limit, error)
	Limits(ctx context.Context) ([]store.Limit, error) // ordered by name
	// SaveLimitMinute puts what a replica counted in a minute in the place of what it said of that minute before, and
	// remembers keys that were refused: each keeps the version that refused it first. What is older than an hour, or a day for keys, is forgotten.
	SaveLimitMinute(ctx context.Context, minute store.LimitMinute, refused []store.RefusedKey) error
	// LimitMinutes lists what all replicas counted since the minute, in order of time.
	LimitMinutes(ctx context.Context, since int64) ([]store.LimitMinute, error)
	// NewlyRefused is how many keys the limit refused since the version, and never before it.
	NewlyRefused(ctx context.Context, name string, version int64) (int64, error)

	// ChangeUser is ChangeLimit for a user. ErrConflict: the user name is taken. A change that ends the user's sessions
	// ([store.User.EndsSessions]), or deletes the user, cuts the subject off in the same transaction. ErrLastOperator: it would leave
	// no operator, and the actor is not at the command line; also of changes that come at once.
	ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error)
	User(ctx context.Context, id store.ID) (store.User, error)                // ErrNotFound
	UserByName(ctx context.Context, username string) (store.User, error)      // ErrNotFound; username is folded
	Users(ctx context.Context, after string, limit int) ([]store.User, error) // ordered by user name, those after it

	// PutCode keeps a code until it is redeemed or has expired. pushed, if it is not zero, is spent in the same transaction. ErrSpent: it
	// was spent before, or has expired.
	PutCode(ctx context.Context, code store.Code, pushed store.ID) error
	// RedeemCode spends the code and makes the row of its grant, in one statement, if all is as the code has it and it has not expired by
	// the store's clock. ErrNotFound: something is not, and nothing has changed. ErrReused: it was redeemed before, with all
	// of it right: the grant is revoked by this call, as by RevokeGrants.
	RedeemCode(ctx context.Context, r store.Redemption) (store.Code, error)
	// RotateGrants does rotations of concurrent requests in one batch, and calls done with the outcome of each. A rotation by its generation is one
	// conditional update; who loses is told by the row as it is then. A reuse revokes the grant in the same transaction, as RevokeGrants does.
	RotateGrants(ctx context.Context, rotations []store.Rotation, done func(i int, r store.Rotated)) error
	Grant(ctx context.Context, id store.ID) (store.Grant, error) // ErrNotFound
	// Grants lists grants by id, the newest first.
	Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error)
	// RevokeGrants revokes all that match and live, and denies each (store.DenyGrant, until the last access token of it is dead) in the same transaction; it
	// returns how many. At most store.MaxDenials at once: more remain for the next call.
	RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error)

	PutPushed(ctx context.Context, pushed store.Pushed) error
	Pushed(ctx context.Context, id store.ID) (store.Pushed, error) // ErrNotFound: also when it was spent or has expired
	SpendPushed(ctx context.Context, id store.ID) error            // of which nothing comes. ErrSpent: it was spent before, or has expired

	// SaveConsent adds scopes and audiences to what the user has allowed the client.
	SaveConsent(ctx context.Context, consent store.Consent) error
	Consents(ctx context.Context, user store.ID) ([]store.Consent, error) // ordered by client
	// WithdrawConsent forgets the consent and revokes the user's grants to the client, in one transaction. It is no error if there is none.
	WithdrawConsent(ctx context.Context, actor store.Actor, user store.ID, client string) error

	// SpendJTI remembers an assertion's jti until it expires. ErrSpent: it was there.
	SpendJTI(ctx context.Context, client string, jti string, expires int64) error

	// QueueLogouts adds logout tokens to deliver. ClaimLogouts hands out those that are due and keeps others from having them until lease is over.
	// FinishLogout takes one off the queue; RetryLogout lets it be due again then, one attempt later.
	QueueLogouts(ctx context.Context, all []store.Logout) error
	ClaimLogouts(ctx context.Context, limit int, lease time.Duration) ([]store.Logout, error)
	FinishLogout(ctx context.Context, id store.ID) error
	RetryLogout(ctx context.Context, id store.ID, next time.Time) error

	// Register renews a replica. Replicas lists those renewed within store.Alive.
	Register(ctx context.Context, replica store.Replica) error
	Replicas(ctx context.Context) ([]store.Replica, error)
	// ReplicasSince lists those renewed since then, the gone among them: at most store.MaxReplicas, the newest start first.
	ReplicasSince(ctx context.Context, since time.Time) ([]store.Replica, error)

	// Census counts every row there is, in one snapshot. There is no deadline but that of ctx.
	Census(ctx context.Context) (store.Census, error)

	// Maintain does what is due: partitions ahead, and Prune of every kind. Whichever replica gets there first does it; that another
	// does is no error. It never blocks readers or writers.
	Maintain(ctx context.Context) error
	// Prune removes what is past of the kinds (store.KeptKinds), of all when none is named, and is what it did. What fails does not
	// keep the rest from being done; it is in the result too. ErrConflict: another caller is at it.
	Prune(ctx context.Context, kinds ...string) ([]store.Kept, error)
	// Kept says how each kind stands: how long it is kept, how much there is, what is due, what the last run did.
	Kept(ctx context.Context) ([]store.Kept, error)
	// SetKept lets change say how long a kind is kept: its Keep where Own is true, else the default. An error of change is returned as it
	// is; a time below the least is a store.FieldError. It holds from the next run on, on every replica. ErrNotFound: there is no such kind.
	SetKept(ctx context.Context, actor store.Actor, kind string, change func(*store.Kept) error) error

	Close()
}
