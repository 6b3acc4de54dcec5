package oauth

import (
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

// Options of [Rules]. All are required.
type Options struct {
	Issuer    string // the issuer identifier, RFC 8414 §2: no trailing slash
	Clients   Clients
	Tokens    Tokens
	Ring      *keys.Ring
	AccessTTL time.Duration // of clients that have none of their own
	Format    string        // of clients that have none of their own: store.FormatOpaque or store.FormatJWT
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
