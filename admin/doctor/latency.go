package doctor

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"oauth2-server/store"
)

const (
	tokenRoute   = "/oauth/token"
	tokenGoal    = 500.0 // ms: the objective is 99 % below it
	tokenBad     = 2500. // ms: clients give up
	routeGoal    = 1000. // ms, of everything else: pages hash passwords
	enough       = 20    // requests of the last minute, below which a share says nothing
	enoughForP99 = 200   // below it one or two slow ones are the p99
	errorsWarn   = .02   // of all answers: twenty times what 99.9 % availability allows
	errorsBad    = .05
	cpuFull      = .90             // of GOMAXPROCS: above it queues grow without end
	throttledMax = .05             // of the cgroup's periods: each costs up to 100 ms
	gcMax        = .10             // of the processor time
	gcMatters    = .25             // of the processors in use: below it nobody waits for the collector
	gcWarmUp     = 2 * time.Minute // a start allocates more than it lives on
	poolWaitMax  = 5.0             // ms, on average: a query takes one
	slowQuery    = 100             // ms, p99
)

// tokenSlow says where the time goes: what is slow below the route, or the processor.
func tokenSlow(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		name, work := routeOf(r, tokenRoute)
		if work.Count < enoughForP99 || work.P99 <= tokenGoal {
			return nil
		}
		severity := Warning
		if work.P99 > tokenBad {
			severity = Critical
		}
		cause, fix := whereTimeGoes(f, r)
		return &Finding{
			ID: "latency.token_slow", Severity: severity, Evidence: fmt.Sprintf("p99 of %s is %s, the objective 500ms (%d requests of the last minute on %s)", name, millis(work.P99), work.Count, place(r)),
			Cause: cause, Fix: fix, Runbook: "#token-endpoint-slow",
		}
	})
}

// routeOf is the work of a route by the end of its name, whatever the method before it.
func routeOf(r *store.Replica, end string) (string, store.WorkVitals) {
	for name, work := range r.Vitals.Routes {
		if strings.HasSuffix(name, end) {
			return name, work
		}
	}
	return end, store.WorkVitals{}
}

// whereTimeGoes is the cause of a slow route and what to do about it.
func whereTimeGoes(f *Facts, r *store.Replica) (cause, fix string) {
	v := &r.Vitals
	if name, work := slowest(v.Queries); work.P99 > slowQuery {
		return fmt.Sprintf("the database is slow: p99 of the query %q is %s", name, millis(work.P99)), "oauth2-server doctor database"
	}
	if pool := busiestPool(v.Pools); pool != nil {
		return fmt.Sprintf("requests wait for a connection of the pool %q", pool.Name), "oauth2-server doctor database"
	}
	if v.CPUShare > cpuFull || v.Throttled > throttledMax {
		return "the replica has not enough processor time", f.commands(r).more
	}
	return "the time is spent neither in the database nor for want of a processor: look at Redis, at the passwords' hasher and at the clients' own servers", "oauth2-server doctor health; oauth2-server doctor login"
}

// slowest is the work with the highest p99 that was done often enough to say something.
func slowest(all map[string]store.WorkVitals) (name string, work store.WorkVitals) {
	for _, candidate := range slices.Sorted(maps.Keys(all)) {
		if w := all[candidate]; w.Count >= enoughForP99 && w.P99 > work.P99 {
			name, work = candidate, w
		}
	}
	return name, work
}

func millis(ms float64) string {
	if math.IsInf(ms, 1) {
		return "more than 5s"
	}
	return store.Period(time.Duration(ms * float64(time.Millisecond)).Round(time.Microsecond)).String()
}

// probes are routes that answer 503 on purpose, or are slow because they tell much: no client waits for them.
var probes = []string{"/health", "/ready", "/metrics", "/events/health"}

func isProbe(route string) bool {
	return slices.ContainsFunc(probes, func(probe string) bool { return strings.HasSuffix(route, probe) })
}

