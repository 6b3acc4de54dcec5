package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oauth2-server/store"
)

const (
	lockWaited       = time.Second      // our statements take milliseconds, and give up after seconds
	lockWaitedBad    = 5 * time.Second  // by then requests have failed
	transactionLong  = 5 * time.Minute  // a dump may take that; what is dead meanwhile cannot be vacuumed
	transactionWorse = time.Hour        // as long as a short-lived token: tables have grown by all that died
	backupLong       = 6 * time.Hour    // a dump of 100 GB takes that
	preparedForgot   = 5 * time.Minute  // nobody of us prepares one: it keeps its locks across restarts
	replayLag        = 10 * time.Second // a failover waits until it is replayed
	replayBehind     = 64 << 20         // bytes; four files of the log
	slotHolds        = int64(256 << 20) // bytes; sixteen files: more than a standby's restart takes
	slotHoldsBad     = int64(10 << 30)  // bytes; disks that are sized for the data alone are full soon
	frozenWarn       = 500_000_000      // autovacuum freezes at 200 million: it does not keep up
	frozenBad        = 1_600_000_000    // where Postgres itself drops all caution; at 2.1 thousand million it stops
	day              = 24 * time.Hour   // of a partition
	retentionSlack   = 2 * time.Hour    // replicas look after the partitions every few minutes
	partitionsAhead  = 3                // that maintenance makes beyond today's
	pidsShown        = 3                // of many that wait
)

func lockWaits(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		waits := slices.DeleteFunc(slices.Clone(s.Waits), func(w store.LockWait) bool { return w.Waited < lockWaited })
		if len(waits) == 0 {
			return nil
		}
		longest := slices.MaxFunc(waits, func(a, b store.LockWait) int { return int(a.Waited - b.Waited) })
		severity := Warning
		if longest.Waited >= lockWaitedBad {
			severity = Critical
		}
		return one(Finding{
			ID: "database.lock_wait", Severity: severity,
			Evidence: fmt.Sprintf("%d wait for a lock; %s (pid %d) has waited %s for %s (pid %d, %s), whose transaction %s%s",
				len(waits), longest.Application, longest.PID, rounded(longest.Waited), longest.HolderApp, longest.Holder, cmp.Or(longest.HolderState, "state hidden"), age(longest.Held), lastVerb(longest.HolderVerb)),
			Cause: "a transaction keeps a lock that others need", Fix: ending(longest.HolderApp, longest.Holder), Runbook: "#high-5xx-or-latency",
		})
	})
}

// lastVerb is the kind of the statement that a transaction runs, or ran last.
func lastVerb(verb string) string {
	if verb == "" {
		return ""
	}
	return "; its last statement is a " + strings.ToLower(verb)
}

// age is that of a transaction, which not all may see.
func age(held time.Duration) string {
	if held == 0 {
		return "is hidden from us"
	}
	return "is " + rounded(held) + " old"
}

// keptOut reports whether the inspection itself has waited for a lock in vain.
func keptOut(s *store.Inspection) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(s.Unseen)), isLocked)
}

// lockHeld is for locks that nobody waits for at this moment: who did has given up.
func lockHeld(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for _, l := range s.Locks {
			known := l.Held >= lockWaited || l.Held == 0 && keptOut(s)
			if !known || slices.ContainsFunc(s.Waits, func(w store.LockWait) bool { return w.Holder == l.PID && w.Waited >= lockWaited }) {
				continue
			}
			severity := Warning
			if l.Held >= lockWaitedBad && !takesItsTime(l.Application) {
				severity = Critical
			}
			found = append(found, Finding{
				ID: "database.lock_held", Severity: severity,
				Evidence: fmt.Sprintf("%s (pid %d, %s) has the %s on %s; its transaction %s%s", l.Application, l.PID, cmp.Or(l.State, "state hidden"), l.Mode, l.Table, age(l.Held), lastVerb(l.Verb)),
				Cause:    "a transaction keeps a lock on a table of the server: whoever writes to it waits and fails, and with an AccessExclusiveLock whoever reads", Fix: ending(l.Application, l.PID), Runbook: "#high-5xx-or-latency",
			})
		}
		return found[:min(len(found), pidsShown)]
	})
}

