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
	startTime   = 30 * time.Second       // a replica that is not ready for as long does not merely start
	fenceOld    = time.Second            // promise P1: past it answers are not exact
	silentAfter = 15 * time.Second       // replicas register every 5 s: three times missed is no chance
	feedSlack   = 2 * time.Second        // a poll every 50 ms: behind by that much is no chance
	skewWarning = 500 * time.Millisecond // limits and logs of replicas drift apart visibly
	skewBad     = 2 * time.Second        // one-time codes of a minute and iat of clients begin to fail
)

// unseen tells which parts could not be looked at: silence about them means nothing.
func unseen(f *Facts) []Finding {
	if len(f.Unseen) == 0 {
		return nil
	}
	by := map[string][]string{}
	for _, part := range slices.Sorted(maps.Keys(f.Unseen)) {
		by[f.Unseen[part]] = append(by[f.Unseen[part]], part)
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, strings.Join(by[why], ", ")+": "+why)
	}
	return one(Finding{
		ID: "health.unseen", Severity: Warning, Evidence: "not looked at are " + strings.Join(parts, "; "),
		Cause: "the database did not answer, or the binary and its schema do not fit; what it holds of these is not known",
		Fix:   "oauth2-server doctor database; " + f.commands(nil).postgresLog, Runbook: "#first-five-minutes",
	})
}

func noReplica(f *Facts) []Finding {
	if f.Unseen["replicas"] != "" || len(f.alive()) > 0 {
		return nil
	}
	if len(f.Replicas) == 0 {
		return one(Finding{
			ID: "health.no_replica", Severity: Info, Evidence: "no replica in the last 7 days",
			Cause: "no server was started on this database yet", Fix: "oauth2-server serve", Runbook: "#service-health",
		})
	}
	last := slices.MaxFunc(f.Replicas, func(a, b store.Replica) int { return a.Seen.Compare(b.Seen) })
	how := "without a word: it was killed, crashed, or cut off from the database"
	switch {
	case !last.Vitals.Ended.IsZero():
		how = "in good order"
	case last.Vitals.Fault != "":
		how = "by itself: " + last.Vitals.Fault
	}
	do := f.commands(nil)
	return one(Finding{
		ID: "health.no_replica", Severity: Critical,
		Evidence: fmt.Sprintf("0 replicas run; the last, %s, was seen %s ago and ended %s", place(&last), ago(f.Now, last.Seen), how),
		Cause:    "no server is running, or none reaches the database",
		Fix:      do.state + "; " + do.before, Runbook: "#first-five-minutes",
	})
}

func notReady(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.Ready || unspoken(r) {
			return nil
		}
		severity, cause := Critical, "the replica's /ready answers 503, and balancers may leave it out"
		do, how := f.commands(r), " fails "+strings.Join(r.Vitals.Failing, "; ")
		fix := fmt.Sprintf(do.probe, "/ready")
		switch {
		case r.Vitals.Fault != "":
			how, cause, fix = " ends by itself: "+r.Vitals.Fault, "it refused to start, or a part of it failed for good: its log says why", do.log
		case r.Vitals.Draining:
			severity, cause = Info, "the replica was told to end, and lets requests under way finish: balancers leave it out on purpose"
		case r.Seen.Sub(r.Started) < startTime:
			severity = Info
		}
		return &Finding{
			ID: "health.not_ready", Severity: severity, Evidence: place(r) + how,
			Cause: cause, Fix: fix, Runbook: "#readiness-failing",
		}
	})
}

// unspoken reports a replica that says nothing of itself: one of an older version.
func unspoken(r *store.Replica) bool { return r.Vitals.Host == "" && r.Vitals.Go == "" }

func staleFence(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		age := time.Duration(r.Fence) * time.Millisecond
		if age <= fenceOld {
			return nil
		}
		return &Finding{
			ID: "health.fence", Severity: Critical, Evidence: fmt.Sprintf("fence age %s on %s, at most 1s is exact", age, place(r)),
			Cause: "the replica polls the feed too slowly: it may not know the newest revocations",
			Fix:   "oauth2-server doctor database; oauth2-server doctor latency", Runbook: "#readiness-failing",
		}
	})
}

