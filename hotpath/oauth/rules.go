package oauth

import (
	"context"
	"crypto/sha256"
	"time"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// Clients is who may ask. None of it costs I/O.
type Clients interface {
	Fresh() (stale bool, err error)
	Position() store.Position
	Client(id []byte) *store.Client
}

// Tokens is what is remembered of tokens: [cache.Cache] says what each method promises.
type Tokens interface {
	Put(row store.Token) error
	Find(dst []byte, key store.TokenKey) ([]byte, cache.Tier, error)
	FindMany(keys []store.TokenKey, found func(i int, record []byte, tier cache.Tier)) error
	Remembered(dst []byte, digest *[sha256.Size]byte) ([]byte, bool)
	Remember(digest *[sha256.Size]byte, record []byte)
	Dead(r *store.Record) bool
	Deny(d store.Denial) error
	AwaitPoll()
	Now() int64
}

// Grants is what users have allowed: [cache.Cache] says what each method promises.
type Grants interface {
	Redeem(r store.Redemption) (store.Code, error)
	Rotate(r store.Rotation) (store.Rotated, error)
	Grant(id store.ID) (store.Grant, error)
	RevokeGrant(actor store.Actor, id store.ID, client string) (revoked bool, err error)
	Ended(session store.ID) bool
}

// Once is what is good once: codes, pushed requests, and assertions.
type Once interface {
	PutCode(ctx context.Context, code store.Code, pushed store.ID) error // [store.ErrSpent]: of pushed
	PutPushed(ctx context.Context, pushed store.Pushed) error
	Pushed(ctx context.Context, id store.ID) (store.Pushed, error)                // [store.ErrNotFound]
	SpendJTI(ctx context.Context, client string, jti string, expires int64) error // [store.ErrSpent]
}

// Options of [Rules]. All are required.
type Options struct {
	Issuer     string // the issuer identifier, RFC 8414 §2: no trailing slash
	Clients    Clients
	Tokens     Tokens
	Grants     Grants
	Ring       *keys.Ring
	People     People
	Departures Departures
	Once       Once
	KeySets    KeySets
	Secrets    keys.Secrets  // open the secrets of clients with client_secret_jwt
	AccessTTL  time.Duration // of clients that have none of their own
	RefreshTTL time.Duration // of grants with refresh tokens, of clients that have none of their own
	Format     string        // of clients that have none of their own: store.FormatOpaque or store.FormatJWT

	RefreshGrace time.Duration // in which a refresh that is retried gets the same successor; 0: never
	SessionLife  time.Duration // of users' sessions: a grant that is not offline ends with its own
}

// Rules judges requests. It is safe for concurrent use.
type Rules struct {
	Options
	unknown unknownKeys
	decoy   store.SecretHash // what an unknown client's secret is compared with
}

// New makes rules.
func New(options Options) *Rules {
	return &Rules{Options: options, decoy: newDecoy()}
}

// now is the store's clock, Unix seconds.
func (s *Rules) now() int64 { return s.Tokens.Now() / int64(time.Second) }
