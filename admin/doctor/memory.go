package doctor

import (
	"fmt"
	"time"

	"oauth2-server/store"
)

const (
	growthFactor  = 1.5
	growthLeast   = 128 << 20 // bytes: less is noise of the collector and of caches that fill
	growthAfter   = time.Hour // a replica that is younger still fills its caches
	limitWarning  = .80
	limitCritical = .90    // the kernel kills at 1, and a burst needs the rest
	goroutineMax  = 20_000 // connections have one each, 10,000 by default
	filesWarning  = .80
	filesCritical = .95
	denialsMany   = 1_000_000 // 35 MB; all are loaded at start
	denialsBound  = 5_000_000 // 170 MB and 2.7 s to load: what was measured and is promised
)

// size is bytes for people.
func size(bytes int64) string {
	units, value, i := []string{"B", "KiB", "MiB", "GiB", "TiB"}, float64(bytes), 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}

func memoryGrows(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		v := &r.Vitals
		if f.Now.Sub(r.Started) < growthAfter || !grows(v.Memory, v.MemoryThen) {
			return nil
		}
		evidence := fmt.Sprintf("%s now and %s an hour ago on %s; live heap %s and %s", size(v.Memory), size(v.MemoryThen), place(r), size(v.Heap), size(v.HeapThen))
		cause := "what is not the heap grows: connections, threads, or memory that the runtime has not given back yet"
		if grows(v.Heap, v.HeapThen) {
			cause = "something is kept that nothing needs, or load and caches grew: a heap profile says what"
		}
		if v.MemoryLimit > v.Memory {
			left := time.Duration(float64(v.MemoryLimit-v.Memory) / float64(v.Memory-v.MemoryThen) * float64(time.Hour))
			evidence += fmt.Sprintf("; at this rate the limit of %s is reached in %s", size(v.MemoryLimit), rounded(left))
		}
		return &Finding{
			ID: "memory.growth", Severity: Warning, Evidence: evidence, Cause: cause,
			Fix: profile(f, r, "heap"), Runbook: "#memory-growth",
		}
	})
}

func grows(now, then int64) bool {
	return then > 0 && now-then > growthLeast && float64(now) > growthFactor*float64(then)
}

func memoryNearLimit(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		return near(&Finding{
			ID: "memory.limit", Evidence: fmt.Sprintf("%s of %s of memory used by %s", size(r.Vitals.Memory), size(r.Vitals.MemoryLimit), place(r)),
			Cause: "the container's limit is too low for its caches and load, or memory leaks; at the limit the kernel kills the process",
			Fix:   f.commands(r).memory + ", or lower OAUTH2_CACHE_MIB", Runbook: "#memory-growth",
		}, ratio(r.Vitals.Memory, r.Vitals.MemoryLimit), limitWarning, limitCritical)
	})
}

// profile is how to get one of the replica: of its listener for operators, as an operator.
func profile(f *Facts, r *store.Replica, kind string) string {
	do := f.commands(r)
	return do.operators + "curl -H \"Authorization: Bearer $TOKEN\" -o " + kind +
		".pprof http://" + do.admin + "/debug/pprof/" + kind + "; go tool pprof " + kind + ".pprof"
}

// ratio is 0 where there is no bound.
func ratio(part, bound int64) float64 {
	if bound <= 0 {
		return 0
	}
	return float64(part) / float64(bound)
}

// near is the finding with its severity, nil below the first threshold.
func near(found *Finding, value, warning, critical float64) *Finding {
	switch {
	case value < warning:
		return nil
	case value >= critical:
		found.Severity = Critical
	default:
		found.Severity = Warning
	}
	return found
}

func goroutinesMany(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.Goroutines <= goroutineMax {
			return nil
		}
		return &Finding{
			ID: "memory.goroutines", Severity: Warning, Evidence: fmt.Sprintf("%d goroutines on %s", r.Vitals.Goroutines, place(r)),
			Cause: "more connections are open than are common, or work waits for something that does not end",
			Fix:   profile(f, r, "goroutine"), Runbook: "#memory-growth",
		}
	})
}

func filesNearLimit(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		return near(&Finding{
			ID: "memory.files", Evidence: fmt.Sprintf("%d of %d file descriptors open on %s", r.Vitals.Files, r.Vitals.FilesLimit, place(r)),
			Cause: "more connections are open than the process may have files: the next is refused", Fix: "raise LimitNOFILE (systemd) or ulimit -n, or lower OAUTH2_SERVER_MAX_CONNECTIONS", Runbook: "#memory-growth",
		}, ratio(int64(r.Vitals.Files), int64(r.Vitals.FilesLimit)), filesWarning, filesCritical)
	})
}

// denySetLarge looks at the largest only: all replicas hold the same.
func denySetLarge(f *Facts) []Finding {
	largest := int64(0)
	for _, r := range f.alive() {
		largest = max(largest, r.Vitals.DenySet)
	}
	found := near(&Finding{
		ID: "memory.deny_set", Evidence: fmt.Sprintf("%d ids are revoked and not expired; 5000000 is the bound", largest),
		Cause: "tokens are revoked one by one faster than they expire; a cut-off of a client or a subject is one row instead",
		Fix:   "oauth2-server revoke --client CLIENT, and shorter lives of tokens", Runbook: "#revoke-everything-fast",
	}, float64(largest), denialsMany, denialsBound)
	if found == nil {
		return nil
	}
	return one(*found)
}
