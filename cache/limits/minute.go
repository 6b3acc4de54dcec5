package limits

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"oauth2-server/store"
)

const (
	saveEvery    = 2 * time.Second
	savePatience = 2 * time.Second
	// unsavedMinutes are kept while the store cannot be reached.
	unsavedMinutes = 5
	// namedKeys is how many of the busiest keys of a rule are named.
	namedKeys = 20
	// refusalsSaved is how many refused keys go with one save; refusalsKept how many may wait.
	refusalsSaved, refusalsKept = 1000, 20_000
	// tellAgain is after how long a key that is still refused is told of again, microseconds: the store forgets it after a day.
	tellAgain = int64(time.Hour / time.Microsecond)
)

// refusals are the keys of a rule that were refused and are not saved yet.
type refusals struct {
	mu   sync.Mutex
	keys []store.RefusedKey
}

// add queues the key unless it was told of within the hour. What finds no room is added when it is refused again.
func (q *refusals) add(r *rule, e *entry, now int64) {
	told := e.told.Load()
	if told != 0 && now-told < tellAgain || !e.told.CompareAndSwap(told, now) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.keys) >= refusalsKept {
		e.told.Store(told)
		return
	}
	q.keys = append(q.keys, store.RefusedKey{Limit: r.limit.Name, Hash: hashKey(r.limit.Name, e.key), Version: r.limit.Version})
}

// hashKey names a key of a rule without telling it.
func hashKey(rule, key string) [16]byte {
	digest := sha256.Sum256([]byte(rule + "\x00" + key))
	return [16]byte(digest[:16])
}

// take moves the oldest keys, at most so many, to dst.
func (q *refusals) take(dst []store.RefusedKey, most int) []store.RefusedKey {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.keys), max(most, 0))
	dst = append(dst, q.keys[:n]...)
	q.keys = slices.Delete(q.keys, 0, n)
	return dst
}

// restore puts back what could not be saved.
func (q *refusals) restore(key store.RefusedKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.keys) < refusalsKept {
		q.keys = append(q.keys, key)
	}
}

// runSampler takes a sample at the end of every second.
func (l *Limiter) runSampler(ctx context.Context) error {
	for {
		now := l.options.Now()
		timer := time.NewTimer(now.Truncate(time.Second).Add(time.Second).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			l.sample(l.options.Now().Unix() - 1)
		}
	}
}

// sample adds what was counted since the last one to a second, in Unix seconds.
func (l *Limiter) sample(second int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := second / 60
	if l.open && l.minutes[len(l.minutes)-1].Minute < minute {
		l.closeMinute()
	}
	for name, a := range l.accounts {
		total := a.counted()
		if total == a.sampled {
			continue
		}
		delta := total
		for d := range delta {
			delta[d] -= a.sampled[d]
		}
		a.sampled = total
		l.record(minute, name, int(second%60), delta)
	}
}

// record writes what was counted in a second into its minute. mu is held.
func (l *Limiter) record(minute int64, name string, second int, delta [numDecisions]uint64) {
	if !l.open {
		l.open = true
		if len(l.minutes) == unsavedMinutes {
			l.minutes = slices.Delete(l.minutes, 0, 1)
		}
		l.minutes = append(l.minutes, store.LimitMinute{Replica: l.options.Replica, Minute: minute, Rules: map[string]store.RuleMinute{}})
	}
	current := &l.minutes[len(l.minutes)-1]
	counts := current.Rules[name]
	// What a shadow would refuse is allowed.
	addAt(&counts.Allowed, second, delta[allowed]+delta[wouldRefuse])
	addAt(&counts.Refused, second, delta[refused])
	addAt(&counts.Would, second, delta[wouldRefuse])
	addAt(&counts.Trial, second, delta[trialRefused])
	current.Rules[name] = counts
	l.unsaved = true
}

// addAt adds n to the count of a second, in a list without the zeros at its end.
func addAt(counts *[]int64, second int, n uint64) {
	if n == 0 {
		return
	}
	if missing := second + 1 - len(*counts); missing > 0 {
		*counts = append(*counts, make([]int64, missing)...)
	}
	(*counts)[second] += int64(n)
}

