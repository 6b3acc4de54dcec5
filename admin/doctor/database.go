package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oauth2-server/store"
)

const (
	pingSlow         = 20 * time.Millisecond // in one zone a trip takes under one; each look-up that misses the caches pays it
	connectionsFew   = .80                   // of those that are for us: a rolling update adds a replica's
	connectionsOut   = .95
	queryFaults      = .01 // of a query's calls: a healthy database has none
	queryHotSlow     = 100 // ms, p99 of what requests wait for; the objective for all of a token request is 500
	queryHotBad      = 500 // ms
	querySlow        = 1000
	checkpointsKnown = 10              // below that many their shares say nothing
	tempDaily        = 1 << 30         // bytes
	deadlocksDaily   = 10.             // our statements take locks in one order: others are at work
	skewDatabase     = 2 * time.Second // resource servers that judge JWTs by their own clocks allow for little more
)

// databaseChecks are of what the database says of itself, and of what replicas say of it.
var databaseChecks = []check{
	databaseUnreachable, databaseHosts, schemaBehind, schemaNewer, schemaRefused, notDurable, tornPages, connectionsTaken, connectionsNeeded,
	lockWaits, lockHeld, longTransactions, idleTransactions, preparedTransactions, standbyMissing, standbyLag, standbyAsynchronous, slotHoldsLog,
	partitionsMissing, wraparound, autovacuumOff, slowQueries, failingQueries, poolWaits, databaseFar, checkpointsRequested, deadlocks, tempFiles,
	journalMode, fileDamaged, partsUnseen,
}

// inspected runs a check on what was seen of the database, if anything was.
func inspected(f *Facts, look func(s *store.Inspection) []Finding) []Finding {
	if f.Database == nil {
		return nil
	}
	return look(f.Database)
}

func schemaBehind(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if len(s.Schema.Pending) == 0 || s.Schema.Refusal != "" {
			return nil
		}
		return one(Finding{
			ID: "database.schema_behind", Severity: Critical,
			Evidence: fmt.Sprintf("%d steps pending: %s; the database is at version %d, this binary at %d", len(s.Schema.Pending), strings.Join(s.Schema.Pending, ", "), s.Schema.Applied, s.Schema.Known),
			Cause:    "this version of the server was deployed without its migration, or the migration failed", Fix: "oauth2-server migrate", Runbook: "#readiness-failing",
		})
	})
}

// schemaNewer is how it should be in the middle of an upgrade, and after a roll back.
func schemaNewer(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if len(s.Schema.Newer) == 0 {
			return nil
		}
		return one(Finding{
			ID: "database.schema_newer", Severity: Info, Evidence: "applied by a newer binary: " + strings.Join(s.Schema.Newer, ", "),
			Cause: "a newer version was deployed on this database; this one can work beside it", Fix: "oauth2-server replicas", Runbook: "#roll-back-a-bad-deploy",
		})
	})
}

func schemaRefused(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Schema.Refusal == "" {
			return nil
		}
		return one(Finding{
			ID: "database.schema_refused", Severity: Critical, Evidence: s.Schema.Refusal,
			Cause: "a step of the schema failed, or is not the one that this binary knows: nothing more is migrated", Fix: "oauth2-server migrate status", Runbook: "#readiness-failing",
		})
	})
}

// notDurable looks for settings with which a crash loses what was acknowledged.
func notDurable(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var off []string
		for _, name := range []string{"fsync", "synchronous_commit"} {
			if s.Settings[name] == "off" {
				off = append(off, name+" = off")
			}
		}
		if off == nil {
			return nil
		}
		return one(Finding{
			ID: "database.not_durable", Severity: Critical, Evidence: strings.Join(off, ", "),
			Cause: "a crash of the database loses tokens and revocations that were acknowledged, or its data; synchronous_commit is off only if a pooler drops what the server asks for",
			Fix:   "psql -c 'alter system reset fsync' -c 'select pg_reload_conf()'", Runbook: "#readiness-failing",
		})
	})
}

