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
		rows = append(rows, []string{k.Name, store.Period(k.Default).String(), store.Period(k.Least).String(), k.Doc})
	}
	return table(rows)
}

func statusText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		k := &all[i]
		ran := "never"
		if !k.Ran.IsZero() {
			ran = moment(k.Ran)
		}
		rows = append(rows, []string{
			k.Kind, keptText(k), atMost(k.Rows), sizeText(k.Bytes), atMost(k.Due), ran, strconv.FormatInt(k.Removed, 10), strconv.FormatInt(k.Total, 10),
		})
	}
	return list("", []string{"KIND", "KEPT", "ROWS", "SIZE", "DUE", "LAST RUN", "REMOVED", "IN ALL"}, rows) + faultsText(all)
}

func dueText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		rows = append(rows, []string{all[i].Kind, keptText(&all[i]), atMost(all[i].Due)})
	}
	return list("", []string{"KIND", "KEPT", "WOULD BE REMOVED"}, rows) + "Nothing was removed."
}

func removedText(all []store.Kept) string {
	var rows [][]string
	for i := range all {
		k := &all[i]
		rows = append(rows, []string{k.Kind, keptText(k), strconv.FormatInt(k.Removed, 10), atMost(k.Due), (time.Duration(k.Took) * time.Millisecond).String()})
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
		return k.Keep.String() + " (default " + k.Default.String() + ")"
	}
	return k.Keep.String()
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
