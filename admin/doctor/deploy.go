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
	rolloutTime   = 10 * time.Minute // a rollout that takes longer stands still
	recent        = time.Hour        // in which starts and ends are counted
	restartsMany  = 3                // starts of one place: one is a deploy, two may be a second one
	endsMany      = 3                // ends without a word: a crash loop
	renewWarning  = 21 * 24 * time.Hour
	renewCritical = 7 * 24 * time.Hour
	memoryKilled  = .8 // of the limit, when last seen: the kernel is the likely cause of the end
)

func versionOf(r *store.Replica) string {
	revision := r.Vitals.Revision
	if !strings.ContainsAny(revision, "0123456789") { // built outside of a repository
		return r.Version
	}
	return r.Version + " (" + revision[:min(len(revision), 12)] + ")"
}

// kinds groups the replicas that run by what they say, the most frequent first.
func kinds(all []store.Replica, say func(r *store.Replica) string) (texts []string, count map[string]int) {
	count = map[string]int{}
	for i := range all {
		text := say(&all[i])
		if text == "" {
			continue
		}
		if count[text]++; count[text] == 1 {
			texts = append(texts, text)
		}
	}
	slices.SortStableFunc(texts, func(a, b string) int { return count[b] - count[a] })
	return texts, count
}

// settled reports whether the last start is so long ago that a rollout should be over, and when it was.
func settled(f *Facts, all []store.Replica) (bool, time.Time) {
	var last time.Time
	for _, r := range all {
		if r.Started.After(last) {
			last = r.Started
		}
	}
	return f.Now.Sub(last) > rolloutTime, last
}

func mixedVersions(f *Facts) []Finding {
	alive := f.alive()
	versions, count := kinds(alive, versionOf)
	if len(versions) < 2 {
		return nil
	}
	var parts []string
	for _, v := range versions {
		parts = append(parts, fmt.Sprintf("%s on %d", v, count[v]))
	}
	over, last := settled(f, alive)
	do := f.commands(nil)
	found := Finding{
		ID: "deploy.versions", Severity: Info, Evidence: fmt.Sprintf("%s; the last start was %s ago", strings.Join(parts, ", "), ago(f.Now, last)),
		Cause: "a rollout is under way", Fix: do.status, Runbook: "#roll-back-a-bad-deploy",
	}
	if over {
		found.Severity, found.Cause = Warning, "a rollout stands still, or a replica was left behind"
		found.Fix += "; " + do.undo
	}
	return one(found)
}

func mixedConfig(f *Facts) []Finding {
	alive := f.alive()
	configs, count := kinds(alive, func(r *store.Replica) string { return r.Vitals.Config })
	if len(configs) < 2 {
		return nil
	}
	rare := configs[len(configs)-1]
	odd := slices.DeleteFunc(slices.Clone(alive), func(r store.Replica) bool { return r.Vitals.Config != rare })
	found := Finding{
		ID: "deploy.config_differs", Severity: Warning, Evidence: fmt.Sprintf("%d configurations on %d replicas; %d of one is %s", len(configs), len(alive), count[rare], places(odd)),
		Cause: "settings that replicas must share (issuer, algorithm, format, lives of tokens, proxies, origins) are not the same",
		Fix:   "oauth2-server config check, in each place; " + f.commands(nil).restart, Runbook: "#roll-back-a-bad-deploy",
	}
	if names := differing(alive); names != nil {
		found.Evidence += "; they differ in " + strings.Join(names, ", ")
		found.Cause = "settings that replicas must share are not the same"
	}
	if over, _ := settled(f, alive); !over && versionsDiffer(alive) {
		found.Severity = Info // the rollout brings it
	}
	return one(found)
}

