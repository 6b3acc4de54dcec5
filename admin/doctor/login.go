package doctor

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"oauth2-server/store"
)

const (
	wrongMany   = 20 // passwords of the last minute, below which a share says nothing
	wrongShare  = .5 // people mistype one in ten
	limitedMany = 10
	strayMost   = .5  // of the requests of a replica: then the way to it is not as it was told
	straySome   = .01 // below it they are of somebody who sends what he likes
)

// secretsOf compares what replicas seal with to what the others open.
func secretsOf(f *Facts, of func(v *store.Vitals) []string) (unreadable, differing string) {
	alive := f.alive()
	for i := range alive {
		for j := range alive {
			mine, theirs := of(&alive[i].Vitals), of(&alive[j].Vitals)
			switch {
			case len(mine) == 0 || len(theirs) == 0:
			case !slices.Contains(theirs, mine[0]):
				unreadable = fmt.Sprintf("%s seals with %s, which %s does not open", place(&alive[i]), mine[0], place(&alive[j]))
			case mine[0] != theirs[0]:
				differing = fmt.Sprintf("%s seals with %s, %s with %s; both open both", place(&alive[i]), mine[0], place(&alive[j]), theirs[0])
			}
		}
	}
	return unreadable, differing
}

func sessionKeysDiffer(f *Facts) []Finding {
	return secretDiffers(f, func(v *store.Vitals) []string { return v.SessionKeys }, "OAUTH2_SESSION_KEY",
		Finding{ID: "login.session_keys", Cause: "who signs in on one is a stranger to the other", Runbook: "#admin-or-login-failures"})
}

// secretDiffers is the finding that a secret is not the same on every replica, with what comes of it as its cause; that it is being changed is no fault.
func secretDiffers(f *Facts, of func(*store.Vitals) []string, variable string, found Finding) []Finding {
	unreadable, differing := secretsOf(f, of)
	found.Fix = "give every replica the same " + variable + ": " + f.commands(nil).restart
	switch {
	case unreadable != "":
		found.Severity, found.Evidence = Critical, unreadable+" (fingerprints)"
		found.Cause = variable + " is not the same on every replica: " + found.Cause
	case differing != "":
		found.Severity, found.Evidence, found.Cause = Info, differing+" (fingerprints)", variable+" is being changed"
	default:
		return nil
	}
	return one(found)
}

// attempts adds up the logins of the last minute of all replicas, by outcome.
func attempts(f *Facts) (by map[string]int64, total int64) {
	by = map[string]int64{}
	for _, r := range f.alive() {
		for outcome, n := range r.Vitals.Logins {
			by[outcome] += n
			total += n
		}
	}
	return by, total
}

func loginsWrong(f *Facts) []Finding {
	by, total := attempts(f)
	if by["wrong"] < wrongMany || share(by["wrong"], total) < wrongShare {
		return nil
	}
	return one(Finding{
		ID: "login.wrong", Severity: Warning, Evidence: fmt.Sprintf("%d of %d logins of the last minute had a wrong name or password", by["wrong"], total),
		Cause: "somebody tries passwords, or a program has an old one", Fix: "oauth2-server limits list; oauth2-server limits stats NAME, for those of the endpoint login", Runbook: "#admin-or-login-failures",
	})
}

func loginsLimited(f *Facts) []Finding {
	by, total := attempts(f)
	if by["limited"] < limitedMany {
		return nil
	}
	return one(Finding{
		ID: "login.limited", Severity: Warning, Evidence: fmt.Sprintf("%d of %d logins of the last minute were refused by a limit", by["limited"], total),
		Cause: "somebody tries passwords, or people share an address: a proxy that is not trusted, an office",
		Fix:   "oauth2-server limits list; oauth2-server limits stats NAME, for those of the endpoint login", Runbook: "#admin-or-login-failures",
	})
}

func loginsFail(f *Facts) []Finding {
	by, total := attempts(f)
	if by["fault"] == 0 {
		return nil
	}
	return one(Finding{
		ID: "login.fault", Severity: Warning, Evidence: fmt.Sprintf("%d of %d logins of the last minute could not be checked", by["fault"], total),
		Cause: "the database failed, or more passwords waited to be hashed than there is room for", Fix: "oauth2-server doctor database", Runbook: "#admin-or-login-failures",
	})
}