func longTransactions(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for _, t := range s.Transactions {
			if t.State == "prepared" || strings.HasPrefix(t.State, "idle in transaction") || t.Maintenance && t.Age < backupLong {
				continue
			}
			if t.Maintenance {
				t.Name = "autovacuum" // its workers give themselves none
			}
			found = append(found, Finding{
				ID: "database.long_transaction", Severity: lengthOf(&t), Evidence: fmt.Sprintf("a transaction of %s (pid %d) has run for %s", t.Name, t.PID, rounded(t.Age)),
				Cause: "a report, a dump or a forgotten session: meanwhile nothing that died can be vacuumed, and partitions are not dropped",
				Fix:   ending(t.Name, t.PID), Runbook: "#high-5xx-or-latency",
			})
		}
		return found[:min(len(found), pidsShown)]
	})
}

// lengthOf is how bad it is that a transaction is as old as it is.
func lengthOf(t *store.Transaction) Severity {
	patient := takesItsTime(t.Name)
	switch {
	case patient && t.Age >= backupLong, !patient && t.Age >= transactionLong && t.Age < transactionWorse:
		return Warning
	case patient || t.Age < transactionLong:
		return Info
	}
	return Critical
}

// takesItsTime reports an application that must not be ended, a migration of ours among them: its work would begin anew.
func takesItsTime(application string) bool {
	return strings.HasPrefix(application, "oauth2-server/") || strings.HasPrefix(application, "pg_dump") || strings.HasPrefix(application, "pg_basebackup") || strings.HasPrefix(application, "autovacuum")
}

// ending is how a transaction comes to its end.
func ending(application string, pid int) string {
	switch {
	case takesItsTime(application):
		return "wait for it: a migration, or a dump, which a standby can give as well"
	case pid == 0:
		return "psql -c 'select gid, prepared from pg_prepared_xacts order by 2', then: psql -c \"rollback prepared 'GID'\""
	}
	return fmt.Sprintf("psql -c 'select pg_terminate_backend(%d)'", pid)
}

func idleTransactions(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for _, t := range s.Transactions {
			if !strings.HasPrefix(t.State, "idle in transaction") || t.StateFor < store.OldTransaction {
				continue
			}
			found = append(found, Finding{
				ID: "database.idle_in_transaction", Severity: Warning,
				Evidence: fmt.Sprintf("%s (pid %d) has been idle for %s within a transaction that is %s old", t.Name, t.PID, rounded(t.StateFor), rounded(t.Age)),
				Cause:    "a session began a transaction and went away: it keeps its locks, and nothing that died meanwhile can be vacuumed",
				Fix:      fmt.Sprintf("psql -c 'select pg_terminate_backend(%d)'", t.PID), Runbook: "#high-5xx-or-latency",
			})
		}
		return found[:min(len(found), pidsShown)]
	})
}

func preparedTransactions(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		for _, t := range s.Transactions { // the oldest first
			if t.State == "prepared" && t.Age >= preparedForgot {
				return one(Finding{
					ID: "database.prepared", Severity: Warning, Evidence: fmt.Sprintf("the prepared transaction %q is %s old", t.Name, rounded(t.Age)),
					Cause: "a coordinator prepared it and never came back; it keeps its locks even across restarts",
					Fix:   fmt.Sprintf("psql -c \"rollback prepared '%s'\"", word(t.Name, "GID")), Runbook: "#high-5xx-or-latency",
				})
			}
		}
		return nil
	})
}

// standbyMissing: with synchronous_standby_names every commit waits for a standby, for ever if there is none.
func standbyMissing(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		names := s.Settings["synchronous_standby_names"]
		follows := slices.ContainsFunc(s.Standbys, func(b store.Standby) bool { return b.Sync == "sync" || b.Sync == "quorum" || b.Sync == "" })
		if names == "" || follows || s.Unseen["standbys"] != "" {
			return nil
		}
		return one(Finding{
			ID: "database.standby_missing", Severity: Critical, Evidence: fmt.Sprintf("synchronous_standby_names is %q, and no synchronous standby is connected", names),
			Cause: "every commit waits for a standby that is not there: nothing is issued or revoked",
			Fix:   "start the standby; or accept that a failover may lose what was acknowledged: psql -c 'alter system reset synchronous_standby_names' -c 'select pg_reload_conf()'", Runbook: "#readiness-failing",
		})
	})
}

