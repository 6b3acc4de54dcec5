package limits

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"oauth2-server/store"
)

// A Version is one change of a limit, as the audit remembers it.
type Version struct {
	Version int64        `json:"version"` // it made; of a deletion the one it ended
	At      time.Time    `json:"at"`
	Actor   string       `json:"actor,omitempty"`
	Action  string       `json:"action"` // "limit.create", "limit.update", "limit.override", "limit.trial", "limit.promote", "limit.rollback", "limit.guard", "limit.delete", "limit.first"
	Value   *store.Limit `json:"value"`  // null: the limit was deleted

	before *store.Limit
	row    int64 // id in the audit
	size   int   // bytes of the value
}

// Before is what the change changed; nil: there was nothing.
func (v *Version) Before() *store.Limit { return v.before }

// historyPage is how many rows of the audit are read at once: one may have a megabyte.
const historyPage = 16

// A HistoryQuery selects a page of the changes of a limit.
type HistoryQuery struct {
	Limit  string
	Before int64 // those before the row of this id of the audit: Next of the page before; 0: the newest
	Most   int   // at most so many changes; required
	Bytes  int   // at most so many bytes of values, but one change in any case; 0: no bound
}

// A History is a page of the changes of a limit, the newest first.
type History struct {
	Items []Version
	Next  int64 // Before of the next page; 0: this was the last
}

// History reads a page of the changes of a limit, also of one that is deleted. The limits of a first start come from no
// change: they end it as "limit.first".
func (o Operations) History(ctx context.Context, q HistoryQuery) (History, error) {
	h := History{Items: []Version{}}
	var last *Version // read
	from, size := int64(0), 0
	if q.Before != 0 {
		from = q.Before + 1 // with the last of the page before: what it changed may be the first of all
	}
	err := o.recallFrom(ctx, q.Limit, from, func(v Version) bool {
		if v.row == q.Before {
			last = &v
			return true
		}
		size += v.size
		if n := len(h.Items); n == q.Most || n > 0 && q.Bytes > 0 && size > q.Bytes {
			h.Next = last.row
			return false
		}
		last = &v
		h.Items = append(h.Items, v)
		return true
	})
	if err != nil || h.Next != 0 {
		return h, err
	}
	first, err := o.first(ctx, q, last)
	switch {
	case err != nil || first == nil:
		return h, err
	case len(h.Items) == q.Most:
		h.Next = last.row
	default:
		h.Items = append(h.Items, Version{Version: first.Version, At: first.Updated, Action: "limit.first", Value: first})
	}
	return h, nil
}

// first is what the oldest change changed, nil where it created the limit; of a limit that was never changed what it is.
func (o Operations) first(ctx context.Context, q HistoryQuery, oldest *Version) (*store.Limit, error) {
	switch {
	case oldest != nil:
		return oldest.before, nil
	case q.Before != 0:
		return nil, nil // there is no such row
	}
	l, err := o.Find(ctx, q.Limit)
	return &l, err
}

// ActionRollback is the action whose versions are marked as restored.
const ActionRollback = "limit.rollback"

// Rollback makes the limit again what it was at a version, or, with 0, before the newest change; a limit that was deleted comes
// back. The new version is marked as restored. The newest change may itself be a rollback: then it is that which is taken back.
func (o Operations) Rollback(ctx context.Context, order Order, version int64) (Change, error) {
	then, err := o.remembered(ctx, order.Name, version)
	if err != nil {
		return Change{}, err
	}
	done, err := o.change(ctx, order, ActionRollback, func(old *store.Limit) (*store.Limit, error) {
		// The audit was read before the limit was held: another change may have come between.
		if now := versionOf(old); now != then.current {
			return nil, &Stale{Name: order.Name, Asked: then.current, Version: now}
		}
		return then.value, nil
	})
	if version == 0 {
		done.Undone = then.newest
	}
	return done, err
}

// A memory is what the audit knows of a limit that is to be made again what it was.
type memory struct {
	current int64        // version; 0: it is deleted
	newest  string       // action of the newest change; "": none is known
	value   *store.Limit // to go back to
}

// remembered is the memory of a limit and of its value at a version, or, with 0, before the newest change.
func (o Operations) remembered(ctx context.Context, name string, version int64) (m memory, err error) {
	rows := 0
	err = o.recall(ctx, name, func(v Version) bool {
		if rows++; rows == 1 {
			m.current, m.newest = versionOf(v.Value), v.Action
		}
		for _, l := range []*store.Limit{v.Value, v.before} {
			if version != 0 && l != nil && l.Version == version {
				m.value = l
				return false
			}
		}
		if version == 0 {
			m.value = v.before
		}
		return version != 0
	})
	switch {
	case err != nil:
		return memory{}, err
	case m.value != nil:
		return m, nil
	case rows == 0:
		if _, err := o.Find(ctx, name); err != nil {
			return memory{}, err
		}
	}
	problem := fmt.Sprintf("limit %q has no earlier version: it is as it was created", name)
	if version != 0 {
		problem = fmt.Sprintf("limit %q never had version %d: look at its history", name, version)
	}
	return memory{}, &store.FieldError{Field: "version", Problem: problem}
}

func versionOf(l *store.Limit) int64 {
	if l == nil {
		return 0
	}
	return l.Version
}

// recall tells of the changes of a limit, the newest first, until told returns false.
func (o Operations) recall(ctx context.Context, name string, told func(Version) bool) error {
	return o.recallFrom(ctx, name, 0, told)
}

// recallFrom is recall of the rows with an id below before; 0: of all.
func (o Operations) recallFrom(ctx context.Context, name string, before int64, told func(Version) bool) error {
	query := store.AuditQuery{Object: AuditObject(name), Action: "limit.", Before: before, Limit: historyPage}
	for {
		rows, err := o.Store.Audits(ctx, query)
		if err != nil {
			return err
		}
		for i := range rows {
			v, err := readVersion(&rows[i])
			if err != nil {
				return fmt.Errorf("read row %d of the audit, of limit %q: %w", rows[i].ID, name, err)
			}
			if !told(v) {
				return nil
			}
		}
		if len(rows) < historyPage {
			return nil
		}
		query.Before = rows[len(rows)-1].ID
	}
}

func readVersion(row *store.Audit) (Version, error) {
	v := Version{At: row.At, Actor: row.Actor, Action: row.Action, row: row.ID, size: len(row.After)}
	for _, part := range []struct {
		text []byte
		to   **store.Limit
	}{{row.Before, &v.before}, {row.After, &v.Value}} {
		if part.text == nil {
			continue
		}
		*part.to = new(store.Limit)
		if err := json.Unmarshal(part.text, *part.to); err != nil {
			return v, err
		}
	}
	v.Version = cmp.Or(versionOf(v.Value), versionOf(v.before))
	return v, nil
}