func hasherBusy(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		h := r.Vitals.Hasher
		found := Finding{
			ID: "login.hasher", Severity: Warning, Runbook: "#admin-or-login-failures",
			Evidence: fmt.Sprintf("%d of %d places hash passwords on %s, %d wait, %d were turned away in the last minute", h.Working, h.Places, place(r), h.Waiting, h.Busy),
			Cause:    "more people sign in, or more passwords are tried, than half of the processors can hash",
			Fix:      "oauth2-server limits list, for those of the endpoint login; " + f.commands(r).more,
		}
		switch {
		case h.Busy > 0:
			return &found
		case h.Places > 0 && h.Working == h.Places && h.Waiting > h.Places:
			found.Severity = Info
			return &found
		}
		return nil
	})
}

// noAdmin is no finding before the first start, which makes one.
func noAdmin(f *Facts) []Finding {
	if f.Admins == nil || *f.Admins > 0 || len(f.Replicas) == 0 {
		return nil
	}
	return one(Finding{
		ID: "login.no_admin", Severity: Critical, Evidence: "0 enabled users have the role admin",
		Cause: "every operator was disabled or deleted: nobody can sign in on the operators' listener", Fix: "oauth2-server user create --username NAME --role admin, or oauth2-server user enable NAME", Runbook: "#admin-or-login-failures",
	})
}

// stray is how bad it is that so many requests of the last minute came in an odd way, and which part of all they are: anybody can
// send some. "" is not at all.
func stray(r *store.Replica, odd int64) (Severity, float64) {
	total := int64(0)
	for route, work := range r.Vitals.Routes {
		if !isProbe(route) {
			total += work.Count
		}
	}
	part := share(odd, max(odd, total))
	switch {
	case odd >= enough && part > strayMost:
		return Warning, part
	case part > straySome:
		return Info, part
	}
	return "", part
}

func proxyUnbelieved(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		p := r.Vitals.Proxy
		severity, part := stray(r, p.Unbelieved)
		if severity == "" {
			return nil
		}
		cause := "a proxy in front is not trusted: limits, audit and lockouts see its address instead of the clients'"
		if p.Trusted {
			cause = "headers of proxies are believed, but not those of all that send them: one is missing in the list, or clients send them themselves"
		}
		return &Finding{
			ID: "login.proxy", Severity: severity, Evidence: fmt.Sprintf("about %d requests (%s) of the last minute had headers of a proxy that %s does not believe", p.Unbelieved, percent(part), place(r)),
			Cause: cause, Fix: "OAUTH2_SERVER_TRUST_PROXY_HEADERS=true and OAUTH2_TRUSTED_PROXIES=NETWORK", Runbook: "#too-many-rate-limit-rejections",
		}
	})
}

func otherHost(f *Facts) []Finding {
	return f.each(func(r *store.Replica) *Finding {
		p := r.Vitals.Proxy
		severity, part := stray(r, p.OtherHost)
		if severity == "" {
			return nil
		}
		return &Finding{
			ID: "login.other_host", Severity: severity, Evidence: fmt.Sprintf("about %d requests (%s) of the last minute came to %s for another host than the issuer's, the last for %q", p.OtherHost, percent(part), place(r), p.Host),
			Cause: "clients or a proxy use a name that OAUTH2_SERVER_PUBLIC_BASE_URL does not have: cookies, redirects and the issuer of tokens do not fit it",
			Fix:   "let the proxy pass on the header Host, or set OAUTH2_SERVER_PUBLIC_BASE_URL to the name that is used", Runbook: "#admin-or-login-failures",
		}
	})
}

func publicInsecure(f *Facts) []Finding {
	issuers, _ := kinds(f.alive(), func(r *store.Replica) string { return r.Vitals.Issuer })
	if f.Configured.Issuer != "" && !slices.Contains(issuers, f.Configured.Issuer) {
		issuers = append(issuers, f.Configured.Issuer)
	}
	var found []Finding
	for _, issuer := range issuers {
		if !strings.HasPrefix(issuer, "http://") || isLocal(issuer) {
			continue
		}
		found = append(found, Finding{
			ID: "login.insecure", Severity: Warning, Evidence: "the public URL is " + issuer,
			Cause: "passwords, codes and tokens cross the network in clear, and browsers keep no cookie that is sealed for https",
			Fix:   "OAUTH2_SERVER_PUBLIC_BASE_URL=https://…, with OAUTH2_TLS_CERT_FILE or a proxy that speaks TLS", Runbook: "#admin-or-login-failures",
		})
	}
	return found
}

// isLocal reports whether a URL stays on this machine.
func isLocal(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}