// tornPages: where the file system writes whole pages or none, Postgres need not protect them.
func tornPages(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Settings["full_page_writes"] != "off" {
			return nil
		}
		return one(Finding{
			ID: "database.full_page_writes", Severity: Warning, Evidence: "full_page_writes = off",
			Cause: "a crash in the middle of a page's write damages the database, unless its disk writes pages whole: ZFS does, and so do some managed services, which set it so themselves",
			Fix:   "psql -c 'alter system reset full_page_writes' -c 'select pg_reload_conf()', unless it lies on ZFS or is managed", Runbook: "#readiness-failing",
		})
	})
}

func connectionsTaken(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		c := s.Connections
		usable := c.Max - c.Reserved
		taken := share(int64(c.Used), int64(usable))
		if c.Max == 0 || taken < connectionsFew {
			return nil
		}
		severity := Warning
		if taken >= connectionsOut {
			severity = Critical
		}
		return one(Finding{
			ID: "database.connections", Severity: severity,
			Evidence: fmt.Sprintf("%d of %d connections taken (%d idle): %s", c.Used, usable, c.Idle, busiest(c.By)),
			Cause:    "the database is about to refuse connections: replicas that restart cannot come back", Fix: "raise max_connections, end what does not belong there, or lower OAUTH2_DATABASE_READ_CONNECTIONS", Runbook: "#high-5xx-or-latency",
		})
	})
}

// busiest names the three applications with most.
func busiest(by map[string]int) string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			return by[b] - by[a]
		}
		return strings.Compare(a, b)
	})
	var texts []string
	for _, name := range names[:min(3, len(names))] {
		texts = append(texts, fmt.Sprintf("%s %d", name, by[name]))
	}
	return strings.Join(texts, ", ")
}

// connectionsNeeded adds up what the replicas may take, and one more for a rolling update.
func connectionsNeeded(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		c, replicas, need, most := s.Connections, f.alive(), 0, 0
		for i := range replicas {
			places := placesOf(&replicas[i], s)
			need += places
			most = max(most, places)
		}
		usable := c.Max - c.Reserved
		need += most
		if c.Max == 0 || len(replicas) == 0 || need <= usable {
			return nil
		}
		return one(Finding{
			ID: "database.connections_need", Severity: Warning,
			Evidence: fmt.Sprintf("%d replicas and one more of a rolling update may take %d connections, the database gives %d", len(replicas), need, usable),
			Cause:    "under load, or in the next deploy, the database will refuse connections", Fix: fmt.Sprintf("psql -c 'alter system set max_connections = %d', and restart the database", need+c.Reserved+need/4), Runbook: "#scaling",
		})
	})
}

// placesOf is how many connections a replica takes at most: those of its pools, and the one that maintains.
func placesOf(r *store.Replica, s *store.Inspection) int {
	places := 1
	for _, pool := range r.Vitals.Pools {
		places += pool.Limit
	}
	if places == 1 {
		return s.Connections.Places // it does not say: as this program
	}
	return places
}

func databaseFar(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Kind != "postgres" || s.Ping <= pingSlow {
			return nil
		}
		return one(Finding{
			ID: "database.far", Severity: Warning, Evidence: fmt.Sprintf("the simplest query took %s from here", inMillis(s.Ping)),
			Cause: "the database is busy, or far away: every look-up and every batch of tokens waits that long at least", Fix: "oauth2-server doctor latency", Runbook: "#token-endpoint-slow",
		})
	})
}

func inMillis(d time.Duration) string { return millis(d.Seconds() * 1000) }

func checkpointsRequested(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		c := s.Counters
		if c.Requested < checkpointsKnown || c.Requested <= c.Timed {
			return nil
		}
		return one(Finding{
			ID: "database.checkpoints", Severity: Info,
			Evidence: fmt.Sprintf("%d checkpoints before their time and %d at it since %s; max_wal_size is %s", c.Requested, c.Timed, c.LogSince.UTC().Format(time.DateTime), s.Settings["max_wal_size"]),
			Cause:    "the log reaches max_wal_size between two checkpoints: each writes whole pages anew, which costs the disk", Fix: "psql -c \"alter system set max_wal_size = '4GB'\" -c 'select pg_reload_conf()'", Runbook: "#token-endpoint-slow",
		})
	})
}

