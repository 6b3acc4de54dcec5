package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// unseen are the meters of a tier whose metrics nobody reads.
func unseen() *meters { return newMeters(metrics.NewSet(), new(Cache)) }

// pruner is a store that answers each Prune with what a test says.
type pruner struct {
	Store
	done []store.Kept
	err  error
}

func (p *pruner) Prune(context.Context, ...string) ([]store.Kept, error) { return p.done, p.err }

func TestRetentionIsMeasured(t *testing.T) {
	set := metrics.NewSet()
	p := new(pruner)
	faults := set.NewCounter("oauth2_server_upkeep_faults_total")
	c := &Cache{
		options: Options{Store: p, Log: slog.New(slog.DiscardHandler)},
		metrics: &meters{registerFault: faults, retention: newRetentionMeter(set)},
	}
	want := func(lines ...string) {
		t.Helper()
		var text bytes.Buffer
		set.WritePrometheus(&text)
		for _, line := range lines {
			if !strings.Contains("\n"+text.String(), "\n"+line+"\n") {
				t.Errorf("%q is missing in\n%s", line, text.String())
			}
		}
	}
	run := func(removed, due int64, fault string, err error) {
		p.done, p.err = store.Unset(), err
		for i := range p.done {
			if p.done[i].Kind == store.KeptDenials {
				p.done[i].Removed, p.done[i].Due, p.done[i].Fault = removed, due, fault
			}
		}
		c.maintain(t.Context())
	}
	want(`oauth2_server_retention_removed_total{kind="audit"} 0`, "oauth2_server_retention_last_run_timestamp_seconds 0")
	run(7, 0, "", nil)
	run(5, 3, "no space left on device", errors.New("prune denials: no space left on device"))
	want(`oauth2_server_retention_removed_total{kind="denials"} 12`, `oauth2_server_retention_due{kind="denials"} 3`,
		`oauth2_server_retention_faults_total{kind="denials"} 1`, `oauth2_server_retention_faults_total{kind="audit"} 0`,
		"oauth2_server_retention_run_seconds_count 2", "oauth2_server_upkeep_faults_total 1")
	if c.metrics.retention.last.Get() < float64(time.Now().Add(-time.Minute).Unix()) {
		t.Error("the last run has no time")
	}
	run(1, 1, "", fmt.Errorf("another is at it: %w", store.ErrConflict))
	want(`oauth2_server_retention_removed_total{kind="denials"} 12`, `oauth2_server_retention_due{kind="denials"} 0`,
		"oauth2_server_retention_run_seconds_count 2", "oauth2_server_upkeep_faults_total 1")
}

// The store keeps cut-offs for a time only. A replica that runs for longer does not write them back, nor does one that
// never knew them take them for new ones, which would kill everything that lives.
func TestCutoffsThatMatterNoMoreAreNotRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(what string, at time.Time, revived bool) {
			t.Helper()
			cut := store.Cutoff{Kind: store.CutAll, Number: 5, At: at.Unix()}
			has, lacks := newState(func([]store.Key, bool) {}, nil), newState(func([]store.Key, bool) {}, nil)
			has.cutoffs.add(cut)
			_, back := has.lost(newWhole(), 9, time.Now().Unix())
			loaded := newWhole()
			loaded.cutoffs.add(cut)
			_, renewed := lacks.lost(loaded, 9, time.Now().Unix())
			if (len(back) == 1) != revived || (len(renewed) == 1) != revived {
				t.Errorf("a cut-off %s: %+v are written back, %+v renewed; want %v", what, back, renewed, revived)
			}
			if revived && (renewed[0].Number != 10 || renewed[0].At != time.Now().Unix()) {
				t.Errorf("a cut-off %s is renewed as %+v, want number 10 and the time it is", what, renewed[0])
			}
		}
		f("of a year ago", time.Now().Add(-store.CutoffLife-time.Second), false)
		f("that may matter", time.Now().Add(-store.CutoffLife), true)
	})
}

// A replica that knows a cut-off that the store has removed loads everything anew, and writes nothing.
func TestPrunedCutoffIsNotWrittenBackOnAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{tag: 1}
		f := follower(h, 0)
		h.add(store.Change{})
		h.add(store.Change{Cutoffs: []store.Cutoff{{Kind: store.CutAll, Number: 1, At: time.Now().Add(-store.CutoffLife - time.Hour).Unix()}}})
		start(t, f)
		time.Sleep(time.Second)
		h.set(func(h *history) { h.changes[1].Cutoffs, h.tag = nil, 2 })
		time.Sleep(time.Second)
		synctest.Wait()
		if h.loads != 2 || len(h.rewrote) != 0 || len(h.changes) != 2 {
			t.Errorf("%d loads, rewrote %+v, %d changes; want 2, none, 2", h.loads, h.rewrote, len(h.changes))
		}
	})
}
