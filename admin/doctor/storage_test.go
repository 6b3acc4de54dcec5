package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

func TestHealthyFile(t *testing.T) {
	f := Gather(t.Context(), Sources{Store: openStore(t), Capacity: 1 << 40})
	wantsNone(t, f, Database, Storage, Tokens)
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oauth2.db")
	db, err := sqlite.Open(sqlite.Options{Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := db.CutOff(t.Context(), store.Actor{Kind: "cli"}, store.CutSubject, fmt.Sprintf("%0100d", i)); err != nil {
			t.Fatal(err)
		}
	}
	db.Close() // takes the log over into the file
	about, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(make([]byte, 2048), about.Size()-3000); err != nil { // within the last page
		t.Fatal(err)
	}
	file.Close()
	db, err = sqlite.Open(sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	wants(t, Gather(t.Context(), Sources{Store: db}), Database, "database.damaged", Critical, path)
}

// sound is a database without a fault, as the doctor would see it.
func sound() *Facts {
	f := healthy()
	s := &store.Inspection{
		Kind: "postgres", Version: "15.1", Now: noon, Ping: time.Millisecond, Schema: store.Schema{Applied: 5, Known: 5},
		Settings: map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "track_counts": "on", "max_wal_size": "1GB"},
		Bytes:    40 << 30, Disk: store.Disk{Bytes: 100 << 30, Free: 50 << 30},
		Connections: store.Connections{Used: 40, Max: 100, Reserved: 3, Places: 12},
		Counters:    store.Counters{Since: noon.Add(-10 * day), LogSince: noon.Add(-10 * day), Timed: 100, Requested: 3},
		FrozenAge:   100_000_000,
		Tables:      []store.Table{{Name: "tokens", Bytes: 8 << 30, Indexes: 2 << 30, Rows: 1e7, Dead: 1e5}},
	}
	for i := range 24 * 7 {
		at := noon.Add(time.Duration(i-24*7) * time.Hour)
		s.Sizes = append(s.Sizes, store.Size{Name: store.SizeOfDatabase, At: at, Bytes: 10 << 30}, store.Size{Name: "tokens", At: at, Bytes: 9 << 30})
	}
	for i := range 5 {
		s.Partitions = append(s.Partitions, store.Partition{Name: "tokens", Start: noon.Truncate(day).Add(time.Duration(i-1) * day), Attached: true})
	}
	f.Database = s
	f.Kept = []store.Kept{{Kind: store.KeptTokens, Keep: store.Period(day), Ran: noon.Add(-time.Minute)}}
	return f
}

func TestSoundDatabaseHasNoFinding(t *testing.T) {
	if got := found(sound()); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

// Each case breaks one thing of a sound database, just so: exactly its finding comes of it. within breaks nothing yet.
func TestDatabaseFindings(t *testing.T) {
	inside := func(change func(s *store.Inspection)) func(f *Facts) { return func(f *Facts) { change(f.Database) } }
	vitals := func(change func(v *store.Vitals)) func(f *Facts) {
		return func(f *Facts) { change(&f.Replicas[0].Vitals) }
	}
	grow := func(perHour int64) func(s *store.Inspection) {
		return func(s *store.Inspection) {
			for i := range s.Sizes {
				s.Sizes[i].Bytes += int64(i/2) * perHour
			}
		}
	}
	for _, c := range []struct {
		name   string
		within func(f *Facts)
		spoil  func(f *Facts)
		id     string
		want   Severity
		text   string
	}{
		{"long transaction", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "psql", State: "active", Age: 40 * time.Second}}
		}), "database.long_transaction", Info, "psql (pid 7) has run for 40s"},
		{"longer", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "psql", State: "active", Age: transactionLong}}
		}), "database.long_transaction", Warning, "5m"},
		{"worse", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "psql", State: "active", Age: transactionWorse}}
		}), "database.long_transaction", Critical, "1h"},
		{"dump", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "pg_dump", State: "active", Age: backupLong - time.Second}}
		}), "database.long_transaction", Info, "pg_dump (pid 7) has run for 6h"},
		{"long dump", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "pg_dump", State: "active", Age: backupLong}}
		}), "database.long_transaction", Warning, "6h"},
		{"long vacuum", inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "unnamed", State: "active", Age: backupLong - 1, Maintenance: true}}
		}), inside(func(s *store.Inspection) { s.Transactions[0].Age++ }), "database.long_transaction", Warning, "autovacuum (pid 7)"},
		{"torn pages", nil, inside(func(s *store.Inspection) { s.Settings["full_page_writes"] = "off" }), "database.full_page_writes", Warning, "off"},
		{"not durable", nil, inside(func(s *store.Inspection) { s.Settings["synchronous_commit"] = "off" }), "database.not_durable", Critical, "synchronous_commit = off"},
		{"idle in transaction", inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{
				{PID: 7, Name: "app", State: "idle in transaction", Age: time.Minute, StateFor: 29 * time.Second},
				{PID: 9, State: "active", Age: time.Hour, Maintenance: true},
				{Name: "x", State: "prepared", Age: preparedForgot - 1},
			}
		}), inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{PID: 7, Name: "app", State: "idle in transaction (aborted)", Age: time.Minute, StateFor: 30 * time.Second}}
		}), "database.idle_in_transaction", Warning, "app (pid 7) has been idle for 30s"},
		{"prepared", nil, inside(func(s *store.Inspection) {
			s.Transactions = []store.Transaction{{Name: "it's", State: "prepared", Age: preparedForgot}}
		}), "database.prepared", Warning, `"it's" is 5m old`},
		{"lock", inside(func(s *store.Inspection) { s.Waits = []store.LockWait{{Waited: lockWaited - 1}} }), inside(func(s *store.Inspection) {
			s.Waits = []store.LockWait{{Waited: lockWaitedBad, Application: "oauth2-server/1", PID: 8, Holder: 9, HolderApp: "psql", HolderState: "active", Held: time.Minute}}
		}), "database.lock_wait", Critical, "has waited 5s for psql (pid 9, active)"},
		{"lock of a prepared transaction", nil, inside(func(s *store.Inspection) {
			s.Waits = []store.LockWait{{Waited: lockWaited, Application: "oauth2-server/1", PID: 8, HolderApp: "unnamed"}}
		}), "database.lock_wait", Warning, "(pid 0, state hidden), whose transaction is hidden from us"},
		{
			"lock that is held", inside(func(s *store.Inspection) {
				s.Locks = []store.Lock{{PID: 9, Application: "psql", State: "idle in transaction", Table: "clients", Mode: "AccessExclusiveLock", Held: lockWaited - 1, Verb: "LOCK"}}
			}), inside(func(s *store.Inspection) { s.Locks[0].Held++ }), "database.lock_held", Warning,
			"psql (pid 9, idle in transaction) has the AccessExclusiveLock on clients; its transaction is 1s old; its last statement is a lock",
		},
		{"lock that is held for long", nil, inside(func(s *store.Inspection) {
			s.Locks = []store.Lock{{PID: 9, Held: lockWaitedBad}}
		}), "database.lock_held", Critical, "5s"},
		{"lock of a dump", nil, inside(func(s *store.Inspection) {
			s.Locks = []store.Lock{{PID: 9, Application: "pg_dump", Held: lockWaitedBad}}
		}), "database.lock_held", Warning, "5s"},
		{"lock that is waited for", nil, inside(func(s *store.Inspection) {
			s.Locks = []store.Lock{{PID: 9, Held: lockWaitedBad}}
			s.Waits = []store.LockWait{{Waited: lockWaited, Holder: 9}}
		}), "database.lock_wait", Warning, "pid 9"},
		{"standby behind", inside(func(s *store.Inspection) {
			s.Settings["synchronous_standby_names"] = "b"
			s.Standbys = []store.Standby{{Name: "b", Sync: "sync", Lag: replayLag - 1, Bytes: replayBehind - 1}}
		}), inside(func(s *store.Inspection) { s.Standbys[0].Lag++ }), "database.standby_lag", Warning, "b (, sync) is 10s"},
		{"standby behind by bytes", inside(func(s *store.Inspection) {
			s.Settings["synchronous_standby_names"] = "b"
			s.Standbys = []store.Standby{{Name: "b", Sync: "quorum", Bytes: replayBehind - 1}}
		}), inside(func(s *store.Inspection) { s.Standbys[0].Bytes++ }), "database.standby_lag", Warning, "64.0 MiB of log"},
		{"asynchronous", nil, inside(func(s *store.Inspection) { s.Standbys = []store.Standby{{Name: "b", Sync: "async"}} }), "database.standby_asynchronous", Info, "1 standbys"},
		{
			"slot", inside(func(s *store.Inspection) {
				s.Slots = []store.Slot{{Name: "b", Active: true, Bytes: slotHoldsBad - 1}}
			}),
			inside(func(s *store.Inspection) { s.Slots[0].Active = false; s.Slots[0].Bytes = slotHolds }), "database.slot", Warning, "keeps 256.0 MiB",
		},
		{"slot, badly", nil, inside(func(s *store.Inspection) { s.Slots = []store.Slot{{Name: "b", Active: true, Bytes: slotHoldsBad}} }), "database.slot", Critical, "10.0 GiB"},
		{"wraparound", inside(func(s *store.Inspection) { s.FrozenAge = frozenWarn - 1 }), inside(func(s *store.Inspection) { s.FrozenAge++ }), "database.wraparound", Warning, "500 million"},
		{"wraparound, badly", nil, inside(func(s *store.Inspection) { s.FrozenAge = frozenBad }), "database.wraparound", Critical, "1600 million"},
		{"far", inside(func(s *store.Inspection) { s.Ping = pingSlow }), inside(func(s *store.Inspection) { s.Ping++ }), "database.far", Warning, "20ms"},
		{"checkpoints", inside(func(s *store.Inspection) { s.Counters.Requested = 100 }), inside(func(s *store.Inspection) { s.Counters.Requested++ }), "database.checkpoints", Info, "101 checkpoints"},
		{"deadlocks", inside(func(s *store.Inspection) { s.Counters.Deadlocks = 100 }), inside(func(s *store.Inspection) { s.Counters.Deadlocks++ }), "database.deadlocks", Warning, "101 deadlocks"},
		{"temporary files", inside(func(s *store.Inspection) { s.Counters.TempBytes = 10*tempDaily - 1 }), inside(func(s *store.Inspection) { s.Counters.TempBytes++ }), "database.temp_files", Info, "10.0 GiB"},
		{"connections", vitals(func(v *store.Vitals) { v.Pools = []store.PoolVitals{{Name: "read", Limit: 30}} }), // 31 + 12 + 12 + 31
			vitals(func(v *store.Vitals) { v.Pools[0].Limit = 40 }), "database.connections_need", Warning, "3 replicas and one more of a rolling update may take 106 connections, the database gives 97"},
		{"journal", nil, inside(func(s *store.Inspection) {
			s.Kind, s.File, s.Settings["journal_mode"] = "sqlite", &store.File{Path: "/data/oauth2.db"}, "delete"
		}), "database.journal_mode", Warning, "delete"},
		{
			"a part unseen", inside(func(s *store.Inspection) { s.Unseen = map[string]string{"disk": "denied"} }),
			inside(func(s *store.Inspection) { s.Unseen["slots"] = "denied" }), "database.unseen", Info, "slots (denied)",
		},
		{"pooler drops synchronous_commit", nil, inside(func(s *store.Inspection) { s.Settings["synchronous_commit"] = "off" }), "database.not_durable", Critical, "synchronous_commit = off"},
		{
			"slow query", vitals(func(v *store.Vitals) {
				v.Queries["insert_tokens"] = store.WorkVitals{Count: enoughForP99, P99: queryHotSlow}
			}),
			vitals(func(v *store.Vitals) { v.Queries["insert_tokens"] = store.WorkVitals{Count: enoughForP99, P99: 250} }), "database.slow_queries", Warning, `"insert_tokens" is 250ms`,
		},
		{
			"very slow query", vitals(func(v *store.Vitals) { v.Queries["audit"] = store.WorkVitals{Count: enoughForP99, P99: querySlow} }),
			vitals(func(v *store.Vitals) { v.Queries["poll"] = store.WorkVitals{Count: enoughForP99, P99: 1000} }), "database.slow_queries", Critical, `"poll" is 1s`,
		},
		{
			"faults", vitals(func(v *store.Vitals) { v.Queries["find_tokens"] = store.WorkVitals{Count: 10, Faults: 9} }),
			vitals(func(v *store.Vitals) { v.Queries["find_tokens"] = store.WorkVitals{Count: 100, Faults: 100} }), "database.query_faults", Critical, `most of them "find_tokens" (100)`,
		},
		{"pool", vitals(func(v *store.Vitals) {
			v.Pools = []store.PoolVitals{{Name: "read", Limit: 4, Waits: enough, Waited: enough * poolWaitMax}}
		}), vitals(func(v *store.Vitals) { v.Pools[0].Waited++ }), "database.pool_wait", Warning, `of 4 connections of the pool "read"`},

		{"disk", inside(func(s *store.Inspection) { s.Disk.Free = 16 << 30 }), inside(func(s *store.Inspection) { s.Disk.Free = 15 << 30 }), "storage.full", Warning, "85.0 GiB of 100.0 GiB of its disk"},
		{"full soon", inside(func(s *store.Inspection) { s.Bytes, s.Disk.Free = 80<<30, 16<<30; grow(40 << 20)(s) }), inside(grow(20 << 20)), "storage.full_in_days", Warning, "in 11.4 days: 1.4 GiB a day"},
		{"grows", func(f *Facts) { f.Capacity = 1 << 50; grow(160 << 20)(f.Database) }, inside(grow(20 << 20)), "storage.growth", Warning, "4.2 GiB a day"},
		{"short history", nil, inside(func(s *store.Inspection) { s.Sizes = s.Sizes[len(s.Sizes)-40:] }), "storage.growth", Info, "not enough history: 40 samples"},
		{"capacity", nil, inside(func(s *store.Inspection) { s.Disk = store.Disk{} }), "storage.no_capacity_known", Info, "40.0 GiB"},
		{"fault of retention", nil, func(f *Facts) { f.Kept[0].Fault = "disk full" }, "storage.retention_fault", Warning, "tokens, 1m ago, failed: disk full"},
		{"late retention", func(f *Facts) { f.Kept[0].Ran = noon.Add(-retentionLate) }, func(f *Facts) { f.Kept[0].Ran = noon.Add(-25 * time.Hour) }, "storage.retention_overdue", Warning, "25h ago"},
		{"much due", func(f *Facts) { f.Kept[0].Due = retentionQueue - 1 }, func(f *Facts) { f.Kept[0].Due++ }, "storage.retention_overdue", Warning, "100000 due or more"},
		{"dead rows", inside(func(s *store.Inspection) { s.Tables[0].Dead = s.Tables[0].Rows - 1 }), inside(func(s *store.Inspection) { s.Tables[0].Dead++ }), "storage.bloat", Warning, "10000000 dead rows"},
		{"indexes", inside(func(s *store.Inspection) { s.Tables[0].Indexes = 3*s.Tables[0].Bytes - 1 }), inside(func(s *store.Inspection) { s.Tables[0].Indexes++ }), "storage.index_bloat", Warning, "24.0 GiB"},
		{"empty pages", inside(func(s *store.Inspection) {
			s.Settings["journal_mode"], s.File = "wal", &store.File{Path: "/data/oauth2.db", PageSize: 4096, Pages: 100_000, Free: 49_999, WAL: walLarge - 1}
		}), inside(func(s *store.Inspection) { s.File.Free++ }), "storage.free_pages", Info, "195.3 MiB"},
		{"log", nil, inside(func(s *store.Inspection) {
			s.Settings["journal_mode"], s.File = "wal", &store.File{Path: "/data/oauth2.db", WAL: walLarge}
		}), "storage.wal", Warning, "256.0 MiB"},
		{"past partitions are kept", func(f *Facts) {
			f.Kept[0].Keep = store.Period(10 * day)
			f.Database.Partitions = append(f.Database.Partitions, store.Partition{Name: "old", Start: noon.Add(-9 * day).Truncate(day)})
		}, func(f *Facts) { f.Kept[0].Keep = store.Period(day) }, "storage.partitions_past", Warning, "the oldest old"},

		{"who mints", nil, func(f *Facts) {
			f.Minting = &Minting{Total: 10, By: map[string]int{"a": 9, "b": 1}, Oldest: noon.Add(-10 * time.Second), Newest: noon}
		}, "tokens.top_minters", Info, "1.0 a second: a 90.0%, b 10.0%"},
		{"one mints all", nil, func(f *Facts) {
			f.Minting = &Minting{Total: 10_000, By: map[string]int{"a": 9000, "b": 1000}, Oldest: noon.Add(-100 * time.Second), Newest: noon}
		}, "tokens.top_minters", Warning, "100.0 a second: a 90.0%"},
		{"invalid", vitals(func(v *store.Vitals) {
			v.Counts = map[string]float64{`introspections_total{outcome="active"}`: 81, `introspections_total{outcome="inactive"}`: 19}
		}), vitals(func(v *store.Vitals) { v.Counts[`introspections_total{outcome="inactive"}`] = 81 }), "tokens.invalid", Warning, "50.0% of 162"},
		{"cut-off", func(f *Facts) {
			f.Cutoffs = []store.Cutoff{{Kind: store.CutAll, At: noon.Add(-25 * time.Hour).Unix()}, {Kind: store.CutSubject, Name: "anna", At: noon.Unix()}}
		}, func(f *Facts) { f.Cutoffs[0].At = noon.Add(-time.Hour).Unix() }, "tokens.cutoff_recent", Info, "everything that was issued until 1h ago"},
		{"cut-off of a client", nil, func(f *Facts) {
			f.Cutoffs = []store.Cutoff{{Kind: store.CutClient, Name: "billing", At: noon.Add(-time.Hour).Unix(), Actor: "cli:root"}}
		}, "tokens.cutoff_recent", Info, "client billing that was issued until 1h ago was revoked then, by cli:root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := sound()
			if c.within != nil {
				c.within(f)
				if got := found(f); len(got) != 0 {
					t.Errorf("within its bound: got %v", got)
				}
			}
			c.spoil(f)
			report := Judge(f, All)
			if len(report.Findings) != 1 {
				t.Errorf("got %v, want %s alone", found(f), c.id)
			}
			wants(t, f, All, c.id, c.want, c.text)
		})
	}
}