func standbyLag(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for _, b := range s.Standbys {
			if b.Lag < replayLag && b.Bytes < replayBehind {
				continue
			}
			found = append(found, Finding{
				ID: "database.standby_lag", Severity: Warning, Evidence: fmt.Sprintf("standby %s (%s, %s) is %s and %s of log behind", b.Name, b.State, b.Sync, rounded(b.Lag), size(b.Bytes)),
				Cause: "the standby is slower than the primary, or a query on it holds up the replay: a failover takes that much longer, and loses it where the standby is not synchronous",
				Fix:   "look at the standby's disk, and at long queries there", Runbook: "#readiness-failing",
			})
		}
		return found
	})
}

func standbyAsynchronous(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if len(s.Standbys) == 0 || s.Settings["synchronous_standby_names"] != "" {
			return nil
		}
		return one(Finding{
			ID: "database.standby_asynchronous", Severity: Info, Evidence: fmt.Sprintf("%d standbys, none of them synchronous", len(s.Standbys)),
			Cause: "a failover may lose the last tokens and revocations that were acknowledged; replicas write back the revocations they know",
			Fix:   "psql -c \"alter system set synchronous_standby_names = 'ANY 1 (*)'\" -c 'select pg_reload_conf()', with two standbys or more", Runbook: "#readiness-failing",
		})
	})
}

func slotHoldsLog(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for _, slot := range s.Slots {
			if slot.Active && slot.Bytes < slotHoldsBad {
				continue
			}
			severity := Info
			switch {
			case slot.Bytes >= slotHoldsBad:
				severity = Critical
			case slot.Bytes >= slotHolds || slot.Status == "lost":
				severity = Warning
			}
			found = append(found, Finding{
				ID: "database.slot", Severity: severity, Evidence: fmt.Sprintf("replication slot %s keeps %s of log (%s, active: %t)", slot.Name, size(slot.Bytes), slot.Status, slot.Active),
				Cause: "whoever reads this slot is gone or slow; the log is kept for it until the disk is full",
				Fix:   fmt.Sprintf("start its reader, or: psql -c \"select pg_drop_replication_slot('%s')\"", word(slot.Name, "SLOT")), Runbook: "#storage-full",
			})
		}
		return found
	})
}

// partitionsMissing looks for the days whose tokens have no place. A token lives a day at most: today's and tomorrow's must be there.
func partitionsMissing(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Kind != "postgres" || s.Schema.Applied == 0 || s.Unseen["partitions"] != "" {
			return nil
		}
		var missing []string
		severity := Warning
		for ahead := range partitionsAhead + 1 {
			start := s.Now.Truncate(day).Add(time.Duration(ahead) * day)
			if slices.ContainsFunc(s.Partitions, func(p store.Partition) bool { return p.Attached && p.Start.Equal(start) }) {
				continue
			}
			missing = append(missing, start.Format(time.DateOnly))
			if ahead <= 1 {
				severity = Critical
			}
		}
		// Between midnight and the next maintenance the last one is not there yet.
		if len(missing) == 0 || len(missing) == 1 && severity == Warning && s.Now.Sub(s.Now.Truncate(day)) < retentionSlack {
			return nil
		}
		return one(Finding{
			ID: "database.partitions_missing", Severity: severity, Evidence: "no partition of tokens for " + strings.Join(missing, ", "),
			Cause: "no replica has done the maintenance for days, or it fails: tokens that expire on those days cannot be issued", Fix: "oauth2-server migrate", Runbook: "#storage-full",
		})
	})
}