// errorShare is of all routes together; it names the one with most.
func errorShare(f *Facts) []Finding {
	total, worst := store.WorkVitals{}, ""
	faults := map[string]int64{}
	for _, r := range f.alive() {
		for route, work := range r.Vitals.Routes {
			if isProbe(route) {
				continue
			}
			total.Count += work.Count
			total.Faults += work.Faults
			if faults[route] += work.Faults; faults[route] > faults[worst] {
				worst = route
			}
		}
	}
	part := share(total.Faults, total.Count)
	if total.Count < enough || part <= errorsWarn {
		return nil
	}
	severity := Warning
	if part > errorsBad {
		severity = Critical
	}
	return one(Finding{
		ID: "latency.errors", Severity: severity,
		Evidence: fmt.Sprintf("%s of %d answers of the last minute were 5xx, most of them on %s (%d)", percent(part), total.Count, worst, faults[worst]),
		Cause:    "a dependency fails (503), or the server has a fault (500): the log has a line for each kind",
		Fix:      "oauth2-server doctor database; " + fmt.Sprintf(f.commands(nil).search, `"level":"(WARN|ERROR)"`), Runbook: "#high-5xx-or-latency",
	})
}

func share(part, whole int64) float64 { return float64(part) / float64(max(whole, 1)) }

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func routesSlow(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		others := maps.Clone(r.Vitals.Routes)
		maps.DeleteFunc(others, func(name string, _ store.WorkVitals) bool {
			return strings.HasSuffix(name, tokenRoute) || isProbe(name)
		})
		name, work := slowest(others)
		if work.P99 <= routeGoal {
			return nil
		}
		cause, fix := whereTimeGoes(f, r)
		return &Finding{
			ID: "latency.route_slow", Severity: Warning, Evidence: fmt.Sprintf("p99 of %s is %s (%d requests of the last minute on %s)", name, millis(work.P99), work.Count, place(r)),
			Cause: cause, Fix: fix, Runbook: "#high-5xx-or-latency",
		}
	})
}

func cpuSaturated(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.CPUShare <= cpuFull {
			return nil
		}
		return &Finding{
			ID: "latency.cpu", Severity: Warning, Evidence: fmt.Sprintf("%s of %d processors used by %s in the last minute", percent(r.Vitals.CPUShare), r.Vitals.Processors, place(r)),
			Cause: "there is more work than the replica's processors can do: what comes next waits or is shed", Fix: f.commands(r).more, Runbook: "#scaling",
		}
	})
}

func cpuThrottled(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.Throttled <= throttledMax {
			return nil
		}
		return &Finding{
			ID: "latency.throttled", Severity: Warning, Evidence: fmt.Sprintf("%s was stopped by its CPU limit of %g in %s of the periods", place(r), r.Vitals.CPUQuota, percent(r.Vitals.Throttled)),
			Cause: "the container's CPU limit is below what the load needs in bursts; each stop adds up to 100 ms", Fix: f.commands(r).cpu, Runbook: "#token-endpoint-slow",
		}
	})
}

// leastProcessors is what the Go runtime takes of a quota below it.
const leastProcessors = 2

// wrongProcessors: more threads than the quota are throttled, fewer leave it unused.
func wrongProcessors(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		quota, have := r.Vitals.CPUQuota, r.Vitals.Processors
		if quota == 0 || have == 0 {
			return nil
		}
		want := max(int(math.Ceil(quota)), leastProcessors)
		if have <= want && float64(have) > quota/2 {
			return nil
		}
		return &Finding{
			ID: "latency.gomaxprocs", Severity: Warning, Evidence: fmt.Sprintf("GOMAXPROCS is %d on %s, its CPU limit %g", have, place(r), quota),
			Cause: "the process works on another number of processors than its container may use: it is throttled, or leaves some idle",
			Fix:   f.commands(r).threads, Runbook: "#token-endpoint-slow",
		}
	})
}

func gcPressure(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.GCShare <= gcMax || r.Vitals.CPUShare < gcMatters || f.Now.Sub(r.Started) < gcWarmUp {
			return nil
		}
		return &Finding{
			ID: "memory.gc", Severity: Warning, Evidence: fmt.Sprintf("%s of the processor time goes into garbage collection on %s", percent(r.Vitals.GCShare), place(r)),
			Cause: "the heap is near GOMEMLIMIT, which is the container's request of memory, or GOGC is set too low: memory is collected again and again",
			Fix:   f.commands(r).memory, Runbook: "#memory-growth",
		}
	})
}

// busiestPool is the pool whose callers wait longest, nil where none waits long.
func busiestPool(all []store.PoolVitals) *store.PoolVitals {
	worst, longest := (*store.PoolVitals)(nil), poolWaitMax
	for i := range all {
		if mean := all[i].Waited / float64(max(all[i].Waits, 1)); all[i].Waits >= enough && mean > longest {
			worst, longest = &all[i], mean
		}
	}
	return worst
}
