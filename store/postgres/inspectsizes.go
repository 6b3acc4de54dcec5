package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

func (s *inspection) seePartitions(ctx context.Context, conn *pgx.Conn) error {
	all, _, err := listPartitions(ctx, conn)
	if err != nil {
		return err
	}
	for name, p := range all {
		s.Partitions = append(s.Partitions, store.Partition{Name: name, Start: p.start, Attached: p.state == attached})
	}
	slices.SortFunc(s.Partitions, func(a, b store.Partition) int { return a.Start.Compare(b.Start) })
	return nil
}

// What the week's hourly samples say is enough: growth changes with the traffic.
const sqlSizesOfWeek = "select name, at, bytes from sizes where at > clock_timestamp() - interval '7 days' order by at limit 20000"

func (s *inspection) seeSizes(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Sizes, err = list[store.Size](ctx, conn, sqlSizesOfWeek)
	return err
}

func (s *inspection) seeBytes(ctx context.Context, conn *pgx.Conn) error {
	return conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&s.Bytes)
}

// A server whose end of the connection has the address of ours is on this machine. Only some users may see where its data lies.
const sqlDisk = `select current_setting('data_directory') where inet_server_addr() is not distinct from inet_client_addr()`

func (s *inspection) seeDisk(ctx context.Context, conn *pgx.Conn) error {
	var folder string
	if err := conn.QueryRow(ctx, sqlDisk).Scan(&folder); err != nil {
		return err
	}
	s.Disk = store.DiskOf(folder)
	return nil
}

// The partitions of a table, one level deep, count as the table. Functions that measure wait for nobody who has locked the
// table alone: sqlInspect bounds that.
const sqlTables = `select coalesce(up.relname, t.relname) as name, sum(pg_table_size(t.relid))::int8, sum(pg_indexes_size(t.relid))::int8 as indexes,
		sum(t.n_live_tup)::int8, sum(t.n_dead_tup)::int8, coalesce(max(greatest(t.last_vacuum, t.last_autovacuum)), 'epoch')
	from pg_stat_user_tables t left join pg_inherits i on i.inhrelid = t.relid left join pg_class up on up.oid = i.inhparent
	where t.schemaname = current_schema() group by 1 order by sum(pg_total_relation_size(t.relid)) desc limit $1`

func (s *inspection) seeTables(ctx context.Context, conn *pgx.Conn) (err error) {
	s.Tables, err = list[store.Table](ctx, conn, sqlTables, inspectRows)
	for i := range s.Tables {
		if s.Tables[i].Vacuumed.Unix() == 0 {
			s.Tables[i].Vacuumed = time.Time{} // never
		}
	}
	return err
}
