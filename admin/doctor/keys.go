package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

const (
	keyAgeInfo    = 90 * 24 * time.Hour
	keyAgeWarning = 365 * 24 * time.Hour
	overdueSlack  = time.Hour       // the upkeep of keys runs every minute, where a replica runs
	madeBehind    = 2 * time.Minute // keys of id_tokens are made behind the first start: RSA takes its time
	numbersFew    = 10              // of 255: each rotation takes one for up to a year
)

// stock is the keys of which there is always an active and a next one.
func (f *Facts) stock() []store.Key {
	wanted := []store.Key{{Use: store.UseMAC, Alg: store.AlgMAC}}
	add := func(alg string) {
		if alg != string(keys.HS256) && alg != "" && !slices.ContainsFunc(wanted, func(k store.Key) bool { return k.Alg == alg }) {
			wanted = append(wanted, store.Key{Use: store.UseSign, Alg: alg})
		}
	}
	add(f.Configured.Alg)
	if alive := f.alive(); len(alive) > 0 && f.Now.Sub(alive[len(alive)-1].Started) > madeBehind {
		for _, alg := range keys.IDTokenAlgs() {
			add(string(alg))
		}
	}
	return wanted
}

func keyMissing(f *Facts) []Finding {
	if f.Unseen["keys"] != "" || len(f.Keys) == 0 && len(f.Replicas) == 0 {
		return nil // before the first start there are none
	}
	var found []Finding
	for _, want := range f.stock() {
		for _, state := range []string{store.KeyActive, store.KeyNext} {
			if slices.ContainsFunc(f.Keys, func(k store.Key) bool { return k.Use == want.Use && k.Alg == want.Alg && k.State == state }) {
				continue
			}
			found = append(found, missingKey(f, &want, state))
		}
	}
	return found
}

func missingKey(f *Facts, want *store.Key, state string) Finding {
	found := Finding{
		ID: "keys.missing", Severity: Warning, Evidence: fmt.Sprintf("the ring has no %s %s key of %s", state, want.Use, want.Alg),
		Cause: "a server makes what its ring lacks at its start, with its own OAUTH2_JWT_ALG: none has, or this is another algorithm than the servers'",
		Fix:   "oauth2-server keys list; " + f.commands(nil).restart, Runbook: "#rotate-signing-material",
	}
	if state == store.KeyActive {
		found.Severity = Critical
	}
	return found
}

func keyOld(f *Facts) []Finding {
	var found []Finding
	for i := range f.Keys {
		k := &f.Keys[i]
		age := f.Now.Sub(since(k))
		if k.State != store.KeyActive || age < keyAgeInfo {
			continue
		}
		severity := Info
		if age >= keyAgeWarning {
			severity = Warning
		}
		found = append(found, Finding{
			ID: "keys.old", Severity: severity, Evidence: fmt.Sprintf("the %s key %s of %s is active for %s", k.Use, k.ID, k.Alg, rounded(age)),
			Cause: "it was not rotated: the longer a key is in use, the more is lost when it leaks", Fix: "oauth2-server keys rotate --use " + word(k.Use, "USE"), Runbook: "#rotate-signing-material",
		})
	}
	return found
}

// since is when a key came into its state.
func since(k *store.Key) time.Time {
	if k.Since.IsZero() {
		return k.Created
	}
	return k.Since
}

func keyOverdue(f *Facts) []Finding {
	var found []Finding
	for i := range f.Keys {
		k := &f.Keys[i]
		if k.State != store.KeyRetiring || k.Until.IsZero() || f.Now.Sub(k.Until) < overdueSlack || len(f.alive()) == 0 {
			continue
		}
		found = append(found, Finding{
			ID: "keys.overdue", Severity: Warning, Evidence: fmt.Sprintf("the %s key %s should be retired since %s", k.Use, k.ID, ago(f.Now, k.Until)),
			Cause: "no replica could do the upkeep of the ring: the log says why", Fix: fmt.Sprintf(f.commands(nil).search, "upkeep of the key ring"), Runbook: "#rotate-signing-material",
		})
	}
	return found
}

func secretsDiffer(f *Facts) []Finding {
	return secretDiffers(f, func(v *store.Vitals) []string { return v.Secrets }, "OAUTH2_JWT_SECRET",
		Finding{ID: "keys.secrets", Cause: "keys that one makes the other cannot open, and so refuses their tokens", Runbook: "#rotate-signing-material"})
}

// keyUnsealed looks at the seals, whose names are those of secrets. It needs OAUTH2_JWT_SECRET as the servers have it.
func keyUnsealed(f *Facts) []Finding {
	var closed, old []string
	for i := range f.Keys {
		k := &f.Keys[i]
		opens := func(name string) bool { return k.Seals[name] != nil }
		switch {
		case k.State == store.KeyRetired || len(f.Configured.Secrets) == 0:
		case !slices.ContainsFunc(f.Configured.Secrets, opens):
			closed = append(closed, k.ID.String())
		case !opens(f.Configured.Secrets[0]):
			old = append(old, k.ID.String())
		}
	}
	var found []Finding
	if len(closed) > 0 {
		found = append(found, Finding{
			ID: "keys.sealed", Severity: Critical, Evidence: fmt.Sprintf("%d keys are opened by no secret that is given here: %s", len(closed), strings.Join(closed, ", ")),
			Cause: "OAUTH2_JWT_SECRET was replaced instead of extended, or is another one here than on the servers",
			Fix:   "OAUTH2_JWT_SECRET=\"new,old\" on every replica; where the old one is lost: oauth2-server keys reset, which revokes everything", Runbook: "#rotate-signing-material",
		})
	}
	if len(old) > 0 {
		found = append(found, Finding{
			ID: "keys.unsealed", Severity: Warning, Evidence: fmt.Sprintf("%d keys are not sealed with the first secret yet: %s", len(old), strings.Join(old, ", ")),
			Cause: "a server seals them anew when it starts with, or reloads, the new secret: until then the old one may not be taken away",
			Fix:   f.commands(nil).restart + "; oauth2-server keys list", Runbook: "#rotate-signing-material",
		})
	}
	return found
}

