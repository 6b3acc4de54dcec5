package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// Seed writes rows that expire between from and to in one COPY, for measurements that need many. It makes the
// partitions they need, past ones too, and keeps maintenance, which drops those, waiting until it has ended. next is asked until it says no more.
func (db *DB) Seed(ctx context.Context, from, to time.Time, next func() (row store.Token, ok bool)) error {
	return db.alone(ctx, queryMaintain, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(maintainLock)); err != nil {
			return fmt.Errorf("keep maintenance waiting: %w", err)
		}
		all, _, err := listPartitions(ctx, conn)
		if err != nil {
			return fmt.Errorf("list partitions of tokens: %w", err)
		}
		for start := from.UTC().Truncate(day); !start.After(to); start = start.Add(day) {
			p := partition{start: start}
			if all[p.name()].state == attached {
				continue
			}
			if err := attach(ctx, conn, p); err != nil {
				return fmt.Errorf("make partition %s: %w", p.name(), err)
			}
		}
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"tokens"}, []string{"id", "expires", "record"}, pgx.CopyFromFunc(func() ([]any, error) {
			row, ok := next()
			if !ok {
				return nil, nil
			}
			return []any{[16]byte(row.ID), time.Unix(row.Expires, 0), row.Record}, nil
		}))
		if err != nil {
			return fmt.Errorf("copy tokens: %w", err)
		}
		return releaseMaintenance(ctx, conn)
	})
}

// Partitions is the names of the partitions that tokens has, the oldest first.
func (db *DB) Partitions(ctx context.Context) (names []string, err error) {
	err = db.alone(ctx, queryMaintain, func(ctx context.Context, conn *pgx.Conn) error {
		all, _, err := listPartitions(ctx, conn)
		for name, p := range all {
			if p.state == attached {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return err
	})
	return names, err
}
