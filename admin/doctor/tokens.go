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
	mintersShown    = 3
	minterShare     = .80 // of the newest tokens
	minterRate      = 50. // tokens a second: one that keeps them for their hour needs one a process
	minterKnown     = 1000
	invalidShare    = .20 // of introspections: resource servers see some expired tokens, not a fifth
	invalidKnown    = 100 // a minute
	cutoffLooksBack = 24 * time.Hour
)

// tokensChecks are of what is issued, and of why tokens may be invalid.
var tokensChecks = []check{topMinters, invalidTokens, recentCutoffs, tokenClock, partitionsMissing}

func topMinters(f *Facts) []Finding {
	m := f.Minting
	if m == nil || m.Total == 0 {
		return nil
	}
	clients := slices.SortedFunc(maps.Keys(m.By), func(a, b string) int {
		return cmp.Or(m.By[b]-m.By[a], strings.Compare(a, b))
	})
	var texts []string
	for _, client := range clients[:min(mintersShown, len(clients))] {
		texts = append(texts, fmt.Sprintf("%s %s", client, percent(share(int64(m.By[client]), int64(m.Total)))))
	}
	rate := float64(m.Total) / max(m.Newest.Sub(m.Oldest).Seconds(), 1)
	found := Finding{
		ID: "tokens.top_minters", Severity: Info,
		Evidence: fmt.Sprintf("the newest %d opaque tokens were issued at %.1f a second: %s", m.Total, rate, strings.Join(texts, ", ")),
		Cause:    "this is who has tokens issued", Fix: "oauth2-server client list", Runbook: "#token-endpoint-slow",
	}
	top := clients[0]
	most := m.By[top]
	if m.Total >= minterKnown && share(int64(most), int64(m.Total)) > minterShare && rate*share(int64(most), int64(m.Total)) > minterRate && len(clients) > 1 {
		found.Severity = Warning
		found.Cause = "the client " + top + " asks for a token for each of its requests instead of keeping one until it expires"
		found.Fix = "have it keep its tokens; until then: oauth2-server limits set token.client --mode enforce"
	}
	return one(found)
}

// invalidTokens tells the share of introspections that found no valid token, and what may be behind it.
func invalidTokens(f *Facts) []Finding {
	var active, inactive float64
	for _, r := range f.alive() {
		active += r.Vitals.Counts[`introspections_total{outcome="active"}`]
		inactive += r.Vitals.Counts[`introspections_total{outcome="inactive"}`]
	}
	part := inactive / max(active+inactive, 1)
	if active+inactive < invalidKnown || part < invalidShare {
		return nil
	}
	return one(Finding{
		ID: "tokens.invalid", Severity: Warning, Evidence: fmt.Sprintf("%s of %.0f introspections of the last minute were of tokens that are not valid", percent(part), active+inactive),
		Cause: "tokens were revoked or cut off, clients use them beyond their life, or they are of another server", Fix: "oauth2-server token explain - (and paste such a token)", Runbook: "#invalid_token-reports",
	})
}

// recentCutoffs explain tokens that are suddenly not valid.
func recentCutoffs(f *Facts) []Finding {
	var found []Finding
	for _, c := range f.Cutoffs {
		at := time.Unix(c.At, 0)
		if f.Now.Sub(at) > cutoffLooksBack || c.Kind == store.CutSubject {
			continue
		}
		whose := "everything"
		if c.Kind == store.CutClient {
			whose = "all of the client " + c.Name
		}
		found = append(found, Finding{
			ID: "tokens.cutoff_recent", Severity: Info, Evidence: fmt.Sprintf("%s that was issued until %s ago was revoked then, by %s", whose, ago(f.Now, at), c.Actor),
			Cause: "an operator revoked it; tokens of before are not valid any more, and never will be", Fix: "clients get new tokens, users sign in again", Runbook: "#invalid_token-reports",
		})
	}
	return found
}

// tokenClock: tokens expire by the database's clock, resource servers judge JWTs by their own.
func tokenClock(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.Skew.Abs() < skewDatabase+s.Ping {
			return nil
		}
		way := "ahead of"
		if s.Skew < 0 {
			way = "behind"
		}
		return one(Finding{
			ID: "tokens.skew", Severity: Warning, Evidence: fmt.Sprintf("the database's clock is %s %s this machine's", rounded(s.Skew.Abs()), way),
			Cause: "one of both clocks is wrong; if it is the database's, resource servers take new JWTs for not yet valid, or live ones for expired", Fix: "timedatectl, or chronyc tracking, on both machines", Runbook: "#invalid_token-reports",
		})
	})
}
