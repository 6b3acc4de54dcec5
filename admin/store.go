package admin

import (
	"context"

	"oauth2-server/store"
)

// Store is what operators need of the store, noun by noun; storetest.Store says what each method promises.
type Store interface {
	clientStore
	userStore
	peopleStore
	tokenStore
	revocationStore
	keyStore
	limitStore
	recordStore
	keptStore
}

type clientStore interface {
	CreateClient(ctx context.Context, actor store.Actor, client store.Client) (store.Client, error)
	UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error)
	DeleteClient(ctx context.Context, actor store.Actor, id string, check func(*store.Client) error) error
	Client(ctx context.Context, id string) (store.Client, error)
	Clients(ctx context.Context) ([]store.Client, error)
}

type userStore interface {
	ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error)
	User(ctx context.Context, id store.ID) (store.User, error)
	UserByName(ctx context.Context, username string) (store.User, error)
	Users(ctx context.Context, after string, limit int) ([]store.User, error)
}

// peopleStore is what users have allowed.
type peopleStore interface {
	Grant(ctx context.Context, id store.ID) (store.Grant, error)
	Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error)
	RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error)
	Consents(ctx context.Context, user store.ID) ([]store.Consent, error)
	WithdrawConsent(ctx context.Context, actor store.Actor, user store.ID, client string) error
}

type tokenStore interface {
	FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error
	FindToken(ctx context.Context, id store.ID) (store.Token, error)
	NewestTokens(ctx context.Context, before store.ID, limit int, found func(store.Token) bool) error
	CountTokens(ctx context.Context) (int64, error)
}

type revocationStore interface {
	Deny(ctx context.Context, denials []store.Denial) error
	CutOff(ctx context.Context, actor store.Actor, kind store.CutoffKind, name string) (store.Cutoff, error)
	Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error)
	Cutoffs(ctx context.Context) ([]store.Cutoff, error)
}

type keyStore interface {
	Keys(ctx context.Context) ([]store.Key, error)
	ChangeKeys(ctx context.Context, actor store.Actor, action string, change func(all []store.Key) ([]store.Key, error)) error
}

type limitStore interface {
	ChangeLimit(ctx context.Context, actor store.Actor, action, name string, change func(old *store.Limit) (*store.Limit, error)) (store.Limit, error)
	Limits(ctx context.Context) ([]store.Limit, error)
	LimitMinutes(ctx context.Context, since int64) ([]store.LimitMinute, error)
	NewlyRefused(ctx context.Context, name string, version int64) (int64, error)
}

// recordStore is what is written down of the cluster itself.
type recordStore interface {
	Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error)
	Replicas(ctx context.Context) ([]store.Replica, error)
}

// keptStore is how long what is kept.
type keptStore interface {
	Kept(ctx context.Context) ([]store.Kept, error)
	SetKept(ctx context.Context, actor store.Actor, kind string, change func(*store.Kept) error) error
	Prune(ctx context.Context, kinds ...string) ([]store.Kept, error)
}