// feedBehind compares what is certain: who registered later and has a lower position is behind by more than the time between. A fault of the
// feed alone shows in the fence as well.
func feedBehind(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		for _, other := range f.alive() {
			lag := r.Seen.Sub(other.Seen)
			if other.Position > r.Position && lag > feedSlack {
				return &Finding{
					ID: "health.feed_behind", Severity: Critical,
					Evidence: fmt.Sprintf("%s is at position %d of the feed, %s was at %d already %s before", place(r), r.Position, place(&other), other.Position, lag.Round(time.Second)),
					Cause:    "the replica does not follow the feed, or reads from another database than the rest",
					Fix:      "oauth2-server replicas; " + f.commands(r).replace, Runbook: "#readiness-failing",
				}
			}
		}
		return nil
	})
}

func skewedClock(f *Facts) []Finding {
	found := f.each(func(r *store.Replica) *Finding {
		return skewFinding(time.Duration(r.Vitals.Skew)*time.Millisecond, place(r))
	})
	if f.Database != nil && !f.Database.Now.IsZero() {
		if mine := skewFinding(f.Local.Sub(f.Now), "this machine"); mine != nil {
			mine.Severity = Info // it serves nobody
			found = append(found, *mine)
		}
	}
	return found
}

func skewFinding(skew time.Duration, of string) *Finding {
	severity := Warning
	switch {
	case skew.Abs() <= skewWarning:
		return nil
	case skew.Abs() > skewBad:
		severity = Critical
	}
	return &Finding{
		ID: "health.clock_skew", Severity: severity, Evidence: fmt.Sprintf("the clock of %s is %s off the database's", of, skew.Round(time.Millisecond)),
		Cause: "the clock is not kept by NTP; the server judges by the database's, but logs, TLS and other services do not", Fix: "timedatectl status; chronyc tracking", Runbook: "#invalid_token-reports",
	}
}

func silentReplica(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if silence := f.Now.Sub(r.Seen); silence > silentAfter && r.Vitals.Fault == "" {
			do := f.commands(r)
			return &Finding{
				ID: "health.replica_silent", Severity: Warning, Evidence: fmt.Sprintf("%s was last seen %s ago, and registers every 5s", place(r), silence.Round(time.Second)),
				Cause: "the process was killed, hangs, or is cut off from the database",
				Fix:   do.log + "; " + fmt.Sprintf(do.probe, "/health"), Runbook: "#service-health",
			}
		}
		return nil
	})
}

// withoutRedis are the replicas that cannot use it, of those that run.
func withoutRedis(f *Facts) (alone, alive []store.Replica) {
	alive = f.alive()
	for _, r := range alive {
		if r.Vitals.Redis == "down" {
			alone = append(alone, r)
		}
	}
	return alone, alive
}

func redisDown(f *Facts) []Finding {
	alone, alive := withoutRedis(f)
	if len(alone) == 0 {
		return nil
	}
	do := f.commands(&alone[0])
	return one(Finding{
		ID: "health.redis_down", Severity: Warning, Evidence: fmt.Sprintf("%d of %d replicas cannot use Redis: %s", len(alone), len(alive), places(alone)),
		Cause: "Redis is down, refuses the password, is full, or is out of their reach; what they do not hold themselves they look up in the database",
		Fix:   do.redisState + "; " + do.log, Runbook: "#readiness-failing",
	})
}

// publicUnreachable is worse when no replica says of itself that it is ready: then clients cannot have another way.
func publicUnreachable(f *Facts) []Finding {
	if f.Public == nil || f.Public.Fault == nil {
		return nil
	}
	severity := Critical
	for _, r := range f.alive() {
		if r.Vitals.Ready {
			severity = Warning
		}
	}
	return one(Finding{
		ID: "health.public_unreachable", Severity: severity, Evidence: f.Public.URL + " fails at " + f.Public.Fault.String(),
		Cause: "the name, the balancer, its certificate or the listener behind it does not answer, at least not from here",
		Fix:   "curl -v " + word(f.Public.URL, "URL") + "/health", Runbook: "#service-health",
	})
}

// ago is how long something is past, for people.
func ago(now, then time.Time) string { return rounded(now.Sub(then)) }

// rounded is a time with two figures that matter.
func rounded(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Hour:
		return store.Period(d.Round(time.Minute)).String()
	}
	return store.Period(d.Round(time.Second)).String()
}
