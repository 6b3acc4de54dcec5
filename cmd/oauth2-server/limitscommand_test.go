package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// limit is a limit as it is in the console's store.
func (c *console) limit(name string) store.Limit {
	c.t.Helper()
	l, err := limits.Operations{Store: c.open()}.Find(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

func TestLimitsThroughTheirLife(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		want(t, c.must("limits", "set", "x", "--endpoint", "introspect", "--key", "client", "--rate", "500/1s", "--burst", "1000", "--guard", "50/5m"),
			`"x" is made, version 1`, "shadow", "would_refuse", "limits stats x --watch")
		c.wantAudit("limit.create")
		want(t, c.must("limits", "set", "x", "--rate", "400/s", "--mode", "enforce", "--if-version", "1"), "version 2 now, before it 1", "500/1s", "→  400/1s", "shadow", "→  enforce")
		c.wantAudit("limit.update")
		want(t, c.must("limits", "set", "x", "--rate", "400/1s"), "Nothing to do", "version 2")
		want(t, c.must("limits", "trial", "x", "--rate", "300/1s"), "trial  -  →  300/1s burst 300", "trial_refuse")
		c.wantAudit("limit.trial")
		want(t, c.must("limits", "promote", "x"), "400/1s", "→  300/1s", "limits rollback x")
		c.wantAudit("limit.promote")
		want(t, c.must("limits", "override", "x", "a/b:c", "--rate", "5/15m", "--burst", "9"), "override a/b:c  -  →  5/15m burst 9")
		c.wantAudit("limit.override")
		want(t, c.must("limits", "show", "x"), "300/1s", "enforce", "override a/b:c  5/15m burst 9", "50/5m")
		want(t, c.must("limits", "list"), "300/1s burst 300", "introspect.client", "shadow")
		first := c.must("limits", "rollback", "x")
		want(t, first, "5/15m burst 9  →  -", "In force now: 300/1s burst 300, mode enforce (version 6). A second rollback would bring back 300/1s burst 300, mode enforce (version 5).")
		if strings.Contains(first, "was a rollback") {
			t.Errorf("got %q of a first rollback", first)
		}
		c.wantAudit("limit.rollback")
		want(t, c.must("limits", "rollback", "x", "--version", "1"), "→  500/1s")
		want(t, c.must("limits", "history", "x"), "rollback", "promote", "rate 400/1s → 300/1s", operator().String())
		want(t, c.must("limits", "set", "x", "--guard", "none"), "50/5m  →  -")
		want(t, c.must("limits", "delete", "x"), "is deleted; it had version 8", "limits rollback x")
		c.wantAudit("limit.delete")
		want(t, c.must("limits", "rollback", "x"), "is made")
		if l := c.limit("x"); l.Rate != 500 || l.Burst != 1000 || l.Mode != store.LimitShadow || !l.Restored {
			t.Errorf("got %+v, want the value of version 1", l)
		}
	})
}

// Who rolls back twice, to be safe, has the bad value again, and is told.
func TestASecondRollbackSaysWhatItDid(t *testing.T) {
	c := newConsole(t)
	const good, bad = "500/1s burst 500, mode enforce", "1/1s burst 1, mode enforce"
	c.must("limits", "set", "x", "--endpoint", "introspect", "--key", "client", "--rate", "500/1s", "--mode", "enforce")
	c.must("limits", "set", "x", "--rate", "1/1s", "--burst", "1")
	want(t, c.must("limits", "rollback", "x"), "In force now: "+good, "would bring back "+bad)
	want(t, c.must("limits", "rollback", "x"), "was a rollback, and THAT is taken back", "In force now: "+bad, "would bring back "+good)
	c.must("limits", "override", "x", "app", "--exempt")
	if text := c.must("limits", "rollback", "x"); strings.Contains(text, "was a rollback") {
		t.Errorf("got %q: an override was taken back", text)
	}
	c.must("limits", "delete", "x")
	want(t, c.must("limits", "rollback", "x"), "In force now: "+bad, "would delete it again")
}

func TestLimitsAsJSON(t *testing.T) {
	c := newConsole(t)
	done := decodeJSON[limitOutcome](t, c.must("limits", "set", "revoke.client", "--mode", "block", "--json"))
	if !done.Changed || done.Before.Mode != "shadow" || done.After.Mode != "block" || done.After.Version != 2 {
		t.Errorf("got %+v, want before and after", done)
	}
	if done := decodeJSON[limitOutcome](t, c.must("limits", "set", "revoke.client", "--mode", "block", "--json")); done.Changed || done.After.Version != 2 {
		t.Errorf("got %+v, want nothing changed", done)
	}
	if all := decodeJSON[[]store.Limit](t, c.must("limits", "list", "--json")); len(all) < 5 {
		t.Errorf("got %+v, want those of a first start", all)
	}
	if l := decodeJSON[store.Limit](t, c.must("limits", "show", "revoke.client", "--json")); l.Mode != "block" {
		t.Errorf("got %+v, want the limit", l)
	}
	if all := decodeJSON[[]limits.Version](t, c.must("limits", "history", "revoke.client", "--json")); len(all) != 2 || all[0].Value.Mode != "block" {
		t.Errorf("got %+v, want two versions", all)
	}
	if s := decodeJSON[limits.Stats](t, c.must("limits", "stats", "revoke.client", "--json")); len(s.Series.Allowed) != 3600 {
		t.Errorf("got %d points, want one a second", len(s.Series.Allowed))
	}
}