// closeMinute names the busiest keys of the minute under way, for the last time, and begins to count them anew. mu is held.
func (l *Limiter) closeMinute() {
	l.nameKeys()
	l.open = false
	for _, a := range l.accounts {
		a.newest.each(func(e *entry) {
			e.minuteAllowed.Store(0)
			e.minuteRefused.Store(0)
		})
	}
}

// nameKeys writes the busiest keys into the minute under way. mu is held.
func (l *Limiter) nameKeys() {
	if !l.open {
		return
	}
	current := &l.minutes[len(l.minutes)-1]
	for name, counts := range current.Rules {
		if a := l.accounts[name]; a != nil {
			counts.Top = a.newest.busiest(namedKeys)
			current.Rules[name] = counts
		}
	}
}

// busiest are the keys with the most permits asked for in this minute, those with the most first.
func (t *table) busiest(most int) []store.KeyMinute {
	var top []store.KeyMinute
	least := int64(0) // of those in a full list
	t.each(func(e *entry) {
		k := store.KeyMinute{Allowed: e.minuteAllowed.Load(), Refused: e.minuteRefused.Load()}
		asked := k.Allowed + k.Refused
		if asked <= least {
			return
		}
		k.Key = clean(e.key)
		at, _ := slices.BinarySearchFunc(top, k, busier)
		top = slices.Insert(top, at, k)
		if len(top) > most {
			top = top[:most]
		}
		if len(top) == most {
			least = top[most-1].Allowed + top[most-1].Refused
		}
	})
	return top
}

func busier(a, b store.KeyMinute) int {
	return cmp.Or(cmp.Compare(b.Allowed+b.Refused, a.Allowed+a.Refused), cmp.Compare(a.Key, b.Key))
}

// runSaver saves what was counted every other second, and looks at the guards.
func (l *Limiter) runSaver(ctx context.Context) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.sample(l.options.Now().Unix())
			l.save(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
			if l.save(ctx) {
				l.guard(ctx)
			}
		}
	}
}

// save tells the store what was counted since the last time. It reports whether the store knows all of it.
func (l *Limiter) save(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	minutes, keys := l.due()
	for i, minute := range minutes {
		var with []store.RefusedKey
		if i == len(minutes)-1 {
			with = keys
		}
		if err := l.options.Store.SaveLimitMinute(ctx, minute, with); err != nil {
			l.meters.saveFaults.Inc() // the feed's log line tells of the outage
			l.keep(keys)
			return false
		}
	}
	if len(minutes) > 0 {
		l.drop(minutes[len(minutes)-1].Minute)
	}
	return true
}

// due is what the store does not know: minutes, and keys to go with the last of them.
func (l *Limiter) due() (minutes []store.LimitMinute, keys []store.RefusedKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.accounts {
		keys = a.refusals.take(keys, refusalsSaved-len(keys))
	}
	if !l.unsaved && len(keys) == 0 {
		return nil, nil
	}
	l.unsaved = false
	l.nameKeys()
	for _, m := range l.minutes {
		minutes = append(minutes, cloneMinute(m))
	}
	if len(minutes) == 0 { // nothing is sampled yet
		minutes = append(minutes, store.LimitMinute{Replica: l.options.Replica, Minute: l.options.Now().Unix() / 60})
	}
	return minutes, keys
}

func cloneMinute(m store.LimitMinute) store.LimitMinute {
	m.Rules = maps.Clone(m.Rules)
	for name, r := range m.Rules {
		r.Allowed, r.Refused = slices.Clone(r.Allowed), slices.Clone(r.Refused)
		r.Would, r.Trial = slices.Clone(r.Would), slices.Clone(r.Trial)
		m.Rules[name] = r
	}
	return m
}

// drop forgets the minutes before the one that was saved last: they are over, and the store has them.
func (l *Limiter) drop(last int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.minutes = slices.DeleteFunc(l.minutes, func(m store.LimitMinute) bool { return m.Minute < last })
}

// keep puts back what could not be saved.
func (l *Limiter) keep(keys []store.RefusedKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = true
	for _, key := range keys {
		if a := l.accounts[key.Limit]; a != nil {
			a.refusals.restore(key)
		}
	}
}
