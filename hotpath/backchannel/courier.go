package backchannel

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// Store is the queue; storetest.Store says what each method promises.
type Store interface {
	ClaimLogouts(ctx context.Context, limit int, lease time.Duration) ([]store.Logout, error)
	FinishLogout(ctx context.Context, id store.ID) error
	RetryLogout(ctx context.Context, id store.ID, next time.Time) error
}

// Tokens makes logout tokens: see [oauth.Rules.LogoutToken].
type Tokens interface {
	LogoutToken(l *store.Logout) (text []byte, to string, err error)
}

// Poster sends a form, never to a private address, and says the status of the answer: see [fetch.Client].
type Poster interface {
	Post(ctx context.Context, target, form string) (status int, err error)
}

// Options of a [Courier]. All but Every are required.
type Options struct {
	Store   Store
	Tokens  Tokens
	Poster  Poster
	Now     func() int64 // the store's clock, Unix nanoseconds
	Metrics *metrics.Set
	Log     *slog.Logger
	Every   time.Duration // how often the queue is looked at; 0: a second
}

// A Courier delivers logout tokens.
type Courier struct {
	Options
	delivered, failed, abandoned *metrics.Counter
}

// New makes a courier. It delivers once Run is called.
func New(o Options) *Courier {
	if o.Every == 0 {
		o.Every = time.Second
	}
	count := func(outcome string) *metrics.Counter {
		return o.Metrics.NewCounter(`oauth2_server_backchannel_logouts_total{outcome="` + outcome + `"}`)
	}
	return &Courier{Options: o, delivered: count("delivered"), failed: count("failed"), abandoned: count("abandoned")}
}

// Parallel is how many deliveries there are at once: one client that is slow holds up no others. All may be to one client, so its
// [Poster] must not let some wait for others, which would use up their time.
const Parallel = 32

const (
	postPatience  = 5 * time.Second  // for one delivery
	lease         = 30 * time.Second // of a claim: well over a delivery; then another replica may take it
	storePatience = 5 * time.Second
)

// Run delivers what is due until ctx is done. What is under way then is due again when its lease is over.
func (c *Courier) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		for c.round(ctx) == Parallel && ctx.Err() == nil { // more may be due
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round delivers what one claim hands out and returns how many that were.
func (c *Courier) round(ctx context.Context) int {
	patient, cancel := context.WithTimeout(ctx, storePatience)
	due, err := c.Store.ClaimLogouts(patient, Parallel, lease)
	cancel()
	if err != nil {
		return 0 // the store is away, which others tell of; what waits, waits
	}
	var group sync.WaitGroup
	for _, one := range due {
		group.Go(func() { c.deliver(ctx, one) })
	}
	group.Wait()
	return len(due)
}
