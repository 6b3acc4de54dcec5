package doctor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"oauth2-server/store"
)

const (
	diskWarn       = .85 // of the disk or the capacity; Postgres needs room for its log
	diskBad        = .95
	fullWarn       = 14.0             // days; an order of a disk takes a week
	fullBad        = 3.0              // days; a weekend
	historyNeeded  = 24 * time.Hour   // tokens come and go with the day
	historyPoints  = 4                // samples, below which a slope says nothing
	fastGrowth     = .10              // of the database a day: it doubles within ten days
	growthLarge    = int64(1 << 30)   // bytes; below that doubling costs nothing
	deadShare      = .50              // of a table's rows; autovacuum begins at a fifth
	deadLarge      = int64(256 << 20) // bytes of the table; small ones are vacuumed in no time
	indexLarge     = int64(1 << 30)   // bytes
	indexTimes     = 3                // as large as its table: no index of ours should be
	freeShare      = .50              // of SQLite's pages
	freeLarge      = int64(64 << 20)  // bytes
	walLarge       = int64(256 << 20) // bytes; four times what it is cut back to
	retentionLate  = 24 * time.Hour   // runs are minutes apart
	retentionQueue = store.MaxDue     // a run takes more than that
)

// storageChecks are of what lies in the database, and of how long there is room for more.
var storageChecks = []check{
	diskFull, fullInDays, growth, capacityUnknown, partitionsPast, retentionFault, retentionOverdue, bloat, indexBloat, freePages, walLargeFile, slotHoldsLog, wraparound, autovacuumOff,
}

// room is how much the database takes of what there is for it; whole is 0 where that is not known.
func room(f *Facts) (used, whole int64, of string) {
	s := f.Database
	switch {
	case f.Capacity > 0:
		return s.Bytes, f.Capacity, "OAUTH2_DATABASE_CAPACITY"
	case s.Disk.Bytes > 0:
		return s.Disk.Bytes - s.Disk.Free, s.Disk.Bytes, "its disk"
	}
	return s.Bytes, 0, ""
}

func diskFull(f *Facts) []Finding {
	return inspected(f, func(*store.Inspection) []Finding {
		used, whole, of := room(f)
		taken := share(used, whole)
		if whole == 0 || taken < diskWarn {
			return nil
		}
		severity := Warning
		if taken >= diskBad {
			severity = Critical
		}
		return one(Finding{
			ID: "storage.full", Severity: severity, Evidence: fmt.Sprintf("%s of %s of %s used (%s)", size(used), size(whole), of, percent(taken)),
			Cause: "a database whose disk is full takes no writes: no tokens, no revocations", Fix: "oauth2-server retention run; and enlarge the disk", Runbook: "#storage-full",
		})
	})
}

// slope is by how many bytes a day a name grows, by least squares over its samples.
func slope(sizes []store.Size, name string) (perDay float64, known bool) {
	mine := slices.DeleteFunc(slices.Clone(sizes), func(s store.Size) bool { return s.Name != name })
	if len(mine) < historyPoints || mine[len(mine)-1].At.Sub(mine[0].At) < historyNeeded {
		return 0, false
	}
	var meanX, meanY float64
	days := func(s store.Size) float64 { return s.At.Sub(mine[0].At).Hours() / 24 }
	for _, s := range mine {
		meanX += days(s) / float64(len(mine))
		meanY += float64(s.Bytes) / float64(len(mine))
	}
	var xy, xx float64
	for _, s := range mine {
		xy += (days(s) - meanX) * (float64(s.Bytes) - meanY)
		xx += (days(s) - meanX) * (days(s) - meanX)
	}
	return xy / xx, true
}

func fullInDays(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		used, whole, of := room(f)
		perDay, known := slope(s.Sizes, store.SizeOfDatabase)
		if whole == 0 || !known || perDay <= 0 {
			return nil
		}
		left := math.Max(float64(whole-used), 0) / perDay
		if left >= fullWarn {
			return nil
		}
		severity := Warning
		if left < fullBad {
			severity = Critical
		}
		return one(Finding{
			ID: "storage.full_in_days", Severity: severity, Evidence: fmt.Sprintf("%s is full in %.1f days: %s a day, %s left", of, left, size(int64(perDay)), size(max(whole-used, 0))),
			Cause: "more is written than retention removes", Fix: "oauth2-server retention status; and enlarge the disk", Runbook: "#storage-full",
		})
	})
}

// growth names the tables that grow fastest; without history it says so.
func growth(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		perDay, known := slope(s.Sizes, store.SizeOfDatabase)
		found := Finding{ID: "storage.growth", Severity: Info, Fix: "oauth2-server retention status", Runbook: "#storage-full"}
		switch {
		case !known:
			found.Evidence = fmt.Sprintf("not enough history: %d samples, a day of hourly ones is needed; the database has %s", len(s.Sizes), size(s.Bytes))
			found.Cause = "how fast the database grows is not known yet"
		case s.Bytes >= growthLarge && perDay >= fastGrowth*float64(s.Bytes):
			found.Severity = Warning
			found.Evidence = fmt.Sprintf("%s a day, the database has %s: %s", size(int64(perDay)), size(s.Bytes), growers(s.Sizes))
			found.Cause = "more is issued than expires, or something that should be removed is not"
		default:
			return nil
		}
		return one(found)
	})
}

