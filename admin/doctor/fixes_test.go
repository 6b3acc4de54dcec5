package doctor

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// odd is text that strangers choose.
const odd = `x'"; $(id) #`

// broken has a finding of nearly each sort, with names that strangers have chosen.
func broken() *Facts {
	f := sound()
	s := f.Database
	s.Transactions = []store.Transaction{{Name: odd, State: "prepared", Age: time.Hour}, {Name: odd, State: "active", Age: time.Hour}}
	s.Waits = []store.LockWait{{Waited: time.Hour, Application: odd, HolderApp: odd}}
	s.Locks = []store.Lock{{PID: 7, Application: odd, State: odd, Table: odd, Mode: odd, Held: time.Hour, Verb: odd}}
	s.Unseen = map[string]string{odd: odd}
	s.Counters.Deadlocks = 1 << 20
	s.Slots = []store.Slot{{Name: odd, Bytes: slotHoldsBad}}
	s.Standbys = []store.Standby{{Name: odd, Lag: time.Hour}}
	s.Tables = []store.Table{{Name: odd, Rows: 1, Dead: 9, Bytes: deadLarge, Indexes: 100 * indexLarge}}
	s.File = &store.File{Path: odd, PageSize: 4096, Pages: 1 << 30, Free: 1 << 30, WAL: walLarge}
	f.Kept = []store.Kept{{Kind: odd, Fault: odd, Due: retentionQueue}}
	f.Minting = &Minting{Total: 10_000, By: map[string]int{odd: 9000, "b": 1000}, Oldest: noon.Add(-time.Second), Newest: noon}
	f.Public = &Public{URL: odd, Fault: &Fault{Step: odd, Text: odd}}
	f.Keys[0].Use, f.Keys[0].Since = odd, noon.Add(-999*day)
	for i := range f.Limits {
		l := &f.Limits[i]
		l.Name, l.Mode = odd, []string{store.LimitEnforce, store.LimitBlock}[i]
		l.Stats.Total.Refused = 10_000
		l.Stats.Refused, l.Stats.Busiest = []limits.KeyStat{{Key: odd, RefusedShare: 1}}, []limits.KeyStat{{Key: odd, Requests: 10_000, Share: 1}}
	}
	for i := range f.Replicas {
		r := &f.Replicas[i]
		r.Public, r.Admin, r.Version, r.Vitals.Host = odd, odd, odd, odd
		v := &r.Vitals
		v.Ready, v.Failing, v.Redis, v.Reload, v.Issuer = false, []string{odd}, "down", odd, odd
		v.Goroutines, v.Memory, v.Heap, v.Proxy = 1<<20, 900<<20, 900<<20, store.ProxyVitals{Unbelieved: 9000, OtherHost: 9000, Host: odd}
		v.Routes[odd], v.Queries[odd] = store.WorkVitals{Count: 9000, Faults: 9000, P99: 5000}, store.WorkVitals{Count: 9000, Faults: 9000, P99: 5000}
	}
	f.Replicas[1].Seen, f.Replicas[2].Position = noon.Add(-20*time.Second), 50
	f.DatabaseFault, f.RedisFault = &Fault{Step: store.StepTCP, Text: odd}, &Fault{Step: store.StepName, Text: odd}
	f.Redis = &cache.Inspection{Nodes: []cache.Node{{Addr: odd + ":" + odd}, {Addr: odd, Ping: time.Second, Role: "slave", Fault: ""}, {Fault: odd}}}
	f.Unseen[odd] = odd
	f.Keys[1].State, f.Configured.Secrets = store.KeyRetired, []string{"new", "secret"}
	for i := range 3 {
		gone := ended(10*(i+1), false)
		gone.Vitals.Host, gone.Vitals.Fault = odd, odd
		f.Replicas = append(f.Replicas, gone)
	}
	return f
}

// on moves all replicas to a platform.
func (f *Facts) on(platform string) *Facts {
	for i := range f.Replicas {
		f.Replicas[i].Vitals.Platform = platform
	}
	return f
}

// People paste a fix: text that strangers choose is in none.
func TestFixesHoldNothingOfStrangers(t *testing.T) {
	for _, platform := range []string{"", store.PlatformKubernetes, store.PlatformCompose, store.PlatformSystemd, store.PlatformProcess} {
		report := Judge(broken().on(platform), All)
		for _, one := range report.Findings {
			if strings.Contains(one.Fix, odd) || strings.Contains(one.Fix, "$(id)") || strings.Contains(one.Fix, "%!") || strings.Contains(one.Fix, "%s") {
				t.Errorf("%s: %s: got %s", platform, one.ID, one.Fix)
			}
		}
		if n := len(report.Findings); n < 40 {
			t.Errorf("%s: got %d findings, want one of each sort", platform, n)
		}
	}
}

// tools are those of one platform each.
var tools = map[string]string{
	"kubectl ": store.PlatformKubernetes, "POD": store.PlatformKubernetes, "docker ": store.PlatformCompose,
	"systemctl ": store.PlatformSystemd, "journalctl ": store.PlatformSystemd,
}

// A fix is of the platform of the servers, and of no other one.
func TestFixesAreOfThePlatform(t *testing.T) {
	for _, platform := range []string{store.PlatformKubernetes, store.PlatformCompose, store.PlatformSystemd, store.PlatformProcess} {
		f := broken().on(platform)
		text := ""
		for _, one := range Judge(f, All).Findings {
			text += one.ID + ": " + one.Fix + "\n"
		}
		do := reflect.ValueOf(f.commands(&f.Replicas[0])).Elem()
		for field, value := range do.Fields() {
			text += field.Name + ": " + value.String() + "\n"
			if optional := field.Name == "operators" || field.Name == "secret"; value.String() == "" && !optional {
				t.Errorf("%s: %s is empty", platform, field.Name)
			}
		}
		for tool, of := range tools {
			if strings.Contains(text, tool) != (of == platform) {
				t.Errorf("%s: %q is to be in it only with %s:\n%s", platform, tool, of, text)
			}
		}
	}
}

func TestElsewhere(t *testing.T) {
	f := func(fix, want string) {
		t.Helper()
		if got := elsewhere(fix, []string{Database, All}); got != want {
			t.Errorf("%s: got %s, want %s", fix, got, want)
		}
	}
	f("oauth2-server doctor database; a", "a")
	f("a; oauth2-server doctor all", "a")
	f("oauth2-server doctor database", "mend what else is found here first")
	f("oauth2-server doctor latency; oauth2-server migrate", "oauth2-server doctor latency; oauth2-server migrate")
}

// Whoever reads a finding has looked into the scenario that shows it.
func TestFixesLeadElsewhere(t *testing.T) {
	for _, asked := range append([]string{All}, Scenarios...) {
		for _, one := range Judge(broken(), asked).Findings {
			for _, shown := range []string{asked, one.Scenario} {
				if slices.Contains(strings.Split(one.Fix, "; "), "oauth2-server doctor "+shown) || one.Fix == "" {
					t.Errorf("%s: %s of %s: got %q", asked, one.ID, one.Scenario, one.Fix)
				}
			}
		}
	}
}

func TestWord(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := word(text, "NAME"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("pod-1.example_2:8080", "pod-1.example_2:8080")
	f("2001:db8::/64", "2001:db8::/64")
	f("", "NAME")
	f("-rf", "NAME")
	f("a b", "NAME")
	f("a\n", "NAME")
	f("größe", "NAME")
}
