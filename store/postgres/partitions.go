package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	day          = 24 * time.Hour
	daysAhead    = 3 // partitions beyond today's; store.MaxTokenLife needs one, the others are for days without maintenance
	partitionTag = "20060102"
)

// How a table named like a partition stands to the table tokens.
const (
	attached  = "attached"
	detaching = "detaching" // a concurrent detaching did not finish
	loose     = "loose"     // detached, or not attached yet
)

// A partition is a table of tokens of one UTC day of expiry.
type partition struct {
	start time.Time
	state string
}

func (p partition) name() string { return "tokens_" + p.start.Format(partitionTag) }

// dropPartitions drops what is past, by the database's clock. It is how many it dropped; those that a long reader holds stay due.
// A plain drop, and "create … partition of", would stop every insert behind any long reader; detaching concurrently
// and attaching do not.
func dropPartitions(ctx context.Context, conn *pgx.Conn, keep time.Duration) (int64, error) {
	all, now, err := listPartitions(ctx, conn)
	if err != nil {
		return 0, fmt.Errorf("list partitions of tokens: %w", err)
	}
	dropped := int64(0)
	for _, p := range past(all, now, keep) {
		err := drop(ctx, conn, p)
		if busy(err) {
			return dropped, nil // the others wait too
		}
		if err != nil {
			return dropped, fmt.Errorf("drop partition %s: %w", p.name(), err)
		}
		dropped++
	}
	return dropped, nil
}

// partitionsAhead makes those of today and of the days ahead that are not there, by the database's clock.
func partitionsAhead(ctx context.Context, conn *pgx.Conn) error {
	all, now, err := listPartitions(ctx, conn)
	if err != nil {
		return fmt.Errorf("list partitions of tokens: %w", err)
	}
	today := now.Truncate(day)
	for ahead := range daysAhead + 1 {
		p := partition{start: today.Add(time.Duration(ahead) * day)}
		if all[p.name()].state == attached {
			continue
		}
		if err := attach(ctx, conn, p); err != nil {
			return fmt.Errorf("make partition %s: %w", p.name(), err)
		}
	}
	return nil
}

// preparePartitions makes the partitions that are due, unless another is maintaining and so does it.
func preparePartitions(ctx context.Context, conn *pgx.Conn) error {
	err := takeMaintenance(ctx, conn, hungAfter)
	if errors.Is(err, errMaintained) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(partitionsAhead(ctx, conn), releaseMaintenance(ctx, conn))
}

// past is the partitions to drop: those that have outlived their last token by keep. One whose detaching was begun comes first:
// until that is finished, no other can be detached.
func past(all map[string]partition, now time.Time, keep time.Duration) []partition {
	var old []partition
	for _, state := range []string{detaching, loose, attached} {
		for _, p := range all {
			if p.state == state && p.start.Add(day+keep).Before(now) {
				old = append(old, p)
			}
		}
	}
	return old
}

// listPartitions is the tables named like partitions, by name, and the database's clock.
func listPartitions(ctx context.Context, conn *pgx.Conn) (map[string]partition, time.Time, error) {
	var now time.Time
	if err := conn.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
		return nil, now, err
	}
	rows, err := conn.Query(ctx, `select c.relname, case when i.inhdetachpending then 'detaching' when i.inhparent is not null then 'attached' else 'loose' end
		from pg_class c left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = 'tokens'::regclass
		where c.relnamespace = (select relnamespace from pg_class where oid = 'tokens'::regclass)
		and c.relkind = 'r' and c.relname ~ '^tokens_[0-9]{8}$'`)
	if err != nil {
		return nil, now, err
	}
	all := map[string]partition{}
	var name, state string
	_, err = pgx.ForEachRow(rows, []any{&name, &state}, func() error {
		start, err := time.Parse("tokens_"+partitionTag, name)
		if err == nil { // else it is somebody's table of a similar name
			all[name] = partition{start, state}
		}
		return nil
	})
	return all, now.UTC(), err
}

// attach makes a partition's table, unless it is there, and attaches it.
func attach(ctx context.Context, conn *pgx.Conn, p partition) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "create table if not exists "+p.name()+" (like tokens including all)"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("alter table tokens attach partition %s for values from ('%s') to ('%s')",
			p.name(), p.start.Format(time.RFC3339), p.start.Add(day).Format(time.RFC3339)))
		return err
	})
}

// drop drops a past partition in the steps that are left to do. Each
// can fail for a long reader, and is done next time.
func drop(ctx context.Context, conn *pgx.Conn, p partition) error {
	var steps []string
	switch p.state {
	case attached:
		steps = append(steps, "alter table tokens detach partition "+p.name()+" concurrently")
	case detaching:
		steps = append(steps, "alter table tokens detach partition "+p.name()+" finalize")
	}
	for _, sql := range append(steps, "drop table "+p.name()) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