// differing are the settings that are not the same on every replica which tells them.
func differing(all []store.Replica) []string {
	first, differ := (map[string]string)(nil), map[string]bool{}
	for i := range all {
		mine := all[i].Vitals.Settings
		switch {
		case mine == nil:
			continue // of an older version
		case first == nil:
			first = mine
		}
		for _, name := range slices.Concat(slices.Collect(maps.Keys(first)), slices.Collect(maps.Keys(mine))) {
			if first[name] != mine[name] {
				differ[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(differ))
}

func versionsDiffer(all []store.Replica) bool {
	versions, _ := kinds(all, versionOf)
	return len(versions) > 1
}

// byPlace groups replicas of the last hour by where they ran: in one place one runs after another.
func byPlace(f *Facts, take func(r *store.Replica) bool) (names []string, found map[string][]store.Replica) {
	found = map[string][]store.Replica{}
	for i := range f.Replicas {
		r := &f.Replicas[i]
		if !take(r) {
			continue
		}
		name := place(r)
		if found[name] == nil {
			names = append(names, name)
		}
		found[name] = append(found[name], *r)
	}
	return names, found
}

// unclean reports whether the replica is gone and has not ended in good order. One of an older version never says that it has.
func unclean(f *Facts, r *store.Replica) bool {
	return r.Vitals.Ended.IsZero() && f.Now.Sub(r.Seen) >= store.Alive && !unspoken(r)
}

func restarts(f *Facts) []Finding {
	names, started := byPlace(f, func(r *store.Replica) bool { return f.Now.Sub(r.Started) < recent })
	_, crashed := byPlace(f, func(r *store.Replica) bool { return unclean(f, r) && f.Now.Sub(r.Seen) < recent })
	var found []Finding
	for _, name := range names {
		if len(started[name]) < restartsMany || len(crashed[name]) >= endsMany {
			continue // the crash loop is told by uncleanEnds
		}
		do := f.commands(&started[name][0])
		found = append(found, Finding{
			ID: "deploy.restarts", Severity: Warning, Evidence: fmt.Sprintf("%d starts of %s within the last hour, %d of them did not end in good order", len(started[name]), name, len(crashed[name])),
			Cause: "the server ends again and again: its log, or that of what starts it, says why",
			Fix:   do.state + "; " + do.before, Runbook: "#roll-back-a-bad-deploy",
		})
	}
	return found
}

// uncleanEnds are those that registered no end in good order: a fault of their own, kill -9, a crash, the kernel's want of memory, or a machine that is gone.
func uncleanEnds(f *Facts) []Finding {
	names, ended := byPlace(f, func(r *store.Replica) bool { return unclean(f, r) && f.Now.Sub(r.Seen) < recent })
	var found []Finding
	for _, name := range names {
		found = append(found, uncleanEnd(f, name, ended[name]))
	}
	return found
}

func uncleanEnd(f *Facts, name string, all []store.Replica) Finding {
	last := slices.MaxFunc(all, func(a, b store.Replica) int { return a.Seen.Compare(b.Seen) })
	do, how := f.commands(&last), "ended without a word"
	if last.Vitals.Fault != "" {
		how = "did not end in good order"
	}
	found := Finding{
		ID: "deploy.unclean_end", Severity: Warning,
		Evidence: fmt.Sprintf("%s %s %d times within the last hour; it was last seen %s ago, after %s", name, how, len(all), ago(f.Now, last.Seen), rounded(last.Seen.Sub(last.Started))),
		Cause:    "the process was killed, crashed, or its machine is gone",
		Fix:      do.state + "; " + do.before, Runbook: "#service-health",
	}
	if len(all) >= endsMany {
		found.ID, found.Severity, found.Runbook = "deploy.crash_loop", Critical, "#roll-back-a-bad-deploy"
		found.Fix = do.before + "; " + do.undo
	}
	switch v := &last.Vitals; {
	case v.Fault != "":
		found.Evidence += ", and ended by itself: " + v.Fault
		found.Cause = "it refused to start, or a part of it failed for good: its log says why"
	case v.MemoryLimit > 0 && float64(v.Memory) > memoryKilled*float64(v.MemoryLimit):
		found.Evidence += fmt.Sprintf(", with %s of %s of memory", size(v.Memory), size(v.MemoryLimit))
		found.Cause, found.Runbook = "most likely the kernel killed it for want of memory (OOMKilled)", "#memory-growth"
	}
	return found
}

func recentStarts(f *Facts) []Finding {
	started := slices.DeleteFunc(slices.Clone(f.Replicas), func(r store.Replica) bool { return f.Now.Sub(r.Started) >= recent })
	if len(started) == 0 {
		return nil
	}
	versions, _ := kinds(started, versionOf)
	_, last := settled(f, started)
	return one(Finding{
		ID: "deploy.recent", Severity: Info, Evidence: fmt.Sprintf("starts within the last hour: %d, the last %s ago, of %s", len(started), ago(f.Now, last), strings.Join(versions, ", ")),
		Cause: "what began then may have come with it", Fix: f.commands(nil).history, Runbook: "#roll-back-a-bad-deploy",
	})
}

func reloadRefused(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.Reload == "" {
			return nil
		}
		return &Finding{
			ID: "deploy.reload_refused", Severity: Warning, Evidence: place(r) + " refuses what its files hold: " + r.Vitals.Reload,
			Cause: "a secret or certificate was changed to something that cannot be used; the server goes on with the old one, and would not start with the new",
			Fix:   "oauth2-server config check, where the files are", Runbook: "#rotate-signing-material",
		}
	})
}

func reloadUnfinished(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if r.Vitals.Unfinished == "" {
			return nil
		}
		return &Finding{
			ID: "deploy.reload_unfinished", Severity: Warning, Evidence: place(r) + ": what its files hold is in force, but not finished in the store: " + r.Vitals.Unfinished,
			Cause: "the store refused what a changed secret needs there, or was away; the server tries again every few seconds, and until then needs the old one",
			Fix:   "oauth2-server doctor database", Runbook: "#rotate-signing-material",
		}
	})
}

func restartOwed(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		if len(r.Vitals.Restart) == 0 {
			return nil
		}
		return &Finding{
			ID: "deploy.restart_owed", Severity: Warning, Evidence: place(r) + ": its files hold another " + strings.Join(r.Vitals.Restart, ", ") + " than is in force",
			Cause: "these were changed while the server ran, and need a restart, or have to be put back",
			Fix:   f.commands(r).restart, Runbook: "#rotate-signing-material",
		}
	})
}

func certificateEnds(f *Facts) []Finding {
	found := f.each(func(r *store.Replica) *Finding { return certificate(f, r.Vitals.TLSUntil, place(r)) })
	if f.Public != nil {
		if outside := certificate(f, f.Public.TLSUntil, f.Public.URL); outside != nil {
			found = append(found, *outside)
		}
	}
	return found
}

// certificate judges the end of one; the zero time is that of none.
func certificate(f *Facts, until time.Time, of string) *Finding {
	left, severity := until.Sub(f.Now), Warning
	switch {
	case until.IsZero() || left > renewWarning:
		return nil
	case left <= renewCritical:
		severity = Critical
	}
	evidence := fmt.Sprintf("the certificate of %s ends in %s, at %s", of, rounded(left), until.UTC().Format(time.DateTime))
	if left <= 0 {
		evidence = fmt.Sprintf("the certificate of %s ended %s ago", of, rounded(-left))
	}
	return &Finding{
		ID: "deploy.certificate", Severity: severity, Evidence: evidence,
		Cause: "it was not renewed, or the new file did not reach the server; it is read again when it changes",
		Fix:   f.commands(nil).secret + enddate, Runbook: "#rotate-signing-material",
	}
}
