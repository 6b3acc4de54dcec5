package limits

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"oauth2-server/store"
)

// A Book is what statistics are read from; storetest.Store says what each method promises.
type Book interface {
	LimitMinutes(ctx context.Context, since int64) ([]store.LimitMinute, error)
	Replicas(ctx context.Context) ([]store.Replica, error)
}

// MaxStats is how far statistics go back.
const MaxStats = time.Hour

// Behind is how long it takes until every replica has told what it counted in a second.
const Behind = 3 * time.Second

// topKeys is how many keys are named.
const topKeys = 10

// Stats are what all replicas together counted for one limit.
type Stats struct {
	Limit      string    `json:"limit"`
	AsOf       time.Time `json:"as_of"`      // the end of the last point; replicas tell with a delay of up to 3 s
	From       time.Time `json:"from"`       // the start of the first point
	Resolution int64     `json:"resolution"` // seconds per point
	Series     Series    `json:"per_second"`
	Peak       Totals    `json:"peak"` // the most in one second of each, whatever the resolution
	LastMinute Totals    `json:"last_minute"`
	Total      Totals    `json:"total"`        // from From to AsOf
	Busiest    []KeyStat `json:"busiest"`      // of the keys that the replicas name, those with the most requests first
	Refused    []KeyStat `json:"most_refused"` // and those with the most refusals
	Replicas   []Heard   `json:"replicas"`     // that run now, or counted between From and AsOf
}

// Series are the counts per second, on average over each point.
type Series struct {
	Allowed []float64 `json:"allowed"`
	Refused []float64 `json:"refused"`
	Would   []float64 `json:"would_refuse"` // by the live value, in shadow: these are allowed too
	Trial   []float64 `json:"trial_refuse"` // by the trial value, whatever the live one says
}

// Totals are counts.
type Totals struct {
	Allowed int64 `json:"allowed"`
	Refused int64 `json:"refused"`
	Would   int64 `json:"would_refuse"`
	Trial   int64 `json:"trial_refuse"`
}

// A KeyStat is the part of one key.
type KeyStat struct {
	Key          string  `json:"key"`
	Requests     int64   `json:"requests"`
	Refused      int64   `json:"refused"`       // or would be, in shadow
	Share        float64 `json:"share"`         // of all requests, 0 to 1
	RefusedShare float64 `json:"refused_share"` // of all refusals
}

// A Heard is whether a replica has told what it counted.
type Heard struct {
	ID    store.ID   `json:"id"`
	Runs  bool       `json:"runs"`            // it is registered as running
	Heard *time.Time `json:"heard,omitempty"` // the minute it last told of; none: it told of nothing
}

// A StatsQuery selects statistics.
type StatsQuery struct {
	Limit      string
	Resolution int64         // seconds per point, 1 to 3600; 0: 1
	Last       time.Duration // how far back, up to MaxStats; 0: all of it
	Now        time.Time     // required
	Names      Names         // nil: names that are counted as hashes are told as such
}

// ReadStats reads and adds up what the replicas counted. A replica that counted nothing in a minute may leave it out.
func ReadStats(ctx context.Context, book Book, q StatsQuery) (Stats, error) {
	q.Resolution, q.Last = cmp.Or(q.Resolution, 1), cmp.Or(q.Last, MaxStats)
	if err := q.check(); err != nil {
		return Stats{}, err
	}
	w := q.window()
	minutes, err := book.LimitMinutes(ctx, w.from/60)
	if err != nil {
		return Stats{}, fmt.Errorf("read what limits counted: %w", err)
	}
	replicas, err := book.Replicas(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("list replicas: %w", err)
	}
	for i := range minutes {
		if rule, there := minutes[i].Rules[q.Limit]; there {
			w.add(minutes[i].Minute, &rule)
		}
	}
	s := w.stats(q.Limit)
	if err := q.Names.reveal(ctx, s.Busiest, s.Refused); err != nil {
		return Stats{}, fmt.Errorf("find the names of the busiest keys: %w", err)
	}
	s.Replicas = heard(replicas, minutes)
	return s, nil
}

func (q *StatsQuery) check() error {
	if q.Resolution < 1 || q.Resolution > int64(MaxStats/time.Second) {
		return &store.FieldError{Field: "resolution", Problem: "must be 1 to 3600 seconds per point"}
	}
	if q.Last < time.Second || q.Last > MaxStats || q.Last%time.Second != 0 {
		return &store.FieldError{Field: "last", Problem: "must be whole seconds, 1s to 1h"}
	}
	return nil
}