func deadlocks(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		days := max(s.Now.Sub(s.Counters.Since).Hours()/24, 1)
		if rate := float64(s.Counters.Deadlocks) / days; rate <= deadlocksDaily {
			return nil
		}
		return one(Finding{
			ID: "database.deadlocks", Severity: Warning, Evidence: fmt.Sprintf("%d deadlocks since %s", s.Counters.Deadlocks, s.Counters.Since.UTC().Format(time.DateTime)),
			Cause: "something else writes to our tables, or locks them in another order", Fix: f.commands(nil).deadlocks, Runbook: "#high-5xx-or-latency",
		})
	})
}

// tempFiles: our statements sort little, and what they do fits work_mem.
func tempFiles(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		c := s.Counters
		if perDay := float64(c.TempBytes) / max(s.Now.Sub(c.Since).Hours()/24, 1); perDay < tempDaily {
			return nil
		}
		return one(Finding{
			ID: "database.temp_files", Severity: Info, Evidence: fmt.Sprintf("%s of temporary files since %s", size(c.TempBytes), c.Since.UTC().Format(time.DateTime)),
			Cause: "reports or dumps on this database sort more than work_mem holds: they take the disk from the server", Fix: "run reports on a standby", Runbook: "#token-endpoint-slow",
		})
	})
}

// journalMode: without the log beside the file readers and the writer wait for each other.
func journalMode(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		mode := s.Settings["journal_mode"]
		if s.File == nil || s.File.Path == "" || mode == "wal" || mode == "" {
			return nil
		}
		return one(Finding{
			ID: "database.journal_mode", Severity: Warning, Evidence: "journal_mode is " + mode + ", not wal",
			Cause: "another program changed it, or the file lies on a network file system, where SQLite is not safe", Fix: "keep the file on a local disk and restart oauth2-server serve", Runbook: "#readiness-failing",
		})
	})
}

func fileDamaged(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var text string
		switch {
		case s.File == nil:
			return nil
		case s.File.Check != "" && s.File.Check != "ok":
			text = s.File.Check
		case strings.Contains(s.Unseen["check"], "malformed"):
			text = s.Unseen["check"]
		default:
			return nil
		}
		return one(Finding{
			ID: "database.damaged", Severity: Critical, Evidence: "quick_check of " + s.File.Path + ": " + text,
			Cause: "the database file is damaged: by the disk, or because it was copied while it was written", Fix: "stop the server and restore the last backup", Runbook: "#backups-and-restore",
		})
	})
}

// partsUnseen is for who wonders why nothing is said of them. Where the database lies only few users may see: that is told with the disk.
func partsUnseen(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var parts []string
		for _, part := range slices.Sorted(maps.Keys(s.Unseen)) {
			if part != "disk" {
				parts = append(parts, part+" ("+s.Unseen[part]+")")
			}
		}
		if parts == nil {
			return nil
		}
		cause, fix := whyUnseen(strings.Join(parts, "; "))
		return one(Finding{
			ID: "database.unseen", Severity: Info, Evidence: "not looked at: " + strings.Join(parts, "; "), Cause: cause, Fix: fix, Runbook: "#readiness-failing",
		})
	})
}

// The SQLSTATEs stand in the database's own words: insufficient_privilege, lock_not_available.
func isForbidden(why string) bool { return strings.Contains(why, "42501") }
func isLocked(why string) bool    { return strings.Contains(why, "55P03") }

func whyUnseen(text string) (cause, fix string) {
	switch {
	case isForbidden(text):
		return "the user of OAUTH2_DATABASE_URL may not see it", "psql -c 'grant pg_monitor to USER', with the user of OAUTH2_DATABASE_URL"
	case isLocked(text):
		return "somebody keeps it locked: database.lock_wait and database.lock_held name who", "end who holds the lock, and ask again"
	}
	return "it has not answered in time, or fails", "ask again when the database has less to do"
}
