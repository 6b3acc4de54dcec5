package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func id(n byte) store.ID { return store.ID{15: n} }

// healthy is a cluster of three replicas that have run for two days.
func healthy() *Facts {
	f := &Facts{Now: noon, Local: noon, Unseen: map[string]string{}, Admins: new(1)}
	for i := range byte(3) {
		f.Replicas = append(f.Replicas, newReplica(i))
	}
	n := byte(10)
	add := func(use, alg string) {
		for _, state := range []string{store.KeyActive, store.KeyNext} {
			n++
			f.Keys = append(f.Keys, store.Key{
				ID: id(n), Number: int(n), Use: use, Alg: alg, State: state, Created: noon.Add(-48 * time.Hour), Seals: map[string][]byte{"secret": {1}},
			})
		}
	}
	add(store.UseMAC, store.AlgMAC)
	add(store.UseSign, "ES256")
	for _, alg := range keys.IDTokenAlgs() {
		if alg != keys.ES256 {
			add(store.UseSign, string(alg))
		}
	}
	f.Configured = Configured{Issuer: "https://auth.example.com", Alg: "ES256", Secrets: []string{"secret"}}
	f.Public = &Public{URL: "https://auth.example.com", Issuer: "https://auth.example.com", TLSUntil: noon.Add(60 * 24 * time.Hour)}
	for _, k := range f.Keys {
		if k.Use == store.UseSign {
			f.Public.Keys = append(f.Public.Keys, k.ID.String())
		}
	}
	f.Limits = []LimitFacts{newLimit("token-ip", store.LimitByIP), newLimit("token-client", store.LimitByClient)}
	return f
}

func newReplica(i byte) store.Replica {
	return store.Replica{
		ID: id(i), Version: "v1.2.0", Started: noon.Add(-48 * time.Hour), Seen: noon.Add(-time.Duration(i) * time.Second),
		Public: "0.0.0.0:8080", Admin: "0.0.0.0:8081", Fence: 40, Position: 100,
		Vitals: store.Vitals{
			Revision: "3f1c0a", Go: "go1.26", Host: fmt.Sprintf("pod-%d", i), Ready: true, Issuer: "https://auth.example.com", Config: "cafe",
			Secrets: []string{"secret"}, SessionKeys: []string{"session"}, TLSUntil: noon.Add(60 * 24 * time.Hour), Skew: 3, Redis: "up",
			Processors: 2, CPUQuota: 2, CPUShare: .4, Memory: 300 << 20, MemoryThen: 290 << 20, MemoryLimit: 1 << 30, Heap: 100 << 20, HeapThen: 90 << 20,
			Goroutines: 300, GCShare: .02, Files: 100, FilesLimit: 1 << 20, DenySet: 1000,
			Queries: map[string]store.WorkVitals{"insert_tokens": {Count: 5000, P50: 1, P99: 5}},
			Routes:  map[string]store.WorkVitals{"/oauth/token": {Count: 5000, P50: 2, P99: 10}, "/oauth/introspect": {Count: 9000, P50: .1, P99: 1, Faults: 3}},
			Logins:  map[string]int64{"ok": 30, "wrong": 3}, Hasher: store.HasherVitals{Places: 1, Working: 1},
			Proxy: store.ProxyVitals{Trusted: true},
		},
	}
}

func newLimit(name, by string) LimitFacts {
	return LimitFacts{
		store.Limit{Name: name, Endpoint: "token", Key: by, Mode: store.LimitEnforce, Updated: noon},
		limits.Stats{
			Total: limits.Totals{Allowed: 10_000, Refused: 20}, Refused: []limits.KeyStat{{Key: "a", Refused: 20, RefusedShare: 1}},
			Busiest: []limits.KeyStat{{Key: "198.51.100.7", Requests: 300, Share: .03}},
		},
	}
}

// found is "ID severity" of each finding of all scenarios.
func found(f *Facts) []string {
	all := []string{}
	for _, one := range Judge(f, All).Findings {
		all = append(all, one.ID+" "+string(one.Severity))
	}
	return all
}

