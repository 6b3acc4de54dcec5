package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func TestRetentionThroughTheCommandLine(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		db := c.open()
		denial := store.Denial{Kind: store.DenyToken, ID: store.NewID(time.Now()), Expires: time.Now().Unix() - 25*3600}
		if err := db.Deny(t.Context(), []store.Denial{denial}); err != nil {
			t.Fatal(err)
		}
		status := func() (denials store.Kept) {
			t.Helper()
			all := decodeJSON[[]store.Kept](t, c.must("retention", "status", "--json"))
			if len(all) != len(store.KeptKinds) {
				t.Fatalf("got %d kinds, want %d", len(all), len(store.KeptKinds))
			}
			return all[1]
		}
		want(t, c.must("retention", "status"), "KIND", "audit", "400d", "cutoffs", "366d", "denials")
		want(t, c.must("retention", "set", "denials", "48h"), "denials: kept for 2d now, before it was 1d", "retention run denials --dry-run")
		c.wantAudit("retention.set")
		want(t, c.must("retention", "run", "denials", "--dry-run"), "2d (default 1d)", "Nothing was removed")
		if k := status(); k.Keep.String() != "48h" || !k.Own || k.Due != 0 || k.Version != 1 {
			t.Errorf("kept for 48h: %+v", k)
		}
		want(t, c.refused("retention", "set", "denials", "25h", "--if-version", "7"), "version 1 by now")
		done := decodeJSON[keptOutcome](t, c.must("retention", "set", "denials", "default", "--if-version", "1", "--json"))
		if !done.Before.Own || done.After.Own || done.After.Version != 2 {
			t.Errorf("set to the default: %+v", done)
		}
		if k := status(); k.Due != 1 {
			t.Errorf("%d are due, want 1", k.Due)
		}
		if ran := decodeJSON[[]store.Kept](t, c.must("retention", "run", "denials", "--json")); len(ran) != 1 || ran[0].Removed != 1 {
			t.Errorf("the run: %+v, want one removed", ran)
		}
		if k := status(); k.Due != 0 || k.Total != 1 {
			t.Errorf("after the run: %+v", k)
		}
		want(t, c.must("retention", "run"), "REMOVED", "jtis", "sizes")
		want(t, c.must("retention", "set", "audit", "90d"), "audit: kept for 90d now, before it was 400d")
	})
}

func TestRetentionRefusals(t *testing.T) {
	c := newConsole(t)
	want(t, c.refused("retention", "set", "tokens", "59m"), "59m: must be 1h to 87600h for tokens")
	want(t, c.refused("retention", "set", "cutoffs", "720h"), "must be 8784h")
	want(t, c.refused("retention", "set", "tokens", "soon"), `"soon" is no duration`)
	want(t, c.refused("retention", "set", "audit", "99999999d"), "is no duration")
	want(t, c.refused("retention", "set", "audit", "29d"), "29d: must be 720h")
	want(t, c.refused("retention", "set", "clients", "1h"), `there is no kind "clients"`, "denials")
	want(t, c.refused("retention", "set", "tokens"), "a kind and a time")
	want(t, c.refused("retention", "run", "clients"), `there is no kind "clients"`)
	if k := decodeJSON[[]store.Kept](t, c.must("retention", "status", "--json")); k[0].Version != 0 {
		t.Errorf("after refusals: %+v", k[0])
	}
}

func TestRetentionTexts(t *testing.T) {
	all := []store.Kept{{Kind: "denials", Due: store.MaxDue, Bytes: 3 << 29, Fault: errors.ErrUnsupported.Error()}, {Kind: "jtis", Bytes: 12}}
	want(t, unit("").statusText(all), "100000 or more", "1.5 GiB", "12 B", "never", "could not remove denials: unsupported operation")
	if text := faultsText(all); strings.Contains(text, "jtis") {
		t.Errorf("a kind without a fault is told of: %s", text)
	}
}

// In Postgres tokens go by the partition, and nothing else does.
func TestRetentionNamesPartitions(t *testing.T) {
	all := []store.Kept{{Kind: store.KeptTokens, Rows: 7, Due: 1, Removed: 2, Total: 3}, {Kind: store.KeptDenials, Due: 4}}
	rows, partitions := unit(""), unit("partition")
	want(t, partitions.statusText(all), "  7 ", " 1 partition ", " 2 partitions ", " 3 partitions")
	want(t, partitions.dueText(all), " 1 partition\n", " 4\n")
	want(t, partitions.removedText(all), " 2 partitions ", " 1 partition ")
	if text := rows.statusText(all) + rows.dueText(all) + rows.removedText(all); strings.Contains(text, "partition") {
		t.Errorf("rows are told as partitions: %s", text)
	}
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=" + private.TestDatabase(t)}}
	c.must("migrate")
	want(t, c.must("retention", "run", "tokens", "--dry-run"), " 0 partitions\n")
}

// What is shown is what may be given.
func TestLengthTextIsRead(t *testing.T) {
	for text, length := range map[string]time.Duration{"0s": 0, "1d": 24 * time.Hour, "90d": 2160 * time.Hour, "25h": 25 * time.Hour, "10m": 10 * time.Minute} {
		got := lengthText(store.Period(length))
		if back, err := parseLength(got); got != text || err != nil || back != store.Period(length) {
			t.Errorf("%v: got %q, read as %v, %v, want %q", length, got, back, err, text)
		}
	}
}
