package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

func listLimits(ctx context.Context, j *job, _ []string) error {
	all, err := j.db.Limits(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{
			l.Name, l.Endpoint, l.Key, quotaText(l.Quota), l.Mode, trialText(l.Trial), strconv.Itoa(len(l.Overrides)),
			strconv.FormatInt(l.Version, 10), moment(l.Updated),
		})
	}
	return j.show(append([]store.Limit{}, all...), func() string {
		return list("There is no limit: \"oauth2-server limits set NAME --endpoint … --key … --rate …\" makes one.",
			[]string{"NAME", "ENDPOINT", "KEY", "LIMIT", "MODE", "TRIAL", "OVERRIDES", "VERSION", "CHANGED"}, rows)
	})
}

func showLimit(ctx context.Context, j *job, args []string) error {
	l, err := j.limits().Find(ctx, args[0])
	if err != nil {
		return err
	}
	return j.show(l, func() string {
		rows := append([][]string{{"name", l.Name}}, limitRows(&l)...)
		return table(append(rows, []string{"version", strconv.FormatInt(l.Version, 10)},
			[]string{"created", moment(l.Created)}, []string{"updated", moment(l.Updated)}))
	})
}

// limitRows are what a limit says, a row each; none of one that is not there.
func limitRows(l *store.Limit) [][]string {
	if l == nil {
		return nil
	}
	rows := [][]string{
		{"endpoint", l.Endpoint},
		{"key", l.Key},
		{"rate", rateText(l.Quota)},
		{"burst", strconv.FormatInt(l.Burst, 10)},
		{"mode", l.Mode},
		{"trial", trialText(l.Trial)},
		{"guard", cmp.Or(guardText(l.Guard), "-")},
	}
	for _, key := range slices.Sorted(maps.Keys(l.Overrides)) {
		rows = append(rows, []string{"override " + key, overrideText(l.Overrides[key])})
	}
	return rows
}

// rateText is a rate as the flags read it.
func rateText(q store.Quota) string { return fmt.Sprintf("%d/%s", q.Rate, q.Period) }

func quotaText(q store.Quota) string { return fmt.Sprintf("%s burst %d", rateText(q), q.Burst) }

func trialText(q *store.Quota) string {
	if q == nil {
		return "-"
	}
	return quotaText(*q)
}

func overrideText(o store.Override) string {
	if o.Quota == nil {
		return o.Mode
	}
	return quotaText(*o.Quota)
}

func guardText(g *store.Guard) string {
	if g == nil {
		return ""
	}
	return fmt.Sprintf("%d/%s", g.MaxNewRefusedKeys, g.Within)
}

// limitDifference is a row for each thing that two versions of a limit say differently: what, from, to.
func limitDifference(before, after *store.Limit) [][]string {
	then, now := map[string]string{}, map[string]string{}
	var names []string
	for _, version := range []struct {
		rows [][]string
		says map[string]string
	}{{limitRows(before), then}, {limitRows(after), now}} {
		for _, row := range version.rows {
			version.says[row[0]] = row[1]
			if !slices.Contains(names, row[0]) {
				names = append(names, row[0])
			}
		}
	}
	var rows [][]string
	for _, name := range names {
		if from, to := cmp.Or(then[name], "-"), cmp.Or(now[name], "-"); from != to {
			rows = append(rows, []string{name, from, "→", to})
		}
	}
	return rows
}

// limitOutcome is what a command did to a limit.
type limitOutcome struct {
	Name    string       `json:"name"`
	Changed bool         `json:"changed"`
	Before  *store.Limit `json:"before"` // null: there was none
	After   *store.Limit `json:"after"`  // null: it is deleted
}

// showLimitChange says what changed from what to what, with what is to be noted of it, and what to watch next.
func (j *job) showLimitChange(name string, done limits.Change, note string) error {
	return j.show(limitOutcome{name, !done.Same, done.Before, done.After}, func() string {
		if done.Same {
			return fmt.Sprintf("Nothing to do: limit %q is like that already, at version %d.", name, done.After.Version)
		}
		rows := limitDifference(done.Before, done.After)
		for i := range rows {
			rows[i][0] = "  " + rows[i][0]
		}
		return fmt.Sprintf("%s\n%s%s%s", limitHeadline(name, done), table(rows), note, limitAdvice(name, done.After))
	})
}

func limitHeadline(name string, done limits.Change) string {
	switch {
	case done.After == nil:
		return fmt.Sprintf("Limit %q is deleted; it had version %d. Every replica follows within a second.", name, done.Before.Version)
	case done.Before == nil:
		return fmt.Sprintf("Limit %q is made, version %d. Every replica follows within a second.", name, done.After.Version)
	}
	return fmt.Sprintf("Limit %q has version %d now, before it %d. Every replica follows within a second.", name, done.After.Version, done.Before.Version)
}

// limitAdvice is what to look at after a change, and the way back.
func limitAdvice(name string, l *store.Limit) string {
	var text string
	back := fmt.Sprintf("Back: oauth2-server limits rollback %s", name)
	switch {
	case l == nil:
		return back
	case l.Mode == store.LimitOff:
		text = "The mode is off: nothing is counted and nothing refused."
	case l.Mode == store.LimitShadow:
		text = "In shadow nothing is refused; would_refuse tells what enforce would do."
	case l.Mode == store.LimitBlock:
		text = "Every request is refused, whatever the value."
	}
	if l.Trial != nil && l.Mode != store.LimitOff {
		text = strings.TrimSpace(text + " The trial refuses nothing; trial_refuse tells what it would do.")
	}
	watch := fmt.Sprintf("Watch: oauth2-server limits stats %s --watch", name)
	if text != "" {
		watch = text + "\n" + watch
	}
	return watch + "\n" + back
}

func newLimitsHistory(environ []string) *cobra.Command {
	most := 0
	command := &cobra.Command{Use: "history NAME", Short: "Who changed a limit, when, from what to what; the newest first", Args: limitArgs(1)}
	command.Flags().IntVar(&most, "limit", 20, "show at most so many changes")
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		page, err := j.limits().History(ctx, limits.HistoryQuery{Limit: args[0], Most: max(most, 1)})
		if err != nil {
			return err
		}
		return j.show(page.Items, func() string { return historyText(args[0], page.Items) })
	})
	return command
}

func historyText(name string, all []limits.Version) string {
	var rows [][]string
	for _, v := range all {
		var parts []string
		for _, row := range limitDifference(v.Before(), v.Value) {
			parts = append(parts, strings.Join(row, " "))
		}
		rows = append(rows, []string{strconv.FormatInt(v.Version, 10), moment(v.At), strings.TrimPrefix(v.Action, "limit."), cmp.Or(v.Actor, "-"), strings.Join(parts, ", ")})
	}
	return list(fmt.Sprintf("The audit knows no change of limit %q.", name), []string{"VERSION", "AT", "WHAT", "WHO", "CHANGE"}, rows)
}
