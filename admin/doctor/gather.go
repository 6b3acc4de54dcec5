package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// Bounds of looking. What is slower than that is a finding in itself.
const (
	partPatience  = 3 * time.Second
	wholePatience = 5 * time.Second

	lookBack   = 7 * 24 * time.Hour // replicas are kept as long by default
	limitsBack = 10 * time.Minute
	tokensMost = 10_000
	usersAPage = 1000
	userPages  = 10
)

// A Store is what is read of the database; storetest.Store says what each method promises.
type Store interface {
	Inspect(ctx context.Context) (store.Inspection, error)
	ReplicasSince(ctx context.Context, since time.Time) ([]store.Replica, error)
	Kept(ctx context.Context) ([]store.Kept, error)
	Keys(ctx context.Context) ([]store.Key, error)
	limitStore
	tokenStore
}

// limitStore is limits, what was counted of them, and the names of who was.
type limitStore interface {
	limits.Book
	limits.Directory
	Limits(ctx context.Context) ([]store.Limit, error)
}

type tokenStore interface {
	NewestTokens(ctx context.Context, before store.ID, limit int, found func(store.Token) bool) error
	Cutoffs(ctx context.Context) ([]store.Cutoff, error)
}

// Sources is where to look. All but Store may be left out.
type Sources struct {
	Store         Store
	ReachDatabase func(ctx context.Context) []store.Reach // nil: it is a file
	Redis         redis.UniversalClient                   // nil: none is configured
	ReachRedis    func(ctx context.Context) []store.Reach // nil: as Redis
	URL           string                                  // of the public listener, as clients reach it; "": it is not looked at
	Capacity      int64                                   // bytes that the database may take; 0: not told
	Configured    Configured
	Platform      string // what runs this program
}

// A part looks at one thing. What it found is put into the facts by who waits for it, if he still does.
type part struct {
	name string
	look func(ctx context.Context) (put func(f *Facts), err error)
}

// Gather looks everywhere at once, but for what is read of the store. It takes five seconds at most, whatever hangs.
func Gather(ctx context.Context, s Sources) *Facts {
	ctx, cancel := context.WithTimeout(ctx, wholePatience)
	defer cancel()
	f := &Facts{Local: time.Now(), Unseen: map[string]string{}, Configured: s.Configured, Capacity: s.Capacity, Platform: s.Platform, RedisURL: s.Redis != nil}
	f.Now = f.Local
	wait(ctx, f, s.queues())
	if f.Database != nil {
		f.Now = f.Local.Add(f.Database.Skew)
	}
	if way := WayFault(f.DatabaseWay); way != nil && f.Database == nil {
		f.DatabaseFault = way // it says more
	}
	return f
}

// A queue is parts that are looked at one after another, within partPatience in all.
type queue []part

// queues begin with the parts that are read of the store: the pool of a replica has few connections, and requests need them
// most when the database is slow. The doctor takes one of them; Inspect has its own.
func (s *Sources) queues() []queue {
	queues := []queue{{
		{"replicas", s.lookAtReplicas},
		{"keys", s.lookAtKeys},
		{"limits", s.lookAtLimits},
		{"retention", s.lookAtKept},
		{"cut-offs", s.lookAtCutoffs},
		{"users", s.lookAtUsers},
		{"tokens", s.lookAtTokens},
	}, {{"database", s.lookAtDatabase}}}
	if s.ReachDatabase != nil {
		queues = append(queues, queue{{"way to the database", s.lookAtDatabaseWay}})
	}
	if s.Redis != nil {
		queues = append(queues, queue{{"Redis", s.lookAtRedis}})
	}
	if s.ReachRedis != nil {
		queues = append(queues, queue{{"way to Redis", s.lookAtRedisWay}})
	}
	if s.URL != "" {
		queues = append(queues, queue{{"public URL", s.lookAtPublic}})
	}
	return queues
}

// A result is what came of a part.
type result struct {
	name string
	put  func(f *Facts)
	err  error
}

// run looks at the parts until its time is over; those that it did not reach have no answer.
func (q queue) run(ctx context.Context, results chan<- result) {
	ctx, cancel := context.WithTimeout(ctx, partPatience)
	defer cancel()
	for _, p := range q {
		r := result{name: p.name, err: ctx.Err()}
		if r.err == nil {
			r.put, r.err = p.look(ctx)
		}
		results <- r
	}
}

// wait runs all queues at once. One that does not heed its deadline is left behind.
func wait(ctx context.Context, f *Facts, queues []queue) {
	pending := map[string]bool{}
	for _, q := range queues {
		for _, p := range q {
			pending[p.name] = true
		}
	}
	results := make(chan result, len(pending))
	for _, q := range queues {
		go q.run(ctx, results)
	}
	for len(pending) > 0 {
		select {
		case r := <-results:
			delete(pending, r.name)
			if r.put != nil {
				r.put(f)
			}
			if r.err != nil {
				f.Unseen[r.name] = reason(r.err)
			}
		case <-ctx.Done():
			for name := range pending {
				f.Unseen[name] = "no answer in time"
			}
			return
		}
	}
}

