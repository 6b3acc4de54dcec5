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
	keepCodes   = time.Hour      // of them the redeemed ones, so that a second use is noticed
	keepGrants  = 7 * 24 * time.Hour
	keepLogouts = 24 * time.Hour // that nobody has tried to deliver since
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
	oldCodesSQL = `delete from codes where id in
		(select id from codes where expires < ? order by expires limit ?)`
	oldPushedSQL = `delete from pushed where id in
		(select id from pushed where expires < ? order by expires limit ?)`
	oldJTIsSQL = `delete from jtis where hash in
		(select hash from jtis where expires < ? order by expires limit ?)`
	oldGrantsSQL = `delete from grants where id in
		(select id from grants where ends < ? order by ends limit ?)`
	oldLogoutsSQL = `delete from logouts where id in
		(select id from logouts where next < ? order by next limit ?)`
	// What clients left that are gone. Of the grants, which are many, only their index is walked, from one client to the next.
	goneGrantsSQL = `with recursive owners (client) as (
			select min(client) from grants union all
			select (select min(client) from grants where client > owners.client) from owners where owners.client is not null)
		delete from grants where id in (select id from grants where client in
			(select client from owners where client not in (select id from clients)) limit ?)`
	gonePushedSQL  = "delete from pushed where id in (select id from pushed where client not in (select id from clients) limit ?)"
	goneLogoutsSQL = "delete from logouts where id in (select id from logouts where client not in (select id from clients) limit ?)"

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
		{oldCodesSQL, now.Add(-keepCodes).Unix()},
		{oldPushedSQL, now.Unix()},
		{oldJTIsSQL, now.Unix()},
		{oldGrantsSQL, now.Add(-keepGrants).UnixMicro()},
		{oldLogoutsSQL, now.Add(-keepLogouts).UnixMicro()},
		{deadReplicasSQL, now.Add(-store.Alive).UnixMilli()},
	} {
		if err := db.sweep(ctx, due.text, due.before); err != nil {
			return fmt.Errorf("maintain: %w", err)
		}
	}
	for _, text := range []string{goneGrantsSQL, gonePushedSQL, goneLogoutsSQL} {
		if err := db.sweep(ctx, text); err != nil {
			return fmt.Errorf("maintain: %w", err)
		}
	}
	return nil
}

// sweep repeats a delete until it finds less than a batch, the size of which is its last argument.
func (db *DB) sweep(ctx context.Context, text string, args ...any) error {
	args = append(args, batchRows)
	for {
		var deleted int64
		err := db.write(ctx, "maintain", func(m *mutation) (err error) {
			deleted, err = m.exec(text, args...)
			return err
		})
		if err != nil || deleted < batchRows {
			return err
		}
	}
}
