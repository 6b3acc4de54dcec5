package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"oauth2-server/store/migrations"
)

// Flyway's table for SQLite, to the letter.
const historySQL = `create table if not exists flyway_schema_history (
    installed_rank int           not null primary key,
    version        varchar(50),
    description    varchar(200)  not null,
    type           varchar(20)   not null,
    script         varchar(1000) not null,
    checksum       int,
    installed_by   varchar(100)  not null,
    installed_on   text          not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    execution_time int           not null,
    success        boolean       not null
);
create index if not exists flyway_schema_history_s_idx on flyway_schema_history (success);`

// Migrate applies the steps of the schema that are pending, in one transaction
// that keeps other processes from doing the same.
func (db *DB) Migrate(ctx context.Context) ([]migrations.Migration, error) {
	known, err := migrations.Load(migrations.SQLite)
	if err != nil {
		return nil, err
	}
	var applied []migrations.Migration
	err = db.write(ctx, "migrate", func(m *mutation) (err error) {
		applied, err = migrations.Run(ctx, known, history{m, db.options.Version})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", db.options.Path, err)
	}
	return applied, nil
}

// MigrationStatus says how each step of the schema stands. It changes nothing.
func (db *DB) MigrationStatus(ctx context.Context) ([]migrations.Status, error) {
	known, err := migrations.Load(migrations.SQLite)
	if err != nil {
		return nil, err
	}
	applied, err := appliedTo(ctx, db.reader)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", migrations.Table, err)
	}
	return migrations.Compare(known, applied)
}

// history is flyway_schema_history within a write transaction, which is its lock.
type history struct {
	*mutation
	version string
}

func (h history) Applied(ctx context.Context) ([]migrations.Applied, error) {
	return appliedTo(ctx, h.tx)
}

func (h history) Apply(_ context.Context, rank int, step migrations.Migration) error {
	start := time.Now()
	if _, err := h.exec(historySQL); err != nil {
		return err
	}
	if _, err := h.exec(step.SQL); err != nil {
		return err
	}
	_, err := h.exec(`insert into flyway_schema_history
		(installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		values (?, ?, ?, 'SQL', ?, ?, ?, ?, 1)`,
		rank, strconv.Itoa(step.Version), step.Description, step.Script, step.Checksum,
		"oauth2-server "+h.version, time.Since(start).Milliseconds())
	return err
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// appliedTo reads the history by rank; there is none before the first migration.
func appliedTo(ctx context.Context, from queryer) ([]migrations.Applied, error) {
	tables := 0
	found, err := from.QueryContext(ctx, "select 1 from sqlite_schema where type = 'table' and name = ?", migrations.Table)
	err = rows(found, err, func(*sql.Rows) error { tables++; return nil })
	if err != nil || tables == 0 {
		return nil, err
	}
	var all []migrations.Applied
	found, err = from.QueryContext(ctx, `select installed_rank, version, script, checksum, installed_on, success
		from flyway_schema_history order by installed_rank`)
	err = rows(found, err, func(row *sql.Rows) error {
		applied, err := scanApplied(row)
		all = append(all, applied)
		return err
	})
	return all, err
}

func scanApplied(row *sql.Rows) (migrations.Applied, error) {
	var a migrations.Applied
	var on string
	if err := row.Scan(&a.Rank, &a.Version, &a.Script, &a.Checksum, &on, &a.Success); err != nil {
		return a, classify(err)
	}
	at, err := time.Parse("2006-01-02 15:04:05.000", on)
	if err != nil {
		return a, fmt.Errorf("installed_on of %s: %w", a.Script, err)
	}
	a.InstalledOn = at
	return a, nil
}
