package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"oauth2-server/store"
)

const limitSQL = "select body from limits where name = ?"

// ChangeLimit stores what change makes of the limit as its next version; nil deletes it.
func (db *DB) ChangeLimit(ctx context.Context, actor store.Actor, action, name string, change func(old *store.Limit) (*store.Limit, error)) (store.Limit, error) {
	var result store.Limit
	err := db.write(ctx, "limit", func(m *mutation) error {
		before, after, err := alter(m, change, limitSQL, name)
		switch {
		case err != nil:
			return err
		case after == nil:
			result = *before
			_, err = m.exec("delete from limits where name = ?", name)
		default:
			var last int64
			if last, err = m.lastVersion(before, name); err != nil {
				return err
			}
			result = after.Next(before, last, m.now)
			result.Name = name
			after = &result
			err = m.put("insert into limits (body, name) values (?, ?) on conflict (name) do update set body = excluded.body", after, name)
		}
		if err != nil {
			return err
		}
		tells := store.ChangedLimit(before, after)
		if err := m.publish(&tells); err != nil {
			return err
		}
		return m.audit(store.AuditLimit(m.now, actor, action, before, after))
	})
	if err != nil {
		return store.Limit{}, told(err, "change limit %q", name)
	}
	return result, nil
}

// lastVersion is the one that the last limit of the name had when it was deleted, 0 when there was none.
func (m *mutation) lastVersion(now *store.Limit, name string) (int64, error) {
	if now != nil {
		return now.Version, nil
	}
	var before, after []byte
	err := classify(m.tx.QueryRowContext(m.ctx, "select before, after from audit where object = ? order by id desc limit 1", "limit "+name).Scan(&before, &after))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return store.LastVersion(before, after)
}

// Limits lists all limits by name.
func (db *DB) Limits(ctx context.Context) ([]store.Limit, error) {
	var all []store.Limit
	if err := db.query(ctx, "select body from limits order by name", scanInto(&all)); err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	return all, nil
}

const (
	putMinuteSQL = `insert into limit_minutes (body, minute, replica) values (?, ?, ?)
		on conflict (minute, replica) do update set body = excluded.body`

	// A key that goes on being refused is remembered on; that it is is written once an hour. A name that has all its
	// keys gets no new ones: finding the last of them is one walk of an index, some milliseconds, once per statement.
	putRefusedSQL = `insert into limit_refused (name, hash, version, at)
		select ?1, unhex(value), ?2, ?4 from json_each(?3)
			where not exists (select 1 from limit_refused where name = ?1 limit 1 offset ?5)
				or exists (select 1 from limit_refused where name = ?1 and hash = unhex(value))
		on conflict (name, hash) do update set at = excluded.at where at < excluded.at - 3600`
)

// SaveLimitMinute keeps what a replica counted in a minute, and the keys it
// refused. What is old is forgotten by Maintain. There is one writer: revocations wait for it, but a thousand keys
// take it a few milliseconds only.
func (db *DB) SaveLimitMinute(ctx context.Context, minute store.LimitMinute, refused []store.RefusedKey) error {
	err := db.write(ctx, "limit_minute", func(m *mutation) error {
		return m.put(putMinuteSQL, minute, minute.Minute, minute.Replica[:])
	})
	for start := 0; start < len(refused) && err == nil; start += batchRows {
		err = db.saveRefused(ctx, refused[start:min(start+batchRows, len(refused))])
	}
	return told(err, "save what the limits counted")
}

// saveRefused is one statement for all keys of a limit's version: each has its price, whatever it does. An earlier version comes first.
func (db *DB) saveRefused(ctx context.Context, refused []store.RefusedKey) error {
	hashes := map[store.RefusedKey][]string{} // by limit and version
	for _, key := range refused {
		of := store.RefusedKey{Limit: key.Limit, Version: key.Version}
		hashes[of] = append(hashes[of], hex.EncodeToString(key.Hash[:]))
	}
	byVersion := func(a, b store.RefusedKey) int { return cmp.Compare(a.Version, b.Version) }
	return db.write(ctx, "limit_minute", func(m *mutation) error {
		for _, of := range slices.SortedFunc(maps.Keys(hashes), byVersion) {
			list, err := json.Marshal(hashes[of])
			if err != nil {
				return fmt.Errorf("write refused keys as JSON: %w", err)
			}
			if _, err := m.exec(putRefusedSQL, of.Limit, of.Version, string(list), m.now.Unix(), store.MaxRefusedKeys-1); err != nil {
				return err
			}
		}
		return nil
	})
}

// LimitMinutes lists what was counted since the minute, in order of time.
func (db *DB) LimitMinutes(ctx context.Context, since int64) ([]store.LimitMinute, error) {
	var all []store.LimitMinute
	err := db.query(ctx, "select body from limit_minutes where minute >= ? order by minute, replica", scanInto(&all), since)
	if err != nil {
		return nil, fmt.Errorf("list what the limits counted since %v: %w", time.Unix(since*60, 0).UTC(), err)
	}
	return all, nil
}

// NewlyRefused is how many keys the limit refused since the version, and never before it.
func (db *DB) NewlyRefused(ctx context.Context, name string, since int64) (int64, error) {
	var n int64
	err := db.query(ctx, "select count(*) from limit_refused where name = ? and version >= ?", func(row *sql.Rows) error {
		return classify(row.Scan(&n))
	}, name, since)
	if err != nil {
		return 0, fmt.Errorf("count the keys that limit %q refused: %w", name, err)
	}
	return n, nil
}
