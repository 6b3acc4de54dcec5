package sqlite

import (
	"context"
	"fmt"
	"time"

	"oauth2-server/store"
)

const (
	keepChanges = 24 * time.Hour // a follower that was away for longer loads everything again
	keepMinutes = time.Hour      // what limits counted
	keepRefused = 24 * time.Hour // keys that limits refused, since they last did
	batchRows   = 1000           // written in one transaction: a few milliseconds for those who wait
)

// What is due, each with the time before which it is.
const (
	expiredTokensSQL = `delete from tokens where (expires, id) in
		(select expires, id from tokens where expires < ? order by expires limit ?)`
	expiredDenialsSQL = `delete from denials where (kind, id) in
		(select kind, id from denials where expires < ? order by expires limit ?)`
	// Never the newest: it is where new followers stand, and the next number follows from it.
	oldChangesSQL = `delete from changes where seq in
		(select seq from changes where at < ? and seq < (select max(seq) from changes) order by seq limit ?)`
	oldMinutesSQL = `delete from limit_minutes where (minute, replica) in
		(select minute, replica from limit_minutes where minute < ? order by minute limit ?)`
	oldRefusedSQL = `delete from limit_refused where (name, hash) in
		(select name, hash from limit_refused where at < ? order by at limit ?)`
	deadReplicasSQL = `delete from replicas where id in (select id from replicas where seen < ? limit ?)`
)

// Maintain deletes what is past, in small transactions between which others write.
func (db *DB) Maintain(ctx context.Context) error {
	now := db.now()
	for _, due := range []struct {
		text   string
		before int64
	}{
		{expiredTokensSQL, now.Unix()},
		{expiredDenialsSQL, now.Unix()},
		{oldChangesSQL, now.Add(-keepChanges).Unix()},
		{oldMinutesSQL, now.Add(-keepMinutes).Unix()/60 - 1},
		{oldRefusedSQL, now.Add(-keepRefused).Unix()},
		{deadReplicasSQL, now.Add(-store.Alive).UnixMilli()},
	} {
		if err := db.sweep(ctx, due.text, due.before); err != nil {
			return fmt.Errorf("maintain: %w", err)
		}
	}
	return nil
}

// sweep repeats a delete until it finds less than a batch.
func (db *DB) sweep(ctx context.Context, text string, before int64) error {
	for {
		var deleted int64
		err := db.write(ctx, "maintain", func(m *mutation) (err error) {
			deleted, err = m.exec(text, before, batchRows)
			return err
		})
		if err != nil || deleted < batchRows {
			return err
		}
	}
}