// A window is the seconds that are looked at, and what was counted in each.
type window struct {
	from, to, step                 int64 // Unix seconds: the first, the one after the last; of a point
	allowed, refused, would, trial []int64
	keys                           map[string]*store.KeyMinute
	requests, refusals             int64 // of the minutes that keys are from
}

// window is of whole points: the last ends with the last second of which every replica has told.
func (q *StatsQuery) window() *window {
	n := (int64(q.Last/time.Second) + q.Resolution - 1) / q.Resolution * q.Resolution
	w := &window{to: q.Now.Add(-Behind).Unix(), step: q.Resolution, keys: map[string]*store.KeyMinute{}}
	w.from = w.to - n
	w.allowed, w.refused, w.would, w.trial = make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	return w
}

func (w *window) add(minute int64, rule *store.RuleMinute) {
	for _, part := range []struct{ to, counts []int64 }{
		{w.allowed, rule.Allowed}, {w.refused, rule.Refused}, {w.would, rule.Would}, {w.trial, rule.Trial},
	} {
		for i, n := range part.counts {
			if at := minute*60 + int64(i) - w.from; at >= 0 && at < int64(len(part.to)) {
				part.to[at] += n
			}
		}
	}
	for _, key := range rule.Top {
		k := w.keys[key.Key]
		if k == nil {
			k = &store.KeyMinute{Key: key.Key}
			w.keys[key.Key] = k
		}
		k.Allowed += key.Allowed
		k.Refused += key.Refused
	}
	w.requests += sum(rule.Allowed) + sum(rule.Refused)
	w.refusals += sum(rule.Refused) + sum(rule.Would)
}

func (w *window) stats(limit string) Stats {
	s := Stats{
		Limit: limit, From: time.Unix(w.from, 0).UTC(), AsOf: time.Unix(w.to, 0).UTC(), Resolution: w.step,
		Series:     Series{w.points(w.allowed), w.points(w.refused), w.points(w.would), w.points(w.trial)},
		Peak:       Totals{slices.Max(w.allowed), slices.Max(w.refused), slices.Max(w.would), slices.Max(w.trial)},
		LastMinute: w.totals(max(w.from, w.to-60)), Total: w.totals(w.from),
	}
	all := []KeyStat{}
	for _, name := range slices.Sorted(maps.Keys(w.keys)) {
		k := w.keys[name]
		requests := k.Allowed + k.Refused
		all = append(all, KeyStat{k.Key, requests, k.Refused, share(requests, w.requests), share(k.Refused, w.refusals)})
	}
	slices.SortStableFunc(all, func(a, b KeyStat) int { return cmp.Compare(b.Requests, a.Requests) })
	s.Busiest = slices.Clone(all[:min(len(all), topKeys)])
	all = slices.DeleteFunc(all, func(k KeyStat) bool { return k.Refused == 0 })
	slices.SortStableFunc(all, func(a, b KeyStat) int { return cmp.Compare(b.Refused, a.Refused) })
	s.Refused = all[:min(len(all), topKeys)]
	return s
}

// points are the averages per second.
func (w *window) points(counts []int64) []float64 {
	points := make([]float64, 0, int64(len(counts))/w.step)
	for chunk := range slices.Chunk(counts, int(w.step)) {
		points = append(points, float64(sum(chunk))/float64(w.step))
	}
	return points
}

func (w *window) totals(from int64) Totals {
	at := from - w.from
	return Totals{sum(w.allowed[at:]), sum(w.refused[at:]), sum(w.would[at:]), sum(w.trial[at:])}
}

// heard is every replica that runs or has counted, and the minute it last told of.
func heard(running []store.Replica, minutes []store.LimitMinute) []Heard {
	last := map[store.ID]int64{}
	for i := range minutes {
		m := &minutes[i]
		last[m.Replica] = max(last[m.Replica], m.Minute)
	}
	all := []Heard{}
	for _, r := range running {
		all = append(all, Heard{ID: r.ID, Runs: true})
	}
	for id := range last {
		if !slices.ContainsFunc(all, func(h Heard) bool { return h.ID == id }) {
			all = append(all, Heard{ID: id})
		}
	}
	for i := range all {
		if minute := last[all[i].ID]; minute != 0 {
			at := time.Unix(minute*60, 0).UTC()
			all[i].Heard = &at
		}
	}
	slices.SortFunc(all, func(a, b Heard) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all
}

func sum(counts []int64) (total int64) {
	for _, n := range counts {
		total += n
	}
	return total
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}