// growers are the three tables that grow most.
func growers(sizes []store.Size) string {
	type grower struct {
		name   string
		perDay float64
	}
	var all []grower
	seen := map[string]bool{store.SizeOfDatabase: true}
	for _, s := range sizes {
		if seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		if perDay, known := slope(sizes, s.Name); known && perDay > 0 {
			all = append(all, grower{s.Name, perDay})
		}
	}
	slices.SortFunc(all, func(a, b grower) int { return int(math.Copysign(1, b.perDay-a.perDay)) })
	var texts []string
	for _, g := range all[:min(3, len(all))] {
		texts = append(texts, g.name+" "+size(int64(g.perDay)))
	}
	return strings.Join(texts, ", ")
}

func capacityUnknown(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if _, whole, _ := room(f); whole > 0 || s.File != nil && s.File.Path == "" {
			return nil
		}
		return one(Finding{
			ID: "storage.no_capacity_known", Severity: Info, Evidence: fmt.Sprintf("the database has %s; the size of its disk cannot be seen from here", size(s.Bytes)),
			Cause: whyNoDisk(s) + ": when its disk is full cannot be told", Fix: "set OAUTH2_DATABASE_CAPACITY, like 100GiB", Runbook: "#storage-full",
		})
	})
}

// whyNoDisk is by how far the question for the disk came: who asks from the database's own machine is told the folder, if he may know it.
func whyNoDisk(s *store.Inspection) string {
	switch why := s.Unseen["disk"]; {
	case why == "" || s.File != nil:
		return "the database is on this machine, but the folder where its data lies cannot be looked at from here"
	case isForbidden(why):
		return "the database is on this machine, but the user of OAUTH2_DATABASE_URL may not see where its data lies"
	case why == store.ErrNotFound.Error():
		return "the database is on another machine, in a container or behind a proxy"
	}
	return "the database did not tell where its data lies"
}

// keptFor is how long a kind is kept after its time; the default where that could not be read.
func keptFor(f *Facts, kind string) time.Duration {
	for _, k := range f.Kept {
		if k.Kind == kind {
			return time.Duration(k.Keep)
		}
	}
	return day
}

func partitionsPast(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var past []string
		for _, p := range s.Partitions {
			if due := p.Start.Add(day + keptFor(f, store.KeptTokens)); s.Now.Sub(due) > retentionSlack {
				past = append(past, p.Name)
			}
		}
		if past == nil {
			return nil
		}
		return one(Finding{
			ID: "storage.partitions_past", Severity: Warning, Evidence: fmt.Sprintf("%d partitions of expired tokens are still there, the oldest %s", len(past), past[0]),
			Cause: "no replica has done the maintenance, or a long transaction keeps it from dropping them", Fix: "oauth2-server doctor database; oauth2-server retention run tokens", Runbook: "#storage-full",
		})
	})
}

func retentionFault(f *Facts) []Finding {
	var found []Finding
	for _, k := range f.Kept {
		if k.Fault == "" {
			continue
		}
		found = append(found, Finding{
			ID: "storage.retention_fault", Severity: Warning, Evidence: fmt.Sprintf("the last run on %s, %s ago, failed: %s", k.Kind, ago(f.Now, k.Ran), k.Fault),
			Cause: "what has expired is not removed", Fix: "oauth2-server retention run " + word(k.Kind, "KIND"), Runbook: "#storage-full",
		})
	}
	return found
}

// retentionOverdue: replicas run it every few minutes, so that nothing is due for long.
func retentionOverdue(f *Facts) []Finding {
	if len(f.alive()) == 0 {
		return nil // nobody is there to do it
	}
	var found []Finding
	for _, k := range f.Kept {
		late := !k.Ran.IsZero() && f.Now.Sub(k.Ran) > retentionLate
		if !late && k.Due < retentionQueue {
			continue
		}
		evidence := fmt.Sprintf("%s: %d due", k.Kind, k.Due)
		if k.Due >= retentionQueue {
			evidence = fmt.Sprintf("%s: %d due or more", k.Kind, k.Due)
		}
		if !k.Ran.IsZero() {
			evidence += fmt.Sprintf(", the last run %s ago", ago(f.Now, k.Ran))
		}
		found = append(found, Finding{
			ID: "storage.retention_overdue", Severity: Warning, Evidence: evidence,
			Cause: "retention does not run, or removes less than expires", Fix: "oauth2-server retention run " + word(k.Kind, "KIND"), Runbook: "#storage-full",
		})
	}
	return found
}
