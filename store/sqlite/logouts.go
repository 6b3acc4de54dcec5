package sqlite

import (
	"context"
	"database/sql"
	"time"

	"oauth2-server/store"
)

const claimLogoutsSQL = `update logouts set next = ?1
	where id in (select id from logouts where next <= ?2 order by next limit ?3)
	returning id, client, subject, session, attempts, next`

// QueueLogouts adds logout tokens to deliver.
func (db *DB) QueueLogouts(ctx context.Context, all []store.Logout) error {
	err := db.write(ctx, "logout", func(m *mutation) error {
		insert, err := m.prepare("insert into logouts (id, client, subject, session, attempts, next) values (?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		for _, l := range all {
			if _, err := insert(l.ID[:], l.Client, l.Subject, l.Session[:], l.Attempts, l.Next.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	return told(err, "queue %d logouts", len(all))
}

// ClaimLogouts hands out those that are due, and makes them due again when lease is over.
func (db *DB) ClaimLogouts(ctx context.Context, limit int, lease time.Duration) (all []store.Logout, err error) {
	err = db.write(ctx, "logout", func(m *mutation) error {
		found, err := m.tx.QueryContext(m.ctx, claimLogoutsSQL, m.now.Add(lease).UnixMicro(), m.now.UnixMicro(), limit)
		return rows(found, err, scanLogout(&all))
	})
	return all, told(err, "claim logouts")
}

// FinishLogout takes one off the queue.
func (db *DB) FinishLogout(ctx context.Context, id store.ID) error {
	return db.logout(ctx, "delete from logouts where id = ?1", id[:])
}

// RetryLogout lets one be due again at next, one attempt later.
func (db *DB) RetryLogout(ctx context.Context, id store.ID, next time.Time) error {
	return db.logout(ctx, "update logouts set attempts = attempts + 1, next = ?2 where id = ?1", id[:], next.UnixMicro())
}

func (db *DB) logout(ctx context.Context, text string, args ...any) error {
	err := db.write(ctx, "logout", func(m *mutation) error {
		_, err := m.exec(text, args...)
		return err
	})
	return told(err, "end or move a logout")
}

func scanLogout(list *[]store.Logout) func(*sql.Rows) error {
	return func(row *sql.Rows) error {
		var l store.Logout
		var id, session sql.RawBytes
		var next int64
		if err := row.Scan(&id, &l.Client, &l.Subject, &session, &l.Attempts, &next); err != nil {
			return classify(err)
		}
		copy(l.ID[:], id)
		copy(l.Session[:], session)
		l.Next = time.UnixMicro(next).UTC()
		*list = append(*list, l)
		return nil
	}
}