func TestHealthyClusterHasNoFinding(t *testing.T) {
	if got := found(healthy()); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

// Each case breaks one thing of a healthy cluster: exactly its findings come of it, with the figure in the evidence.
func TestFindings(t *testing.T) {
	first := func(f *Facts) *store.Replica { return &f.Replicas[0] }
	each := func(change func(v *store.Vitals)) func(f *Facts) {
		return func(f *Facts) {
			for i := range f.Replicas {
				change(&f.Replicas[i].Vitals)
			}
		}
	}
	vitals := func(change func(v *store.Vitals)) func(f *Facts) { return func(f *Facts) { change(&first(f).Vitals) } }
	for _, c := range []struct {
		name     string
		spoil    func(f *Facts)
		evidence string
		want     []string
	}{
		{"a part unseen", func(f *Facts) { f.Unseen["users"], f.Unseen["keys"] = "no answer in time", "no answer in time" }, "keys, users: no answer", []string{"health.unseen warning"}},
		{"never a replica", func(f *Facts) { f.Replicas = nil }, "7 days", []string{"health.no_replica info"}},
		{"all gone", func(f *Facts) {
			for i := range f.Replicas {
				f.Replicas[i].Vitals.Ended, f.Replicas[i].Seen = noon.Add(-2*time.Hour), noon.Add(-2*time.Hour)
			}
		}, "2h ago and ended in good order", []string{"health.no_replica critical"}},
		{"not ready", vitals(func(v *store.Vitals) { v.Ready, v.Failing = false, []string{"database: connect"} }), "database: connect", []string{"health.not_ready critical"}},
		{"draining", vitals(func(v *store.Vitals) {
			v.Ready, v.Draining, v.Failing = false, true, []string{"process: shutting down"}
		}), "shutting down", []string{"health.not_ready info"}},
		{"ends by itself", vitals(func(v *store.Vitals) {
			v.Ready, v.Draining, v.Failing, v.Fault = false, true, []string{"process: shutting down"}, "open the key ring: no secret"
		}), "ends by itself: open the key ring: no secret it refused to start", []string{"health.not_ready critical"}},
		{"has ended by itself", func(f *Facts) { // notReady tells it
			first(f).Vitals.Ready, first(f).Vitals.Fault, first(f).Seen = false, "no secret", noon.Add(-16*time.Second)
		}, "ends by itself", []string{"health.not_ready critical"}},
		{"all gone by themselves", func(f *Facts) {
			for i := range f.Replicas {
				f.Replicas[i].Vitals.Fault, f.Replicas[i].Seen = "no secret", noon.Add(-2*time.Hour)
			}
		}, "ended by itself: no secret", []string{"health.no_replica critical"}},
		{"not ready yet", func(f *Facts) { first(f).Started, first(f).Vitals.Ready = noon.Add(-29*time.Second), false }, "pod-0", []string{"health.not_ready info", "deploy.recent info"}},
		{"an older version says nothing", func(f *Facts) { first(f).Vitals = store.Vitals{} }, "", []string{"deploy.versions warning"}},
		{"fence at its bound", func(f *Facts) { first(f).Fence = 1000 }, "", nil},
		{"fence", func(f *Facts) { first(f).Fence = 1001 }, "1.001s", []string{"health.fence critical"}},
		{"behind", func(f *Facts) { first(f).Position, f.Replicas[2].Seen = 99, noon.Add(-3*time.Second) }, "position 99", []string{"health.feed_behind critical"}},
		{"behind by the time between", func(f *Facts) { f.Replicas[2].Position = 99 }, "", nil},
		{"skew", vitals(func(v *store.Vitals) { v.Skew = -501 }), "-501ms", []string{"health.clock_skew warning"}},
		{"much skew", vitals(func(v *store.Vitals) { v.Skew = 2001 }), "2.001s", []string{"health.clock_skew critical"}},
		{"silent", func(f *Facts) { first(f).Seen = noon.Add(-16 * time.Second) }, "16s", []string{"health.replica_silent warning"}},
		{"no Redis", each(func(v *store.Vitals) { v.Redis = "down" }), "3 of 3", []string{"health.redis_down warning", "limits.fallback warning"}},
		{"public URL away", func(f *Facts) { f.Public = &Public{URL: "https://a", Fault: &Fault{"tcp", "refused"}} }, "fails at tcp: refused", []string{"health.public_unreachable warning"}},

		{"slow token", vitals(func(v *store.Vitals) { v.Routes["/oauth/token"] = store.WorkVitals{Count: 200, P99: 1000} }), "1s", []string{"latency.token_slow warning"}},
		{"very slow token", vitals(func(v *store.Vitals) { v.Routes["/oauth/token"] = store.WorkVitals{Count: 200, P99: 5000} }), "5s", []string{"latency.token_slow critical"}},
		{"few slow tokens", vitals(func(v *store.Vitals) { v.Routes["/oauth/token"] = store.WorkVitals{Count: 199, P99: 1000} }), "", nil},
		{"errors", each(func(v *store.Vitals) { v.Routes["/oauth/token"] = store.WorkVitals{Count: 5000, Faults: 500} }), "on /oauth/token (1500)", []string{"latency.errors warning"}},
		{"many errors", each(func(v *store.Vitals) { v.Routes["/oauth/token"] = store.WorkVitals{Count: 5000, Faults: 1500} }), "10.7%", []string{"latency.errors critical"}},
		{"not ready answers", each(func(v *store.Vitals) { v.Routes["/ready"] = store.WorkVitals{Count: 5000, Faults: 5000, P99: 5000} }), "", nil},
		{"slow page", vitals(func(v *store.Vitals) { v.Routes["/auth/login"] = store.WorkVitals{Count: 200, P99: 2500} }), "2.5s", []string{"latency.route_slow warning"}},
		{"processor", vitals(func(v *store.Vitals) { v.CPUShare = .95 }), "95.0% of 2", []string{"latency.cpu warning"}},
		{"throttled", vitals(func(v *store.Vitals) { v.Throttled = .2 }), "20.0%", []string{"latency.throttled warning"}},
		{"too many threads", vitals(func(v *store.Vitals) { v.Processors = 16 }), "GOMAXPROCS is 16", []string{"latency.gomaxprocs warning"}},
		{"too few threads", vitals(func(v *store.Vitals) { v.CPUQuota, v.Processors = 8, 2 }), "limit 8", []string{"latency.gomaxprocs warning"}},
		{"half a processor", vitals(func(v *store.Vitals) { v.CPUQuota = .5 }), "", nil},
		{"collector of an idle one", vitals(func(v *store.Vitals) { v.GCShare, v.CPUShare = .5, .2 }), "", nil},
		{"collector", vitals(func(v *store.Vitals) { v.GCShare = .11 }), "11.0%", []string{"memory.gc warning"}},

		{"left behind", func(f *Facts) { first(f).Version = "v1.1.0" }, "v1.1.0 (3f1c0a) on 1", []string{"deploy.versions warning"}},
		{"rollout", func(f *Facts) { first(f).Version, first(f).Started = "v1.3.0", noon.Add(-9*time.Minute) }, "9m ago", []string{"deploy.versions info", "deploy.recent info"}},
		{"settings", vitals(func(v *store.Vitals) { v.Config = "beef" }), "pod-0", []string{"deploy.config_differs warning"}},
		{"settings that are told", func(f *Facts) {
			for i := range f.Replicas {
				f.Replicas[i].Vitals.Settings = map[string]string{"OAUTH2_JWT_ALG": "1", "OAUTH2_REFRESH_GRACE": "2", "OAUTH2_NEW": "3"}
			}
			v := &first(f).Vitals
			v.Config, v.Settings = "beef", map[string]string{"OAUTH2_JWT_ALG": "0", "OAUTH2_REFRESH_GRACE": "2", "OAUTH2_OLD": "4"}
		}, "they differ in OAUTH2_JWT_ALG, OAUTH2_NEW, OAUTH2_OLD settings", []string{"deploy.config_differs warning"}},
		{"settings that an older version does not tell", func(f *Facts) {
			for _, i := range []int{0, 2} {
				f.Replicas[i].Vitals.Settings = map[string]string{"OAUTH2_JWT_ALG": "1"}
			}
			f.Replicas[1].Vitals.Config = "beef"
		}, "is pod-1 (0.0.0.0:8080) settings that replicas must share (issuer,", []string{"deploy.config_differs warning"}},
		{"settings of a rollout", func(f *Facts) {
			r := first(f)
			r.Vitals.Config, r.Version, r.Started = "beef", "v1.3.0", noon.Add(-9*time.Minute)
		}, "", []string{"deploy.versions info", "deploy.config_differs info", "deploy.recent info"}},
		{"restarts", func(f *Facts) { f.Replicas = append(f.Replicas, ended(10, true), ended(20, true), ended(30, true)) }, "3 starts of pod-9", []string{"deploy.restarts warning", "deploy.recent info"}},
		{"killed", func(f *Facts) { f.Replicas = append(f.Replicas, ended(10, false)) }, "pod-9 (0.0.0.0:8080) ended without a word 1 times", []string{"deploy.unclean_end warning", "deploy.recent info"}},
		{"killed for memory", func(f *Facts) {
			gone := ended(10, false)
			gone.Vitals.Memory = 1000 << 20
			f.Replicas = append(f.Replicas, gone)
		}, "1000.0 MiB of 1.0 GiB", []string{"deploy.unclean_end warning", "deploy.recent info"}},
		{"ended by itself", func(f *Facts) {
			gone := ended(10, false)
			gone.Vitals.Memory, gone.Vitals.Fault = 1000<<20, "no secret"
			f.Replicas = append(f.Replicas, gone)
		}, "after 5m, and ended by itself: no secret it refused to start", []string{"deploy.unclean_end warning", "deploy.recent info"}},
		{"crash loop", func(f *Facts) { f.Replicas = append(f.Replicas, ended(10, false), ended(20, false), ended(30, false)) }, "3 times", []string{"deploy.crash_loop critical", "deploy.recent info"}},
		{"reload", vitals(func(v *store.Vitals) { v.Reload = "the key does not match" }), "does not match", []string{"deploy.reload_refused warning"}},
		{"unfinished", vitals(func(v *store.Vitals) { v.Unfinished = "the store is away" }), "in force, but not finished in the store: the store is away", []string{"deploy.reload_unfinished warning"}},
		{"restart", vitals(func(v *store.Vitals) { v.Restart = []string{"OAUTH2_SERVER_PORT"} }), "OAUTH2_SERVER_PORT", []string{"deploy.restart_owed warning"}},
		{"certificate", vitals(func(v *store.Vitals) { v.TLSUntil = noon.Add(20 * 24 * time.Hour) }), "20 days", []string{"deploy.certificate warning"}},
		{"certificate soon", func(f *Facts) { f.Public.TLSUntil = noon.Add(3 * 24 * time.Hour) }, "https://auth.example.com ends in 3 days", []string{"deploy.certificate critical"}},
		{"certificate over", vitals(func(v *store.Vitals) { v.TLSUntil = noon.Add(-time.Hour) }), "ended 1h ago", []string{"deploy.certificate critical"}},

		{"growth", vitals(func(v *store.Vitals) { v.Memory, v.HeapThen, v.Heap = 600<<20, 100<<20, 400<<20 }), "600.0 MiB now and 290.0 MiB", []string{"memory.growth warning"}},
		{"growth of a young one", func(f *Facts) { first(f).Started, first(f).Vitals.Memory = noon.Add(-50*time.Minute), 600<<20 }, "", []string{"deploy.recent info"}},
		{"near the limit", vitals(func(v *store.Vitals) { v.Memory, v.MemoryThen = 850<<20, 850<<20 }), "850.0 MiB of 1.0 GiB", []string{"memory.limit warning"}},
		{"at the limit", vitals(func(v *store.Vitals) { v.Memory, v.MemoryThen = 950<<20, 950<<20 }), "950.0 MiB", []string{"memory.limit critical"}},
		{"goroutines", vitals(func(v *store.Vitals) { v.Goroutines = 20_001 }), "20001", []string{"memory.goroutines warning"}},
		{"files", vitals(func(v *store.Vitals) { v.FilesLimit = 120 }), "100 of 120", []string{"memory.files warning"}},
		{"no more files", vitals(func(v *store.Vitals) { v.FilesLimit = 104 }), "100 of 104", []string{"memory.files critical"}},
		{"denials", each(func(v *store.Vitals) { v.DenySet = 1_000_000 }), "1000000", []string{"memory.deny_set warning"}},
		{"denials at their bound", vitals(func(v *store.Vitals) { v.DenySet = 5_000_000 }), "5000000", []string{"memory.deny_set critical"}},

		{"refusals", func(f *Facts) { f.Limits[1].Stats.Total.Refused = 3000 }, "token-client refused 3000 of 13000 requests (23.1%) in ten minutes; most of them a 20", []string{"limits.refusals warning"}},
		{"few refusals", func(f *Facts) { f.Limits[1].Stats.Total = limits.Totals{Allowed: 10, Refused: 99} }, "", nil},
		{"one address", func(f *Facts) {
			f.Limits[0].Stats.Busiest[0].Share = .99
			first(f).Vitals.Proxy = store.ProxyVitals{Unbelieved: 500}
		}, "99.0% of 10020 requests of token-ip come from 198.51.100.7", []string{"limits.one_address warning", "login.proxy info"}},
		{"shadow", func(f *Facts) {
			f.Limits[1].Mode, f.Limits[1].Stats.Total = store.LimitShadow, limits.Totals{Allowed: 1000, Would: 400}
		}, "would refuse 400 of 1000", []string{"limits.shadow info"}},
		{"block", func(f *Facts) { f.Limits[1].Mode = store.LimitBlock }, "refuses every request of token: 20", []string{"limits.block warning"}},
		{"idle block", func(f *Facts) { f.Limits[1].Mode, f.Limits[1].Stats = store.LimitBlock, limits.Stats{} }, "", []string{"limits.block info"}},

		{"session keys", vitals(func(v *store.Vitals) { v.SessionKeys = []string{"other"} }), "other", []string{"login.session_keys critical"}},
		{"session keys half changed", vitals(func(v *store.Vitals) { v.SessionKeys = []string{"other", "session"} }), "does not open", []string{"login.session_keys critical"}},
		{"session keys being changed", func(f *Facts) {
			for i, keys := range [][]string{{"new", "old"}, {"old", "new"}, {"old", "new"}} {
				f.Replicas[i].Vitals.SessionKeys = keys
			}
		}, "both open both", []string{"login.session_keys info"}},
		{"wrong passwords", vitals(func(v *store.Vitals) { v.Logins["wrong"] = 100 }), "106 of 196", []string{"login.wrong warning"}},
		{"limited", vitals(func(v *store.Vitals) { v.Logins["limited"] = 10 }), "10 of 109", []string{"login.limited warning"}},
		{"login faults", vitals(func(v *store.Vitals) { v.Logins["fault"] = 1 }), "1 of 100", []string{"login.fault warning"}},
		{"turned away", vitals(func(v *store.Vitals) { v.Hasher.Busy = 7 }), "7 were turned away", []string{"login.hasher warning"}},
		{"queue", vitals(func(v *store.Vitals) { v.Hasher.Waiting = 5 }), "5 wait", []string{"login.hasher info"}},
		{"no operator", func(f *Facts) { f.Admins = new(0) }, "0 enabled", []string{"login.no_admin critical"}},
		{"operators not known", func(f *Facts) { f.Admins = nil }, "", nil},
		{"headers of somebody", vitals(func(v *store.Vitals) { v.Proxy = store.ProxyVitals{Unbelieved: 140} }), "", nil},
		{"some headers", vitals(func(v *store.Vitals) { v.Proxy = store.ProxyVitals{Unbelieved: 7000} }), "7000 requests (50.0%)", []string{"login.proxy info"}},
		{"proxy", vitals(func(v *store.Vitals) { v.Proxy = store.ProxyVitals{Unbelieved: 7001} }), "7001 requests", []string{"login.proxy warning"}},
		{"proxy of few", vitals(func(v *store.Vitals) {
			v.Routes, v.Proxy = map[string]store.WorkVitals{"/oauth/token": {Count: 19}}, store.ProxyVitals{Unbelieved: 19}
		}), "19 requests (100.0%)", []string{"login.proxy info"}},
		{"another host of somebody", vitals(func(v *store.Vitals) { v.Proxy.OtherHost = 20 }), "", nil},
		{"another host at times", vitals(func(v *store.Vitals) { v.Proxy.OtherHost = 1000 }), "7.1%", []string{"login.other_host info"}},
		{"another host", vitals(func(v *store.Vitals) { v.Proxy.OtherHost, v.Proxy.Host = 9000, "login.example.net" }), `"login.example.net"`, []string{"login.other_host warning"}},
		{"in clear", func(f *Facts) {
			each(func(v *store.Vitals) { v.Issuer = "http://auth.example.com" })(f)
			f.Configured.Issuer, f.Public.Issuer = "http://auth.example.com", "http://auth.example.com"
		}, "http://auth.example.com", []string{"login.insecure warning"}},
		{"in clear on this machine", func(f *Facts) {
			each(func(v *store.Vitals) { v.Issuer = "http://127.0.0.1:8080" })(f)
			f.Configured.Issuer, f.Public.Issuer = "", "http://127.0.0.1:8080"
		}, "", nil},

		{"no active key", func(f *Facts) { f.Keys[2].State = store.KeyRetired }, "no active sign key of ES256", []string{"keys.missing critical"}},
		{"no next key", func(f *Facts) { f.Keys[1].State = store.KeyRetired }, "no next mac key", []string{"keys.missing warning"}},
		{"no key before the first start", func(f *Facts) { f.Keys, f.Replicas, f.Admins = nil, nil, new(0) }, "", []string{"health.no_replica info"}},
		{"aged key", func(f *Facts) { f.Keys[2].Since = noon.Add(-91 * 24 * time.Hour) }, "91 days", []string{"keys.old info"}},
		{"old key", func(f *Facts) { f.Keys[2].Since = noon.Add(-366 * 24 * time.Hour) }, "366 days", []string{"keys.old warning"}},
		{"overdue", func(f *Facts) {
			f.Keys = append(f.Keys, store.Key{Use: store.UseSign, Alg: "ES256", State: store.KeyRetiring, Until: noon.Add(-2 * time.Hour), Seals: f.Keys[0].Seals})
		}, "since 2h", []string{"keys.overdue warning"}},
		{"secrets", vitals(func(v *store.Vitals) { v.Secrets = []string{"other"} }), "other", []string{"keys.secrets critical"}},
		{"sealed", func(f *Facts) { f.Configured.Secrets = []string{"lost"} }, "8 keys are opened by no", []string{"keys.sealed critical"}},
		{"not sealed anew", func(f *Facts) { f.Configured.Secrets = []string{"new", "secret"} }, "8 keys", []string{"keys.unsealed warning"}},
		{"old secrets", func(f *Facts) {
			f.Keys[0].Seals = map[string][]byte{"gone": {1}, "secret": {1}}
		}, "1 keys are opened as well by secrets that no server has: gone", []string{"keys.old_secrets info"}},
		{"numbers", func(f *Facts) {
			for n := range 244 {
				f.Keys = append(f.Keys, store.Key{Use: store.UseMAC, Number: 13 + n, State: store.KeyRetiring, Until: noon.Add(time.Hour), Seals: f.Keys[0].Seals})
			}
		}, "9 of 255", []string{"keys.numbers warning"}},
		{"next not published", func(f *Facts) { f.Public.Keys = slices.Delete(f.Public.Keys, 1, 2) }, "next key", []string{"keys.not_published warning"}},
		{"active not published", func(f *Facts) { f.Public.Keys = []string{} }, "0 keys", []string{
			"keys.not_published critical", "keys.not_published critical", "keys.not_published critical",
			"keys.not_published warning", "keys.not_published warning", "keys.not_published warning",
		}},
		{"another issuer", func(f *Facts) { f.Public.Issuer = "https://other" }, `"https://other"`, []string{"keys.issuer critical"}},
		{"issuers", vitals(func(v *store.Vitals) { v.Issuer = "https://other" }), "https://other on 1", []string{"keys.issuers critical"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.spoil(f)
			if got := found(f); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if text := fmt.Sprint(Judge(f, All)); !strings.Contains(text, c.evidence) {
				t.Errorf("got %s, want %q in it", text, c.evidence)
			}
		})
	}
}

// ended is a replica of pod-9 that ran for five minutes, some minutes ago.
func ended(minutes int, orderly bool) store.Replica {
	r := newReplica(9)
	r.ID, r.Seen = id(byte(100+minutes)), noon.Add(-time.Duration(minutes)*time.Minute)
	r.Started = r.Seen.Add(-5 * time.Minute)
	if orderly {
		r.Vitals.Ended = r.Seen
	}
	return r
}

// A slow route says where its time goes.
func TestSlowTokenNamesItsCause(t *testing.T) {
	f := func(want string, spoil func(v *store.Vitals)) {
		t.Helper()
		facts := healthy()
		v := &facts.Replicas[0].Vitals
		v.Routes["/oauth/token"] = store.WorkVitals{Count: 200, P99: 1000}
		spoil(v)
		for _, one := range Judge(facts, Latency).Findings {
			if one.ID == "latency.token_slow" && strings.Contains(one.Cause, want) {
				return
			}
		}
		t.Errorf("got %+v, want %q as the cause", Judge(facts, Latency).Findings, want)
	}
	f(`the query "insert_tokens" is 500ms`, func(v *store.Vitals) { v.Queries["insert_tokens"] = store.WorkVitals{Count: 200, P99: 500} })
	f(`pool "read"`, func(v *store.Vitals) { v.Pools = []store.PoolVitals{{Name: "read", Waits: 100, Waited: 2000}} })
	f("processor time", func(v *store.Vitals) { v.CPUShare = .99 })
	f("neither", func(*store.Vitals) {})
}

// Whoever asks serves nobody: the clock of his machine is worth knowing.
func TestOwnClockIsInfo(t *testing.T) {
	f := healthy()
	f.Database, f.Local = &store.Inspection{Now: noon}, noon.Add(time.Minute)
	got := Judge(f, Health).Findings
	if len(got) != 1 || got[0].Severity != Info || !strings.Contains(got[0].Evidence, "this machine is 1m0s") {
		t.Errorf("got %+v, want the skew of this machine", got)
	}
}

func TestWorstComesFirst(t *testing.T) {
	f := healthy()
	f.Admins, f.Replicas[0].Vitals.Skew, f.Keys[2].Since = new(0), 600, noon.Add(-100*24*time.Hour)
	want := []string{"login.no_admin critical", "health.clock_skew warning", "keys.old info"}
	if got := found(f); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScenarioFindsItsOwn(t *testing.T) {
	f := healthy()
	f.Admins, f.Replicas[0].Fence = new(0), 5000
	for scenario, want := range map[string]int{Login: 1, Health: 1, Keys: 0, All: 2} {
		if got := Judge(f, scenario).Findings; len(got) != want {
			t.Errorf("%s: got %+v, want %d findings", scenario, got, want)
		}
	}
}

func TestReportIsAsDocumented(t *testing.T) {
	f := healthy()
	f.Admins = new(0)
	text, err := json.Marshal(Judge(f, Login))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"findings":[{"id":"login.no_admin","scenario":"login","severity":"critical","evidence":"0 enabled users have the role admin",`
	if !strings.HasPrefix(string(text), want) || !strings.Contains(string(text), `"runbook":"deploy/runbook.md#admin-or-login-failures"}]}`) {
		t.Errorf("got %s", text)
	}
	if text, _ := json.Marshal(Judge(healthy(), All)); string(text) != `{"findings":[]}` {
		t.Errorf("got %s, want an empty list", text)
	}
}

func TestInfoAloneIsNotBad(t *testing.T) {
	f := func(want bool, severities ...Severity) {
		t.Helper()
		r := Report{}
		for _, s := range severities {
			r.Findings = append(r.Findings, Finding{Severity: s})
		}
		if r.Bad() != want {
			t.Errorf("%v: got %v, want %v", severities, r.Bad(), want)
		}
	}
	f(false)
	f(false, Info, Info)
	f(true, Info, Warning)
	f(true, Critical)
}

// Every finding leads to a heading that the runbook has.
func TestRunbookHeadings(t *testing.T) {
	page, err := os.ReadFile("../../" + runbook)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if heading, is := strings.CutPrefix(line, "## "); is {
			anchors[anchor(heading)] = true
		}
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), `"#`)[1:] {
			if name, _, ok := strings.Cut(part, `"`); ok && name != "" && !strings.HasSuffix(file.Name(), "_test.go") && !anchors[name] {
				t.Errorf("%s: the runbook has no heading #%s", file.Name(), name)
			}
		}
	}
}

// anchor is the name that GitHub gives a heading.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, heading)
}