func TestDatabaseClock(t *testing.T) {
	f := sound()
	f.Database.Skew = -3 * time.Second
	wants(t, f, Tokens, "tokens.skew", Warning, "the database's clock is 3s behind")
	f.Database.Skew = -skewDatabase
	wantsNone(t, f, Tokens)
}

func TestSlopeIsOfTheSamples(t *testing.T) {
	at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	sizes := []store.Size{
		{Name: "a", At: at(0), Bytes: 1000},
		{Name: "b", At: at(1), Bytes: 5},
		{Name: "a", At: at(12), Bytes: 2000},
		{Name: "a", At: at(24), Bytes: 3000},
		{Name: "a", At: at(36), Bytes: 4000},
	}
	if perDay, known := slope(sizes, "a"); !known || perDay != 2000 {
		t.Errorf("got %v, %t", perDay, known)
	}
	if _, known := slope(sizes[:4], "a"); known {
		t.Error("three samples are no history")
	}
	if _, known := slope(sizes, "b"); known {
		t.Error("one sample is no history")
	}
}

func TestLockOfAnotherUser(t *testing.T) {
	f := sound()
	f.Database.Locks = []store.Lock{{PID: 9, Application: "psql", Table: "clients", Mode: "ShareLock"}}
	if got := found(f); len(got) != 0 {
		t.Errorf("got %v of a lock whose age nobody tells", got)
	}
	f.Database.Unseen = map[string]string{"tables": "ERROR: canceling statement due to lock timeout (SQLSTATE 55P03)"}
	wants(t, f, Database, "database.lock_held", Warning, "psql (pid 9, state hidden) has the ShareLock on clients; its transaction is hidden from us")
}