func TestLimitsRefuseByTheNamesOfTheFlags(t *testing.T) {
	c := newConsole(t)
	const name = "introspect.client"
	for line, parts := range map[string][]string{
		"set introspect.client": {"nothing to do"},
		"set introspect.client --rate 0/1s --burst -1 --mode loud": {"--rate: must be 1 to", "--burst: must be", "--mode: must be"},
		"set introspect.client --rate 5":                           {"--rate", "is not like 500/1s"},
		"set introspect.client --rate many/1s":                     {"is not like 500/1s"},
		"set introspect.client --guard 0/5m":                       {"--guard: must be"},
		"set introspect.client --endpoint dance":                   {"--endpoint: must be one of authorize"},
		"set introspect.client --rate 1/1s --if-version 7":         {"has version 1 now, not 7"},
		"set nobody --rate 1/1s":                                   {`no limit "nobody"`, "--endpoint, --key and --rate"},
		"trial introspect.client":                                  {"at least one of the flags", "[rate drop]"},
		"trial introspect.client --rate 1/1ms":                     {"--rate: must be 1s to 24h"},
		"trial introspect.client --drop":                           {"has no trial"},
		"promote introspect.client":                                {"trial: there is none to promote"},
		"override introspect.client a":                             {"at least one of the flags"},
		"override introspect.client a --block --exempt":            {"none of the others can be"},
		"override introspect.client a --drop":                      {"has no override"},
		"override introspect.client --block":                       {"the name of a limit and a key"},
		"override login.ip nowhere --block":                        {"overrides.nowhere: must be an address"},
		"rollback introspect.client":                               {"no earlier version"},
		"rollback introspect.client --version 5":                   {"never had version 5"},
		"stats introspect.client --last 2h":                        {"--last: must be"},
		"show nobody":                                              {`no limit "nobody"`},
		"history nobody":                                           {`no limit "nobody"`},
		"stats nobody":                                             {`no limit "nobody"`},
		"delete nobody":                                            {`no limit "nobody"`},
		"delete":                                                   {"the name of one limit"},
	} {
		want(t, c.refused(append([]string{"limits"}, strings.Fields(line)...)...), parts...)
	}
	if l := c.limit(name); l.Version != 1 {
		t.Errorf("got version %d, want nothing changed", l.Version)
	}
}