// oldSecrets looks for seals of secrets that no server has any more. The servers take them away by themselves.
func oldSecrets(f *Facts) []Finding {
	had := slices.Clone(f.Configured.Secrets)
	for _, r := range f.alive() {
		had = append(had, r.Vitals.Secrets...)
	}
	count, old := 0, map[string]bool{}
	for i := range f.Keys {
		names := slices.DeleteFunc(slices.Collect(maps.Keys(f.Keys[i].Seals)), func(name string) bool { return slices.Contains(had, name) })
		if len(names) == 0 || len(names) == len(f.Keys[i].Seals) {
			continue // what no given secret opens is told by keyUnsealed
		}
		count++
		for _, name := range names {
			old[name] = true
		}
	}
	if count == 0 {
		return nil
	}
	return one(Finding{
		ID: "keys.old_secrets", Severity: Info,
		Evidence: fmt.Sprintf("%d keys are opened as well by secrets that no server has: %s", count, strings.Join(slices.Sorted(maps.Keys(old)), ", ")),
		Cause:    "an OAUTH2_JWT_SECRET was dropped; the servers take its seals away an hour after the last of them that had it was seen", Fix: "oauth2-server keys list", Runbook: "#rotate-signing-material",
	})
}

func numbersLeft(f *Facts) []Finding {
	taken := map[int]bool{}
	for _, k := range f.Keys {
		if k.Use == store.UseMAC && k.State != store.KeyRetired {
			taken[k.Number] = true
		}
	}
	left := 255 - len(taken)
	if left >= numbersFew {
		return nil
	}
	return one(Finding{
		ID: "keys.numbers", Severity: Warning, Evidence: fmt.Sprintf("%d of 255 numbers of MAC keys are left", left),
		Cause: "keys of opaque tokens are rotated faster than they retire: each keeps its number for as long as its refresh tokens may live",
		Fix:   "rotate them less often: oauth2-server keys rotate --use sign", Runbook: "#rotate-signing-material",
	})
}

// notPublished: who verifies JWTs must have seen a key before it signs.
func notPublished(f *Facts) []Finding {
	if f.Public == nil || f.Public.Fault != nil || f.Public.Keys == nil {
		return nil
	}
	var found []Finding
	for i := range f.Keys {
		k := &f.Keys[i]
		signs := k.Use == store.UseSign && (k.State == store.KeyActive || k.State == store.KeyNext)
		if !signs || slices.Contains(f.Public.Keys, k.ID.String()) || f.Now.Sub(k.Created) < madeBehind {
			continue
		}
		severity := Warning
		if k.State == store.KeyActive {
			severity = Critical
		}
		found = append(found, Finding{
			ID: "keys.not_published", Severity: severity, Evidence: fmt.Sprintf("the %s key %s of %s is not among the %d keys of %s", k.State, k.ID, k.Alg, len(f.Public.Keys), f.Public.URL),
			Cause: "a cache in front serves an old JWKS, the replica behind it does not follow the feed or cannot open the key, or the URL leads to another server",
			Fix:   "curl -si " + word(f.Public.URL, "URL") + "/.well-known/jwks.json", Runbook: "#rotate-signing-material",
		})
	}
	return found
}

func otherIssuer(f *Facts) []Finding {
	found := []Finding{}
	issuers, count := kinds(f.alive(), func(r *store.Replica) string { return r.Vitals.Issuer })
	if len(issuers) > 1 {
		var parts []string
		for _, issuer := range issuers {
			parts = append(parts, fmt.Sprintf("%s on %d", issuer, count[issuer]))
		}
		found = append(found, Finding{
			ID: "keys.issuers", Severity: Critical, Evidence: "replicas have different issuers: " + strings.Join(parts, ", "),
			Cause: "OAUTH2_SERVER_PUBLIC_BASE_URL is not the same on every replica: JWTs of one are refused by the other",
			Fix:   "set OAUTH2_SERVER_PUBLIC_BASE_URL, the same on every replica", Runbook: "#invalid_token-reports",
		})
	}
	p, want := f.Public, f.Configured.Issuer
	if p == nil || p.Fault != nil || want == "" || p.Issuer == want {
		return found
	}
	return append(found, Finding{
		ID: "keys.issuer", Severity: Critical, Evidence: fmt.Sprintf("%s says that its issuer is %q, configured is %q", p.URL, p.Issuer, want),
		Cause: "the URL leads to another server, or OAUTH2_SERVER_PUBLIC_BASE_URL is another here than on the servers: clients refuse tokens of an issuer they do not expect",
		Fix:   "curl -s " + word(p.URL, "URL") + "/.well-known/openid-configuration; oauth2-server config check", Runbook: "#invalid_token-reports",
	})
}
