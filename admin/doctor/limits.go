package doctor

import (
	"fmt"
	"strings"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

const (
	refusedMany  = 100 // of the last ten minutes: fewer are an accident
	refusedShare = .05 // of all requests of the limit
	oneKeyMost   = .5  // of the refusals: then it is about that key, not about the limit
	oneAddress   = .95 // of all requests: clients have no addresses of their own here
)

// limitRefuses names the limits with many refusals, and whom they hit.
func limitRefuses(f *Facts) []Finding {
	var found []Finding
	for i := range f.Limits {
		l := &f.Limits[i]
		total := l.Stats.Total
		part := share(total.Refused, total.Refused+total.Allowed)
		if l.Mode != store.LimitEnforce || total.Refused < refusedMany || part < refusedShare {
			continue
		}
		cause, fix := "many keys are above it: the limit is too low for today's traffic, or an attack comes from many", "oauth2-server limits stats "+word(l.Name, "NAME")+"; oauth2-server limits trial "+word(l.Name, "NAME")+" --rate N/PERIOD"
		if top := l.Stats.Refused; len(top) > 0 && top[0].RefusedShare > oneKeyMost {
			cause = fmt.Sprintf("most of it is one %s: a client in a loop, an attack, or a customer who needs more", l.Key)
			fix = "oauth2-server limits stats " + word(l.Name, "NAME") + "; oauth2-server limits override " + word(l.Name, "NAME") + " KEY --rate N/PERIOD"
		}
		found = append(found, Finding{
			ID: "limits.refusals", Severity: Warning, Evidence: fmt.Sprintf("%s refused %d of %d requests (%s) in ten minutes%s", l.Name, total.Refused, total.Refused+total.Allowed, percent(part), whom(l.Stats.Refused)),
			Cause: cause, Fix: fix, Runbook: "#too-many-rate-limit-rejections",
		})
	}
	return found
}

// whom names the three keys that are refused most.
func whom(top []limits.KeyStat) string {
	var parts []string
	for _, k := range top[:min(len(top), 3)] {
		parts = append(parts, fmt.Sprintf("%s %d", k.Key, k.Refused))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; most of them " + strings.Join(parts, ", ")
}

// limitOneAddress: a limit by address that sees one address sees a proxy.
func limitOneAddress(f *Facts) []Finding {
	unbelieved := int64(0)
	for _, r := range f.alive() {
		unbelieved += r.Vitals.Proxy.Unbelieved
	}
	var found []Finding
	for i := range f.Limits {
		l := &f.Limits[i]
		top, total := l.Stats.Busiest, l.Stats.Total
		if l.Key != store.LimitByIP || unbelieved == 0 || len(top) == 0 || top[0].Requests < refusedMany || top[0].Share < oneAddress {
			continue
		}
		found = append(found, Finding{
			ID: "limits.one_address", Severity: Warning, Evidence: fmt.Sprintf("%s of %d requests of %s come from %s, with headers of a proxy that are not believed", percent(top[0].Share), total.Allowed+total.Refused, l.Name, top[0].Key),
			Cause: "a proxy in front is not trusted, so all clients share its address and its limit",
			Fix:   "OAUTH2_SERVER_TRUST_PROXY_HEADERS=true and OAUTH2_TRUSTED_PROXIES=" + word(top[0].Key, "NETWORK") + ", if that is the proxy", Runbook: "#too-many-rate-limit-rejections",
		})
	}
	return found
}

func limitShadow(f *Facts) []Finding {
	var found []Finding
	for i := range f.Limits {
		l := &f.Limits[i]
		total := l.Stats.Total
		part := share(total.Would, total.Allowed)
		if l.Mode != store.LimitShadow || total.Would < refusedMany || part < refusedShare {
			continue
		}
		found = append(found, Finding{
			ID: "limits.shadow", Severity: Info, Evidence: fmt.Sprintf("%s would refuse %d of %d requests (%s) in ten minutes%s", l.Name, total.Would, total.Allowed, percent(part), whom(l.Stats.Refused)),
			Cause: "the limit is in shadow: it refuses nothing yet, and would refuse many", Fix: "oauth2-server limits stats " + word(l.Name, "NAME"), Runbook: "#too-many-rate-limit-rejections",
		})
	}
	return found
}

func limitBlocks(f *Facts) []Finding {
	var found []Finding
	for i := range f.Limits {
		l := &f.Limits[i]
		if l.Mode != store.LimitBlock {
			continue
		}
		severity := Info // somebody wants it
		if l.Stats.Total.Refused > 0 {
			severity = Warning
		}
		found = append(found, Finding{
			ID: "limits.block", Severity: severity, Evidence: fmt.Sprintf("%s refuses every request of %s: %d in ten minutes", l.Name, l.Endpoint, l.Stats.Total.Refused),
			Cause: "its mode is block since " + l.Updated.UTC().Format("2006-01-02 15:04:05 UTC"), Fix: "oauth2-server limits rollback " + word(l.Name, "NAME"), Runbook: "#too-many-rate-limit-rejections",
		})
	}
	return found
}

func limitFallback(f *Facts) []Finding {
	alone, alive := withoutRedis(f)
	if len(alone) == 0 {
		return nil
	}
	return one(Finding{
		ID: "limits.fallback", Severity: Warning, Evidence: fmt.Sprintf("%d of %d replicas count limits by themselves: %s", len(alone), len(alive), places(alone)),
		Cause: "Redis cannot be used: each replica takes its part of a limit, and a client that meets one replica only is refused too early",
		Fix:   "oauth2-server doctor health", Runbook: "#too-many-rate-limit-rejections",
	})
}