// reason is why a part could not be looked at. The text of a fault of the store names hosts and users: "database.unreachable" has it.
func reason(err error) string {
	fault, ok := errors.AsType[*store.Fault](err)
	switch {
	case ok && fault.Part != store.StepQuery:
		return "the database fails at the step " + fault.Part
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case ok:
		return "the database does not answer as it should"
	}
	return err.Error()
}

func (s *Sources) lookAtDatabase(ctx context.Context) (func(*Facts), error) {
	seen, err := s.Store.Inspect(ctx)
	if err != nil {
		return func(f *Facts) { f.DatabaseFault = FaultOf(err) }, err
	}
	return func(f *Facts) { f.Database = &seen }, nil
}

func (s *Sources) lookAtDatabaseWay(ctx context.Context) (func(*Facts), error) {
	way := s.ReachDatabase(ctx)
	return func(f *Facts) { f.DatabaseWay = way }, nil
}

func (s *Sources) lookAtRedis(ctx context.Context) (func(*Facts), error) {
	seen := cache.Inspect(ctx, s.Redis) // its faults are findings of their own
	return func(f *Facts) { f.Redis = &seen }, nil
}

func (s *Sources) lookAtRedisWay(ctx context.Context) (func(*Facts), error) {
	way := s.ReachRedis(ctx)
	return func(f *Facts) { f.RedisWay, f.RedisFault = way, WayFault(way) }, nil
}

func (s *Sources) lookAtReplicas(ctx context.Context) (func(*Facts), error) {
	all, err := s.Store.ReplicasSince(ctx, time.Now().Add(-lookBack))
	return func(f *Facts) { f.Replicas = all }, err
}

func (s *Sources) lookAtKeys(ctx context.Context) (func(*Facts), error) {
	all, err := s.Store.Keys(ctx)
	return func(f *Facts) { f.Keys = all }, err
}

func (s *Sources) lookAtKept(ctx context.Context) (func(*Facts), error) {
	all, err := s.Store.Kept(ctx)
	return func(f *Facts) { f.Kept = all }, err
}

func (s *Sources) lookAtCutoffs(ctx context.Context) (func(*Facts), error) {
	all, err := s.Store.Cutoffs(ctx)
	return func(f *Facts) { f.Cutoffs = all }, err
}

// lookAtUsers ends with the first operator: what matters is whether there is one.
func (s *Sources) lookAtUsers(ctx context.Context) (func(*Facts), error) {
	after := ""
	for range userPages {
		page, err := s.Store.Users(ctx, after, usersAPage)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if page[i].Role == store.RoleAdmin && !page[i].Disabled {
				return func(f *Facts) { f.Admins = new(1) }, nil
			}
		}
		if len(page) < usersAPage {
			return func(f *Facts) { f.Admins = new(0) }, nil
		}
		after = page[len(page)-1].Username
	}
	return nil, nil // more users than are looked at: not known
}

func (s *Sources) lookAtTokens(ctx context.Context) (func(*Facts), error) {
	seen := &Minting{By: map[string]int{}}
	var record store.Record
	err := s.Store.NewestTokens(ctx, store.ID{}, tokensMost, func(token store.Token) bool {
		if record.Parse(token.Record) != nil {
			return true
		}
		seen.Oldest = time.Unix(record.Issued, 0)
		if seen.Total == 0 {
			seen.Newest = seen.Oldest
		}
		seen.By[string(record.Client)]++
		seen.Total++
		return true
	})
	if err != nil {
		return nil, err
	}
	return func(f *Facts) { f.Minting = seen }, nil
}

// lookAtLimits reads what was counted once for all limits.
func (s *Sources) lookAtLimits(ctx context.Context) (func(*Facts), error) {
	all, err := s.Store.Limits(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	book := &readOnce{}
	if book.minutes, err = s.Store.LimitMinutes(ctx, now.Add(-limitsBack-limits.Behind).Unix()/60); err != nil {
		return nil, err
	}
	names := sync.OnceValues(func() ([]string, error) { return limits.NamesOf(s.Store)(ctx) })
	query := limits.StatsQuery{Resolution: 60, Last: limitsBack, Now: now, Names: func(context.Context) ([]string, error) { return names() }}
	var found []LimitFacts
	for _, l := range all {
		query.Limit = l.Name
		stats, err := limits.ReadStats(ctx, book, query)
		if err != nil {
			return nil, fmt.Errorf("limit %s: %w", strings.ToValidUTF8(l.Name, ""), err)
		}
		found = append(found, LimitFacts{l, stats})
	}
	return func(f *Facts) { f.Limits = found }, nil
}

// readOnce is what was counted, for all limits.
type readOnce struct{ minutes []store.LimitMinute }

func (b *readOnce) LimitMinutes(context.Context, int64) ([]store.LimitMinute, error) {
	return b.minutes, nil
}

// Replicas are looked at apart.
func (b *readOnce) Replicas(context.Context) ([]store.Replica, error) { return nil, nil }