// counted puts what a replica counted into the store: in the minute before the last, 60 allowed and 30 refused a second.
func (c *console) counted(name string) {
	c.t.Helper()
	rule := store.RuleMinute{Top: []store.KeyMinute{{Key: "billing", Allowed: 3600, Refused: 1800}}}
	for range 60 {
		rule.Allowed, rule.Refused, rule.Trial = append(rule.Allowed, 60), append(rule.Refused, 30), append(rule.Trial, 45)
	}
	id := store.NewID(time.Now())
	minute := store.LimitMinute{Replica: id, Minute: time.Now().Unix()/60 - 2, Rules: map[string]store.RuleMinute{name: rule}}
	db := c.open()
	for _, err := range []error{
		db.SaveLimitMinute(c.t.Context(), minute, nil),
		db.Register(c.t.Context(), store.Replica{ID: id}), db.Register(c.t.Context(), store.Replica{ID: store.NewID(time.Now())}),
	} {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestLimitStatsAreAPicture(t *testing.T) {
	c := newConsole(t)
	c.must("limits", "set", "introspect.client", "--mode", "enforce")
	c.counted("introspect.client")
	want(t, c.must("limits", "stats", "introspect.client"),
		"introspect.client  enforce  10000/1s burst 20000", "by client on introspect, version 2 since",
		"allowed ", "1.0/s", "60.0/s", "│", "█", "billing", "5400", "100.0%", "1 of 2 running replicas counted")
	want(t, c.must("limits", "stats", "introspect.client", "--last", "5m"), "LAST 5M", "12.0/s", "5s A COLUMN")
}

// Who is refused most is told apart only where it is somebody else than who asks most.
func TestLimitStatsNameTheMostRefused(t *testing.T) {
	quiet, busy := limits.KeyStat{Key: "quiet", Refused: 1}, limits.KeyStat{Key: "busy", Requests: 9}
	s := limits.Stats{Series: limits.Series{Allowed: []float64{0}, Refused: []float64{0}, Would: []float64{0}, Trial: []float64{0}}}
	s.Busiest, s.Refused = []limits.KeyStat{busy}, []limits.KeyStat{quiet}
	want(t, statsText(new(store.Limit), &s), "MOST REFUSED KEYS", "quiet")
	s.Busiest = []limits.KeyStat{busy, quiet}
	if text := statsText(new(store.Limit), &s); strings.Contains(text, "MOST REFUSED") {
		t.Errorf("got %q, want each key once", text)
	}
}

func TestLimitStatsAdvise(t *testing.T) {
	l := store.Limit{Name: "x", Mode: store.LimitEnforce, Trial: &store.Quota{Rate: 1, Period: store.Period(time.Second), Burst: 1}}
	s := limits.Stats{LastMinute: limits.Totals{Allowed: 60, Refused: 40, Would: 5, Trial: 50}}
	for mode, parts := range map[string][]string{
		store.LimitEnforce: {"40 of 100 requests were refused (40.0%)", "would have refused 50 (50.0%)", "limits promote x"},
		store.LimitShadow:  {"enforce would have refused 5 of 100"},
		store.LimitBlock:   {"every request is refused", "limits rollback x"},
		store.LimitOff:     {"is off"},
	} {
		l.Mode = mode
		want(t, statsAdvice(&l, &s), parts...)
	}
}

func TestSparkline(t *testing.T) {
	if got := sparkline([]float64{0, 0.001, 50, 100}); got != " ▁▅█" {
		t.Errorf("got %q, want nothing for zero and something for little", got)
	}
	if got := sparkline([]float64{0, 0}); got != "  " {
		t.Errorf("got %q, want nothing", got)
	}
}

// A countdown ends the context after so many pictures.
type countdown struct {
	strings.Builder
	left int
	end  context.CancelFunc
}

func (c *countdown) Write(text []byte) (int, error) {
	if c.left--; c.left == 0 {
		c.end()
	}
	return c.Builder.Write(text)
}

func TestLimitWatchEndsWhenItIsInterrupted(t *testing.T) {
	c := newConsole(t)
	ctx, end := context.WithCancel(t.Context())
	out := &countdown{left: 2, end: end}
	root := newRootCommand(c.env)
	root.SetArgs([]string{"limits", "stats", "introspect.client", "--watch"})
	root.SetOut(out)
	root.SetErr(io.Discard)
	if status := execute(ctx, root); status != 0 || strings.Count(out.String(), "PER SECOND") != 2 {
		t.Errorf("got status %d and %q, want two pictures", status, out.String())
	}
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"500/1s", "10/15m", "1/s", "-5/1h", "5", "/", "9223372036854775808/1s", "1/1e9s", "1/ms"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, period, err := parseRate(text)
		if err != nil {
			return
		}
		again, same, err := parseRate(rateText(store.Quota{Rate: rate, Period: period}))
		if err != nil || again != rate || same != period {
			t.Errorf("%q: got %d/%v and %v, want %d/%v", text, again, same, err, rate, period)
		}
	})
}

// pageCommand finds the commands of the page, one a line.
var pageCommand = regexp.MustCompile(`(?m)^oauth2-server (limits .+)$`)

// The page shows commands that work, in its order, on the database of a first start.
func TestPageOnLimitsShowsCommandsThatWork(t *testing.T) {
	page, err := os.ReadFile("../../deploy/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	c, found := newConsole(t), 0
	for _, line := range pageCommand.FindAllStringSubmatch(string(page), -1) {
		c.must(strings.Fields(strings.TrimSuffix(line[1], " --watch"))...) // which would go on for ever
		found++
	}
	if found < 20 {
		t.Errorf("%d commands were tried: the test looks at nothing", found)
	}
	if l := c.limit("introspect.client"); l.Mode != store.LimitEnforce || l.Rate != 500 || l.Guard == nil || len(l.Overrides) != 2 {
		t.Errorf("got %+v, want what the page leads to", l)
	}
}

// The queries on the page are of metrics that there are.
func TestPageOnLimitsNamesMetricsThatThereAre(t *testing.T) {
	page, err := os.ReadFile("../../deploy/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	c, set := newConsole(t), metrics.NewSet()
	all, err := c.open().Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limits.New(limits.Options{Store: c.open(), Metrics: set, Log: slog.New(slog.DiscardHandler)}).Apply(all)
	var have strings.Builder
	set.WritePrometheus(&have)
	names := regexp.MustCompile(`oauth2_server_\w+`).FindAllString(string(page), -1)
	for _, name := range append(names, `rule="introspect.client"`, `decision="would_refuse"`, `decision="trial_refuse"`, `decision="refused"`) {
		want(t, have.String(), name)
	}
	if len(names) < 5 {
		t.Errorf("the page names %d metrics: the test looks at nothing", len(names))
	}
}
