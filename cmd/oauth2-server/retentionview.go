package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"oauth2-server/store"
)

func kindNames() []string {
	var names []string
	for _, k := range store.KeptKinds {
		names = append(names, k.Name)
	}
	return names
}

// kindsText is every kind with its times and what it is.
func kindsText() string {
	rows := [][]string{{"KIND", "DEFAULT", "LEAST", "WHAT"}}
	for _, k := range store.KeptKinds {
		rows = append(rows, []string{k.Name, lengthText(store.Period(k.Default)), lengthText(store.Period(k.Least)), k.Doc})
	}
	return table(rows)
}

// A unit is what tokens are counted in: rows are that of all else, and need no name.
type unit string

// unit of tokens: Postgres removes them by the partition.
func (j *job) unit() unit {
	if j.config.postgres() {
		return "partition"
	}
	return ""
}

// count is a number of what runs remove of a kind, which was counted up to store.MaxDue.
func (u unit) count(kind string, n int64) string {
	if u == "" || kind != store.KeptTokens {
		return atMost(n)
	}
	if n != 1 {
		u += "s"
	}
	return atMost(n) + " " + string(u)
}

func (u unit) statusText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		k := &all[i]
		ran := "never"
		if !k.Ran.IsZero() {
			ran = moment(k.Ran)
		}
		rows = append(rows, []string{
			k.Kind, keptText(k), atMost(k.Rows), sizeText(k.Bytes), u.count(k.Kind, k.Due), ran, u.count(k.Kind, k.Removed), u.count(k.Kind, k.Total),
		})
	}
	return list("", []string{"KIND", "KEPT", "ROWS", "SIZE", "DUE", "LAST RUN", "REMOVED", "IN ALL"}, rows) + faultsText(all)
}

func (u unit) dueText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		rows = append(rows, []string{all[i].Kind, keptText(&all[i]), u.count(all[i].Kind, all[i].Due)})
	}
	return list("", []string{"KIND", "KEPT", "WOULD BE REMOVED"}, rows) + "Nothing was removed."
}

func (u unit) removedText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		k := &all[i]
		rows = append(rows, []string{k.Kind, keptText(k), u.count(k.Kind, k.Removed), u.count(k.Kind, k.Due), (time.Duration(k.Took) * time.Millisecond).String()})
	}
	return list("", []string{"KIND", "KEPT", "REMOVED", "LEFT", "TIME"}, rows) + faultsText(all)
}

// faultsText says why kinds are not removed.
func faultsText(all []store.Kept) string {
	var b strings.Builder
	for i := range all {
		if all[i].Fault != "" {
			fmt.Fprintf(&b, "The last run could not remove %s: %s\n", all[i].Kind, all[i].Fault)
		}
	}
	return b.String()
}

func keptText(k *store.Kept) string {
	if k.Own {
		return lengthText(k.Keep) + " (default " + lengthText(k.Default) + ")"
	}
	return lengthText(k.Keep)
}

// lengthText is what parseLength reads: in days where they are whole.
func lengthText(length store.Period) string {
	const day = store.Period(24 * time.Hour)
	if length > 0 && length%day == 0 {
		return strconv.FormatInt(int64(length/day), 10) + "d"
	}
	return length.String()
}

// atMost is a number that was counted up to store.MaxDue.
func atMost(n int64) string {
	text := strconv.FormatInt(n, 10)
	if n == store.MaxDue {
		return text + " or more"
	}
	return text
}

func sizeText(bytes int64) string {
	const unit = 1 << 10
	if bytes == 0 {
		return "-"
	}
	size, suffix := float64(bytes), "KMGT"
	i := -1
	for size >= unit && i < len(suffix)-1 {
		size, i = size/unit, i+1
	}
	if i < 0 {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	return fmt.Sprintf("%.1f %ciB", size, suffix[i])
}
