package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"oauth2-server/store"
)

// batchRows is how many rows are written in one transaction: a few milliseconds for those who wait.
const batchRows = 1000

// maintainPatience bounds a run whose context has no deadline.
const maintainPatience = 30 * time.Second

var errMaintained = fmt.Errorf("this process prunes already: try again in a minute: %w", store.ErrConflict)

// Maintain prunes every kind, unless another caller does.
func (db *DB) Maintain(ctx context.Context) error {
	_, err := db.Prune(ctx)
	if errors.Is(err, errMaintained) {
		return nil
	}
	return err
}

// Prune removes what is past of the kinds, of every kind when none is named, and is what it did. It deletes in small transactions between
// which others write. What fails does not keep the rest from being done. It stops in time for the deadline: then more is
// due. ErrConflict: another caller is at it; one in another process does no harm.
func (db *DB) Prune(ctx context.Context, kinds ...string) ([]store.Kept, error) {
	if !db.maintaining.TryLock() {
		return nil, errMaintained
	}
	defer db.maintaining.Unlock()
	r := &pruner{ctx: ctx, db: db, now: db.now()}
	all, err := db.readSettings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the settings of retention: %w", err)
	}
	if len(kinds) > 0 {
		all = slices.DeleteFunc(all, func(k store.Kept) bool { return !slices.Contains(kinds, k.Kind) })
	}
	var faults []error
	for i := range all {
		if err := r.one(&all[i], r.share(len(all)-i)); err != nil {
			faults = append(faults, fmt.Errorf("prune %s: %w", all[i].Kind, err))
		}
		if ctx.Err() != nil {
			return all[:i+1], errors.Join(faults...)
		}
	}
	return all, errors.Join(append(faults, r.record(all))...)
}

// A pruner is one caller's run.
type pruner struct {
	ctx context.Context
	db  *DB
	now time.Time
}

// share is when the next of so many kinds has to end.
func (r *pruner) share(kinds int) time.Time {
	now := time.Now()
	deadline, ok := r.ctx.Deadline()
	if !ok {
		deadline = now.Add(maintainPatience)
	}
	return now.Add(deadline.Sub(now) * 4 / 5 / time.Duration(kinds))
}

// one prunes a kind until then.
func (r *pruner) one(k *store.Kept, until time.Time) (err error) {
	start := time.Now()
	k.Removed, err = r.remove(k, until)
	k.Fault = ""
	if err != nil {
		k.Fault = err.Error()
	} else if time.Now().After(until) {
		k.Due, err = r.due(k)
	}
	k.Ran, k.Total, k.Took = r.now, k.Total+k.Removed, time.Since(start).Milliseconds()
	return err
}

func (r *pruner) remove(k *store.Kept, until time.Time) (int64, error) {
	if k.Kind == store.KeptSizes {
		if err := r.measure(); err != nil {
			return 0, fmt.Errorf("measure the file: %w", err)
		}
	}
	p := prunings[k.Kind]
	removed := int64(0)
	for i := range p.due {
		n, err := r.repeat(p.deletion(i), p.unit(k.Before(r.now)), until)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// repeat repeats a delete until it finds less than a batch, or it is time to end.
func (r *pruner) repeat(text string, before int64, until time.Time) (removed int64, err error) {
	for {
		deleted := int64(0)
		err := r.db.write(r.ctx, "maintain", func(m *mutation) (err error) {
			deleted, err = m.exec(text, before, batchRows)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += deleted
		if deleted < batchRows || time.Now().After(until) {
			return removed, nil
		}
	}
}

// measure writes down the size of the file, once an hour.
func (r *pruner) measure() error {
	return r.db.write(r.ctx, "maintain", func(m *mutation) error {
		_, err := m.exec(measureSQL, r.now.Unix(), r.now.Truncate(time.Hour).Unix())
		return err
	})
}

// record writes down what was done, at once: each commit waits for the disk.
func (r *pruner) record(all []store.Kept) error {
	return r.db.write(r.ctx, "maintain", func(m *mutation) error {
		for _, k := range all {
			if _, err := m.exec(recordSQL, k.Kind, k.Ran.UnixMicro(), k.Removed, k.Took, k.Fault); err != nil {
				return err
			}
		}
		return nil
	})
}
