package limits

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oauth2-server/store"
)

// guard takes back the changes of limits that refused too many keys that were never refused before.
func (l *Limiter) guard(ctx context.Context) {
	for _, limit := range l.guarded() {
		if err := l.guardOne(ctx, limit); err != nil && ctx.Err() == nil {
			l.options.Log.Error("cannot look after a changed limit", "limit", limit.Name, "version", limit.Version, "err", err)
		}
	}
}

// guarded are the limits whose last change of who is refused is young enough to be taken back, whatever else was changed since.
func (l *Limiter) guarded() (all []store.Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.options.Now()
	for _, a := range l.accounts {
		limit := a.rule.limit
		if limit.Guard != nil && !limit.Restored && a.rule.enforced && now.Sub(limit.DecidedAt()) <= time.Duration(limit.Guard.Within) {
			all = append(all, limit)
		}
	}
	return all
}

func (l *Limiter) guardOne(ctx context.Context, limit store.Limit) error {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	fresh, err := l.options.Store.NewlyRefused(ctx, limit.Name, limit.Decided())
	if err != nil || fresh <= limit.Guard.MaxNewRefusedKeys {
		return err
	}
	before, err := l.before(ctx, limit)
	if err != nil {
		return err
	}
	taken, err := l.takeBack(ctx, limit, before)
	switch {
	case errors.Is(err, errOvertaken):
		return nil // by another replica, or by a person
	case err != nil:
		return err
	}
	l.meters.takenBack.Inc()
	l.options.Log.Warn("a change of a limit is taken back: it refused too many keys that were never refused before", "limit", limit.Name,
		"version", limit.Decided(), "new_refused_keys", fresh, "allowed_by_guard", limit.Guard.MaxNewRefusedKeys, "mode_now", taken.Mode, "version_now", taken.Version)
	return nil
}

// before is what the limit was before the version that decided who is refused, as the audit has it; nil: there was none.
func (l *Limiter) before(ctx context.Context, limit store.Limit) (*store.Limit, error) {
	var before *store.Limit
	err := Operations{Store: l.options.Store}.recall(ctx, limit.Name, func(v Version) bool {
		if versionOf(v.Value) != limit.Decided() {
			return versionOf(v.Value) > limit.Decided() // the version is among the newest
		}
		before = v.before
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("find what limit %q was before version %d: %w", limit.Name, limit.Decided(), err)
	}
	return before, nil
}

// errOvertaken ends taking back what holds no more.
var errOvertaken = errors.New("the limit was changed again")

// takeBack makes the value of a limit what it was before, once: only while what decided it decides still, and the guard is there. One that
// was new only counts from now on. Overrides and a trial stay as they are, unless they are of keys of another kind.
func (l *Limiter) takeBack(ctx context.Context, limit store.Limit, before *store.Limit) (store.Limit, error) {
	actor := store.Actor{Kind: "guard", ID: l.options.Replica.String()}
	return l.options.Store.ChangeLimit(ctx, actor, "limit.guard", limit.Name, func(old *store.Limit) (*store.Limit, error) {
		if old == nil || old.Guard == nil || old.Decided() != limit.Decided() {
			return nil, errOvertaken
		}
		next := old.Clone()
		switch {
		case before == nil:
			next.Mode = store.LimitShadow
		case before.Key != old.Key || before.Endpoint != old.Endpoint:
			next = before.Clone()
		default:
			next.Quota, next.Mode = before.Quota, before.Mode
		}
		next.Restored = true
		return &next, nil
	})
}
