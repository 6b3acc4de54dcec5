package doctor

import (
	"cmp"
	"slices"
	"strings"
)

// runbook is the page that findings refer to.
const runbook = "deploy/runbook.md"

// A check looks for one thing that may be wrong. It does no I/O. ID, Severity, Evidence, Cause, Fix and Runbook, the heading of the page
// like "#readiness-failing", are its work; the rest is Judge's.
type check func(f *Facts) []Finding

// everywhere is looked for in each scenario: without the database little else can be seen.
var everywhere = []check{databaseUnreachable, unseen}

// scenarios is what is looked for beside. A check may stand in several: what is slow may be the database. Its finding belongs to the
// scenario that its id begins with, or that it names.
var scenarios = map[string][]check{
	Health: slices.Concat([]check{noReplica, notReady, staleFence, feedBehind, skewedClock, silentReplica, redisDown, publicUnreachable}, redisChecks),
	Latency: slices.Concat([]check{
		tokenSlow, errorShare, routesSlow, cpuSaturated, cpuThrottled, wrongProcessors, gcPressure, slowQueries, failingQueries, poolWaits, databaseFar,
	}, redisChecks),
	Deploy: {
		mixedVersions, mixedConfig, restarts, uncleanEnds, recentStarts, reloadRefused, reloadUnfinished, restartOwed, certificateEnds, schemaBehind, schemaNewer, schemaRefused,
	},
	Database: databaseChecks,
	Tokens:   tokensChecks,
	Storage:  storageChecks,
	Memory:   slices.Concat([]check{memoryGrows, memoryNearLimit, goroutinesMany, filesNearLimit, denySetLarge, gcPressure}, redisChecks),
	Limits:   slices.Concat([]check{limitRefuses, limitOneAddress, limitShadow, limitBlocks, limitFallback}, redisChecks),
	Login: {
		sessionKeysDiffer, loginsWrong, loginsLimited, loginsFail, hasherBusy, noAdmin, proxyUnbelieved, otherHost, publicInsecure,
	},
	Keys: {keyMissing, keyOld, keyOverdue, secretsDiffer, keyUnsealed, oldSecrets, numbersLeft, notPublished, otherIssuer},
}

// Judge says what is wrong by the facts, the worst first, of each scenario that is asked for: some of [Scenarios], or [All].
func Judge(f *Facts, asked ...string) Report {
	r := Report{Findings: []Finding{}}
	for _, name := range Scenarios {
		if !slices.Contains(asked, name) && !slices.Contains(asked, All) {
			continue
		}
		for _, check := range slices.Concat(everywhere, scenarios[name]) {
			for _, found := range check(f) {
				r.add(name, asked, found)
			}
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return r
}

// add completes a finding. What another scenario has found already is not told twice.
func (r *Report) add(scenario string, asked []string, found Finding) {
	if owner, _, _ := strings.Cut(found.ID, "."); slices.Contains(Scenarios, owner) {
		found.Scenario = owner
	}
	found.Scenario = cmp.Or(found.Scenario, scenario)
	found.Fix = elsewhere(found.Fix, slices.Concat(asked, []string{found.Scenario}))
	if strings.HasPrefix(found.Runbook, "#") {
		found.Runbook = runbook + found.Runbook
	}
	if !slices.Contains(r.Findings, found) {
		r.Findings = append(r.Findings, found)
	}
}

// elsewhere is the fix without the scenarios in which it is shown: whoever reads it has looked there.
func elsewhere(fix string, shown []string) string {
	steps := slices.DeleteFunc(strings.Split(fix, "; "), func(step string) bool {
		scenario, is := strings.CutPrefix(step, "oauth2-server doctor ")
		return is && slices.Contains(shown, scenario)
	})
	return cmp.Or(strings.Join(steps, "; "), "mend what else is found here first")
}

// one is the findings of a check that has found one thing.
func one(f Finding) []Finding { return []Finding{f} }

// Known reports whether scenarios can be asked for: all of them by name, or [All] alone.
func Known(asked []string) bool {
	for _, scenario := range asked {
		if !slices.Contains(Scenarios, scenario) {
			return scenario == All && len(asked) == 1
		}
	}
	return true
}
