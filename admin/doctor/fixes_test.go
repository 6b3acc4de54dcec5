package doctor

import (
	"strings"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// People paste a fix: text that strangers choose is in none.
func TestFixesHoldNothingOfStrangers(t *testing.T) {
	const odd = `x'"; $(id) #`
	f := sound()
	s := f.Database
	s.Transactions = []store.Transaction{{Name: odd, State: "prepared", Age: time.Hour}, {Name: odd, State: "active", Age: time.Hour}}
	s.Waits = []store.LockWait{{Waited: time.Hour, Application: odd, HolderApp: odd}}
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
	report := Judge(f, All)
	for _, one := range report.Findings {
		if strings.Contains(one.Fix, odd) || strings.Contains(one.Fix, "$(id)") {
			t.Errorf("%s: got %s", one.ID, one.Fix)
		}
	}
	if n := len(report.Findings); n < 30 {
		t.Errorf("got %d findings, want one of each sort", n)
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
