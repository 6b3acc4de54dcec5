package limits

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"oauth2-server/store"
)

// A Ledger keeps limits, and who changed them; storetest.Store says what each method promises.
type Ledger interface {
	ChangeLimit(ctx context.Context, actor store.Actor, action, name string, change func(old *store.Limit) (*store.Limit, error)) (store.Limit, error)
	Limits(ctx context.Context) ([]store.Limit, error)
	Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error)
}

// Operations are what operators do to limits, the same over HTTP as on the command line. All report [store.ErrNotFound]
// for a limit that is not there, [*Stale] for one that is not at the version asked for, and joined [*store.FieldError]
// for all that is wrong with what it would become; then nothing is changed.
type Operations struct{ Store Ledger }

// An Order is who changes which limit.
type Order struct {
	Actor   store.Actor
	Name    string
	Version int64 // the limit must have it; 0: whatever it has
}

// A Change is what an operation did.
type Change struct {
	Before *store.Limit // nil: the limit is new
	After  *store.Limit // nil: it is deleted
	Same   bool         // it was like that already: there is no new version
	Undone string       // of a rollback to no version: the action that it took back, "limit.rollback" perhaps
}

// Stale says that a limit is not at the version that a change was made for. It is a [store.ErrConflict].
type Stale struct {
	Name    string
	Asked   int64     // 0: it was not to be there
	Version int64     // that it has; 0: it is not there
	Actor   string    // of the newest change; "": unknown
	At      time.Time // of the newest change
}