func wraparound(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.FrozenAge < frozenWarn {
			return nil
		}
		severity := Warning
		if s.FrozenAge >= frozenBad {
			severity = Critical
		}
		return one(Finding{
			ID: "database.wraparound", Severity: severity, Evidence: fmt.Sprintf("the oldest transaction that is not frozen is %d million back; at 2147 Postgres stops", s.FrozenAge/1_000_000),
			Cause: "autovacuum is off, does not keep up, or an old transaction, slot or prepared transaction holds it up", Fix: "vacuumdb --all --freeze --jobs=2", Runbook: "#storage-full",
		})
	})
}

func autovacuumOff(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Settings["autovacuum"] != "off" && s.Settings["track_counts"] != "off" {
			return nil
		}
		return one(Finding{
			ID: "database.autovacuum_off", Severity: Warning, Evidence: fmt.Sprintf("autovacuum = %s, track_counts = %s", s.Settings["autovacuum"], s.Settings["track_counts"]),
			Cause: "grants that are refreshed and rows that are removed leave their space behind: tables grow for ever", Fix: "psql -c 'alter system reset autovacuum' -c 'alter system reset track_counts' -c 'select pg_reload_conf()'", Runbook: "#storage-full",
		})
	})
}

// hotQueries are those that requests wait for.
var hotQueries = []string{"insert_tokens", "find_tokens", "rotate_grants", "poll", "code"}

func slowQueries(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		name, severity := "", Warning
		for _, query := range slices.Sorted(maps.Keys(r.Vitals.Queries)) {
			work, bound := r.Vitals.Queries[query], float64(querySlow)
			hot := slices.Contains(hotQueries, query)
			if hot {
				bound = queryHotSlow
			}
			if work.Count < enoughForP99 || work.P99 <= bound || name != "" && work.P99 <= r.Vitals.Queries[name].P99 {
				continue
			}
			name = query
			if hot && work.P99 > queryHotBad {
				severity = Critical
			}
		}
		if name == "" {
			return nil
		}
		work := r.Vitals.Queries[name]
		return &Finding{
			ID: "database.slow_queries", Severity: severity, Evidence: fmt.Sprintf("p99 of the query %q is %s, p50 %s (%d calls of the last minute on %s)", name, millis(work.P99), millis(work.P50), work.Count, place(r)),
			Cause: "the database's disk or processor is busy, a lock is waited for, or the network is slow; the other findings of this scenario say which", Fix: f.commands(r).postgresLoad, Runbook: "#token-endpoint-slow",
		}
	})
}

func failingQueries(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		var total store.WorkVitals
		worst, most := "", int64(0)
		for _, query := range slices.Sorted(maps.Keys(r.Vitals.Queries)) {
			work := r.Vitals.Queries[query]
			total.Count += work.Count
			total.Faults += work.Faults
			if work.Faults > most {
				worst, most = query, work.Faults
			}
		}
		if total.Faults < enough/2 || share(total.Faults, total.Count) < queryFaults {
			return nil
		}
		return &Finding{
			ID: "database.query_faults", Severity: Critical, Evidence: fmt.Sprintf("%d of %d queries of the last minute failed on %s, most of them %q (%d)", total.Faults, total.Count, place(r), worst, most),
			Cause: "the database refuses, ends or does not answer queries of this replica", Fix: f.commands(r).postgresLog, Runbook: "#high-5xx-or-latency",
		}
	})
}

func poolWaits(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		pool := busiestPool(r.Vitals.Pools)
		if pool == nil {
			return nil
		}
		fix := "the queries that hold the connections are slow: " + f.commands(r).postgresLoad
		if pool.Name == "read" {
			fix = fmt.Sprintf("set OAUTH2_DATABASE_READ_CONNECTIONS=%d and restart, if the database has them to spare", 2*pool.Limit)
		}
		return &Finding{
			ID: "database.pool_wait", Severity: Warning,
			Evidence: fmt.Sprintf("%d callers waited %s on average for one of %d connections of the pool %q in the last minute on %s", pool.Waits, millis(pool.Waited/float64(pool.Waits)), pool.Limit, pool.Name, place(r)),
			Cause:    "the database answers too slowly for the load, or the pool is too small for it", Fix: fix, Runbook: "#high-5xx-or-latency",
		}
	})
}
