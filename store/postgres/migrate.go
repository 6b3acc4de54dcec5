package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"oauth2-server/store/migrations"
)

// Migrate applies the migrations that are pending and makes the partitions
// that are due. Of two at once, ours or Flyway's, one waits for the other.
func (db *DB) Migrate(ctx context.Context) ([]migrations.Migration, error) {
	var applied []migrations.Migration
	err := db.alone(ctx, queryMigrate, func(ctx context.Context, conn *pgx.Conn) error {
		if err := lockHistory(ctx, conn); err != nil {
			return err
		}
		var err error
		if applied, err = migrations.Run(ctx, db.steps, history{conn}); err != nil {
			return err
		}
		return preparePartitions(ctx, conn)
	})
	return applied, err
}

// MigrationStatus says how each migration stands. It changes nothing.
func (db *DB) MigrationStatus(ctx context.Context) ([]migrations.Status, error) {
	var all []migrations.Status
	err := db.alone(ctx, queryMigrate, func(ctx context.Context, conn *pgx.Conn) error {
		applied, err := history{conn}.Applied(ctx)
		if err == nil {
			all, err = migrations.Compare(db.steps, applied)
		}
		return err
	})
	return all, err
}

// flywayMagic begins Flyway's advisory locks: the bytes F, l, y, w, a, y.
// The hash of the table's quoted name is added to it. Flyway:
// PostgreSQLAdvisoryLockTemplate.java, PostgreSQLConnection.lock.
const flywayMagic = 0x46<<40 + 0x6c<<32 + 0x79<<24 + 0x77<<16 + 0x61<<8 + 0x79

// lockHistory takes Flyway's lock until the connection ends.
func lockHistory(ctx context.Context, conn *pgx.Conn) error {
	var schema string
	if err := conn.QueryRow(ctx, "select current_schema()").Scan(&schema); err != nil {
		return fmt.Errorf("find the current schema: %w", err)
	}
	key := flywayMagic + int64(javaHash(pgx.Identifier{schema, migrations.Table}.Sanitize()))
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", key); err != nil {
		return fmt.Errorf("wait for another migration: %w", err)
	}
	return nil
}

// javaHash is Java's String.hashCode: s[0]·31^(n-1) + … + s[n-1] over UTF-16 units.
func javaHash(s string) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(unit)
	}
	return h
}

// history is flyway_schema_history as Flyway makes it on PostgreSQL.
type history struct{ conn *pgx.Conn }

const (
	sqlHistory = `create table if not exists "flyway_schema_history" (
    "installed_rank" INT NOT NULL,
    "version" VARCHAR(50),
    "description" VARCHAR(200) NOT NULL,
    "type" VARCHAR(20) NOT NULL,
    "script" VARCHAR(1000) NOT NULL,
    "checksum" INTEGER,
    "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TIMESTAMP NOT NULL DEFAULT now(),
    "execution_time" INTEGER NOT NULL,
    "success" BOOLEAN NOT NULL,
    constraint "flyway_schema_history_pk" primary key ("installed_rank")
);
create index if not exists "flyway_schema_history_s_idx" on "flyway_schema_history" ("success")`

	sqlInstalled = `insert into flyway_schema_history
		(installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
		values ($1, $2, $3, 'SQL', $4, $5, current_user, $6, true)`
)

func (h history) Applied(ctx context.Context) ([]migrations.Applied, error) {
	var table *string
	err := h.conn.QueryRow(ctx, "select to_regclass('flyway_schema_history')::text").Scan(&table)
	if err != nil || table == nil {
		return nil, err
	}
	return readHistory(ctx, h.conn)
}

func (h history) Apply(ctx context.Context, rank int, step migrations.Migration) error {
	err := pgx.BeginFunc(ctx, h.conn, func(tx pgx.Tx) error {
		start := time.Now()
		// Whoever waits longer for a lock on a table stops all who come after it.
		if _, err := tx.Exec(ctx, "set local lock_timeout = '2s'"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlHistory); err != nil {
			return err
		}
		if _, err := h.conn.PgConn().Exec(ctx, step.SQL).ReadAll(); err != nil { // many statements, no parameter
			return err
		}
		_, err := tx.Exec(ctx, sqlInstalled, rank, fmt.Sprint(step.Version), step.Description, step.Script, step.Checksum,
			time.Since(start).Milliseconds())
		return err
	})
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Detail != "" {
		return fmt.Errorf("%w: %s", err, refusal.Detail)
	}
	return err
}

// readHistory reads the rows of the history, which must exist.
func readHistory(ctx context.Context, conn *pgx.Conn) ([]migrations.Applied, error) {
	rows, err := conn.Query(ctx, `select installed_rank, version, script, checksum, installed_on, success
		from flyway_schema_history order by installed_rank`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a migrations.Applied, err error) {
		err = row.Scan(&a.Rank, &a.Version, &a.Script, &a.Checksum, &a.InstalledOn, &a.Success)
		return a, err
	})
}