func (e *Stale) Error() string {
	text := fmt.Sprintf("limit %q has version %d now, not %d", e.Name, e.Version, e.Asked)
	switch {
	case e.Version == 0:
		text = fmt.Sprintf("there is no limit %q", e.Name)
	case e.Asked == 0:
		text = fmt.Sprintf("there is a limit %q already, version %d", e.Name, e.Version)
	}
	if e.Actor != "" {
		text += fmt.Sprintf(", changed by %s at %s", e.Actor, e.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return text + ": look at it again"
}

// Is makes every Stale a [store.ErrConflict].
func (e *Stale) Is(target error) bool { return target == store.ErrConflict }

// AuditObject is what audit rows of a limit have as their object.
func AuditObject(name string) string { return "limit " + name }

// Find is the limit of the name.
func (o Operations) Find(ctx context.Context, name string) (store.Limit, error) {
	all, err := o.Store.Limits(ctx)
	if err != nil {
		return store.Limit{}, err
	}
	if i := slices.IndexFunc(all, func(l store.Limit) bool { return l.Name == name }); i >= 0 {
		return all[i], nil
	}
	return store.Limit{}, missing(name)
}

// Put makes l the limit of the name, whether there is one or not.
func (o Operations) Put(ctx context.Context, order Order, l store.Limit) (Change, error) {
	if order.Version == 0 {
		if done, err := o.Create(ctx, order, l); !errors.Is(err, store.ErrConflict) {
			return done, err
		}
	}
	return o.change(ctx, order, "limit.update", func(old *store.Limit) (*store.Limit, error) {
		if old == nil {
			return nil, &Stale{Name: order.Name, Asked: order.Version}
		}
		return &l, nil
	})
}

// Create makes l the limit of a name that has none.
func (o Operations) Create(ctx context.Context, order Order, l store.Limit) (Change, error) {
	return o.change(ctx, order, "limit.create", func(old *store.Limit) (*store.Limit, error) {
		if old != nil {
			return nil, &Stale{Name: order.Name, Version: old.Version}
		}
		return &l, nil
	})
}

// A Patch is a part of a limit: what is nil stays.
type Patch struct {
	Endpoint, Key, Mode *string
	Rate, Burst         *int64
	Period              *store.Period
	Trial               *store.Quota
	Guard               *store.Guard
	EndTrial, EndGuard  bool // take them away
}

func (p *Patch) apply(l *store.Limit) {
	set(&l.Endpoint, p.Endpoint)
	set(&l.Key, p.Key)
	set(&l.Mode, p.Mode)
	set(&l.Rate, p.Rate)
	set(&l.Burst, p.Burst)
	set(&l.Period, p.Period)
	if p.Trial != nil || p.EndTrial {
		l.Trial = p.Trial
	}
	if p.Guard != nil || p.EndGuard {
		l.Guard = p.Guard
	}
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Patch changes a part of a limit.
func (o Operations) Patch(ctx context.Context, order Order, p Patch) (Change, error) {
	return o.edit(ctx, order, "limit.update", func(l *store.Limit) error {
		p.apply(l)
		return nil
	})
}

// Delete ends a limit.
func (o Operations) Delete(ctx context.Context, order Order) (Change, error) {
	return o.change(ctx, order, "limit.delete", func(old *store.Limit) (*store.Limit, error) {
		if old == nil {
			return nil, missing(order.Name)
		}
		return nil, nil
	})
}

// SetOverride lets v hold for a key, which may be written in any way that [CanonicalKey] reads.
func (o Operations) SetOverride(ctx context.Context, order Order, key string, v store.Override) (Change, error) {
	return o.edit(ctx, order, "limit.override", func(l *store.Limit) error {
		key, err := overridden(l, key)
		if err != nil {
			return err
		}
		if l.Overrides == nil {
			l.Overrides = map[string]store.Override{}
		}
		l.Overrides[key] = v
		return nil
	})
}

// DropOverride lets the limit's own value hold for a key again. [store.ErrNotFound]: it had no override.
func (o Operations) DropOverride(ctx context.Context, order Order, key string) (Change, error) {
	return o.edit(ctx, order, "limit.override", func(l *store.Limit) error {
		key, err := overridden(l, key)
		if err != nil {
			return err
		}
		if _, there := l.Overrides[key]; !there {
			return fmt.Errorf("limit %q has no override of %q: %w", l.Name, key, store.ErrNotFound)
		}
		delete(l.Overrides, key)
		return nil
	})
}

// SetTrial puts a value beside the live one, which refuses nothing.
func (o Operations) SetTrial(ctx context.Context, order Order, q store.Quota) (Change, error) {
	return o.edit(ctx, order, "limit.trial", func(l *store.Limit) error {
		l.Trial = &q
		return nil
	})
}

// DropTrial ends the trial. [store.ErrNotFound]: there was none.
func (o Operations) DropTrial(ctx context.Context, order Order) (Change, error) {
	return o.edit(ctx, order, "limit.trial", func(l *store.Limit) error {
		if l.Trial == nil {
			return fmt.Errorf("limit %q has no trial: %w", l.Name, store.ErrNotFound)
		}
		l.Trial = nil
		return nil
	})
}

// Promote makes the trial's value the live one, and ends the trial. The mode stays.
func (o Operations) Promote(ctx context.Context, order Order) (Change, error) {
	return o.edit(ctx, order, "limit.promote", func(l *store.Limit) error {
		if l.Trial == nil {
			return &store.FieldError{Field: "trial", Problem: "there is none to promote: set one first"}
		}
		l.Quota, l.Trial = *l.Trial, nil
		return nil
	})
}

// edit changes a limit that is there.
func (o Operations) edit(ctx context.Context, order Order, action string, edit func(l *store.Limit) error) (Change, error) {
	return o.change(ctx, order, action, func(old *store.Limit) (*store.Limit, error) {
		if old == nil {
			return nil, missing(order.Name)
		}
		l := old.Clone()
		return &l, edit(&l)
	})
}

// errSame ends a change that changes nothing.
var errSame = errors.New("the limit is like that already")

// change is the way of every operation: the version is compared, what comes of the limit is checked whole, and written
// unless it is what there is.
func (o Operations) change(ctx context.Context, order Order, action string, next func(old *store.Limit) (*store.Limit, error)) (Change, error) {
	var done Change
	stored, err := o.Store.ChangeLimit(ctx, order.Actor, action, order.Name, func(old *store.Limit) (*store.Limit, error) {
		done = Change{Before: old}
		if old != nil && order.Version != 0 && order.Version != old.Version {
			return nil, &Stale{Name: order.Name, Asked: order.Version, Version: old.Version}
		}
		l, err := next(old)
		if err != nil || l == nil {
			return nil, err
		}
		if done.After, err = checked(order.Name, l); err != nil {
			return nil, err
		}
		done.After.Restored = action == ActionRollback
		if old != nil && same(*old, *done.After) {
			return nil, errSame
		}
		return done.After, nil
	})
	switch stale, isStale := errors.AsType[*Stale](err); {
	case errors.Is(err, errSame):
		return Change{Before: done.Before, After: done.Before, Same: true}, nil
	case isStale:
		return Change{}, o.blame(ctx, stale)
	case err != nil:
		return Change{}, err
	}
	if done.After != nil {
		done.After = &stored
	}
	return done, nil
}

// blame adds who made the newest change. It is a courtesy: where the audit cannot be read, the rest is told.
func (o Operations) blame(ctx context.Context, e *Stale) error {
	if rows, err := o.Store.Audits(ctx, store.AuditQuery{Object: AuditObject(e.Name), Limit: 1}); err == nil && len(rows) > 0 {
		e.Actor, e.At = rows[0].Actor, rows[0].At
	}
	return e
}

func missing(name string) error {
	return fmt.Errorf("there is no limit %q: %w", name, store.ErrNotFound)
}

// checked is the limit with the one spelling of its keys, or all that is wrong with it.
func checked(name string, given *store.Limit) (*store.Limit, error) {
	l := given.Clone()
	var faults []error
	if l.Name != "" && l.Name != name {
		faults = append(faults, &store.FieldError{Field: "name", Problem: fmt.Sprintf("is not %q, which is to be changed", name)})
	}
	l.Name, l.Overrides = name, map[string]store.Override{}
	for _, text := range slices.Sorted(maps.Keys(given.Overrides)) {
		key, err := overridden(&l, text)
		if _, twice := l.Overrides[key]; err == nil && twice {
			err = &store.FieldError{Field: fmt.Sprintf("overrides.%.80s", text), Problem: fmt.Sprintf("is another spelling of %q, which is there too", key)}
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l.Overrides[key] = given.Overrides[text]
	}
	if err := errors.Join(append(faults, l.Validate(Endpoints()))...); err != nil {
		return nil, err
	}
	return &l, nil
}

// overridden is the one spelling of a key that an override is for.
func overridden(l *store.Limit, text string) (string, error) {
	key, err := CanonicalKey(l.Key, text)
	if err != nil {
		return text, &store.FieldError{Field: fmt.Sprintf("overrides.%.80s", text), Problem: err.Error()}
	}
	return key, nil
}

// same reports whether two versions of a limit say the same.
func same(a, b store.Limit) bool {
	for _, l := range []*store.Limit{&a, &b} {
		l.Version, l.Created, l.Updated, l.Restored = 0, time.Time{}, time.Time{}, false
		l.Since, l.SinceAt = 0, time.Time{}
		if len(l.Overrides) == 0 {
			l.Overrides = nil
		}
	}
	return reflect.DeepEqual(a, b)
}