func TestLockBesideAWait(t *testing.T) {
	f := sound()
	f.Database.Locks = []store.Lock{{PID: 9, Application: "psql", Held: lockWaitedBad}}
	f.Database.Waits = []store.LockWait{{Waited: lockWaited, Holder: 10}}
	wants(t, f, Database, "database.lock_held", Critical, "psql (pid 9")
	wants(t, f, Database, "database.lock_wait", Warning, "pid 10")
}

// A fix is for what is known of the reason.
func TestFixOfWhatIsUnseen(t *testing.T) {
	f := func(part, why, id, cause, fix string) {
		t.Helper()
		facts := sound()
		facts.Database.Unseen, facts.Database.Disk = map[string]string{part: why}, store.Disk{}
		for _, one := range Judge(facts, All).Findings {
			if one.ID == id && (!strings.Contains(one.Cause, cause) || !strings.Contains(one.Fix, fix) || fix != "pg_monitor" && strings.Contains(one.Fix, "pg_monitor")) {
				t.Errorf("%s: got %+v, want %q and %q", why, one, cause, fix)
			}
		}
		wants(t, facts, All, id, Info, "")
	}
	const denied, locked, late = "permission denied (SQLSTATE 42501)", "lock timeout (SQLSTATE 55P03)", "statement timeout (SQLSTATE 57014)"
	f("slots", denied, "database.unseen", "may not see it", "pg_monitor")
	f("slots", locked, "database.unseen", "locked", "who holds the lock")
	f("slots", late, "database.unseen", "in time", "ask again")
	const capacity = "storage.no_capacity_known"
	f("slots", late, capacity, "on this machine, but the folder", "OAUTH2_DATABASE_CAPACITY")
	f("disk", denied, capacity, "on this machine, but the user", "OAUTH2_DATABASE_CAPACITY")
	f("disk", store.ErrNotFound.Error(), capacity, "on another machine", "OAUTH2_DATABASE_CAPACITY")
	f("disk", late, capacity, "did not tell", "OAUTH2_DATABASE_CAPACITY")
}

func TestEndingOfATransaction(t *testing.T) {
	for want, got := range map[string]string{
		"pg_terminate_backend(9)": ending("psql", 9), "wait for it": ending("pg_dump", 9), "rollback prepared": ending("unnamed", 0),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
