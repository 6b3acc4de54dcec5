package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

const (
	sparkColumns = 60              // of a sparkline
	watchEvery   = 2 * time.Second // replicas tell as often
)

func newLimitsStats(environ []string) *cobra.Command {
	w := new(limitWatch)
	watch := false
	command := &cobra.Command{
		Use:   "stats NAME",
		Short: "Show what all replicas allowed and refused, and the busiest keys",
		Long: "Show what all replicas together allowed and refused per second in the last hour, what shadow and the trial would have\n" +
			"refused, and the busiest keys. --watch shows it again every two seconds until it is interrupted.",
		Args: limitArgs(1),
	}
	command.Flags().DurationVar(&w.last, "last", limits.MaxStats, "how far back, 1s to 1h")
	command.Flags().Int64Var(&w.resolution, "resolution", 0, "seconds per point; default: 1 as JSON, else what fits a line")
	command.Flags().BoolVar(&watch, "watch", false, "show it again every two seconds")
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		w.job, w.name, w.live = j, args[0], watch && isTerminal(j.w)
		err := w.show(ctx)
		for watch && err == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(watchEvery):
				err = w.show(ctx)
			}
		}
		if errors.Is(err, context.Canceled) {
			return nil // interrupted while it read
		}
		return aboutLimit(args[0], err)
	})
	return command
}

// A limitWatch shows how it goes with one limit.
type limitWatch struct {
	*job
	name       string
	last       time.Duration
	resolution int64
	live       bool // on a terminal: each picture in the place of the one before
}

func (w *limitWatch) show(ctx context.Context) error {
	l, err := w.limits().Find(ctx, w.name)
	if err != nil {
		return err
	}
	resolution := cmp.Or(w.resolution, 1)
	if w.resolution == 0 && !w.json {
		resolution = max(int64(w.last/time.Second)/sparkColumns, 1)
	}
	s, err := limits.ReadStats(ctx, w.db, limits.StatsQuery{Limit: w.name, Resolution: resolution, Last: w.last, Now: time.Now(), Names: limits.NamesOf(w.db)})
	if err != nil {
		return err
	}
	if w.live {
		fmt.Fprint(w.w, "\x1b[H\x1b[2J") // to the corner, and clear
	}
	return w.job.show(s, func() string { return statsText(&l, &s) })
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// statsText is the picture of a limit: what it is, what was counted, who, and what to do about it.
func statsText(l *store.Limit, s *limits.Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s", l.Name, l.Mode, quotaText(l.Quota))
	if l.Trial != nil {
		fmt.Fprintf(&b, ", trial %s", quotaText(*l.Trial))
	}
	fmt.Fprintf(&b, "\nby %s on %s, version %d since %s\n\n", l.Key, l.Endpoint, l.Version, moment(l.Updated))
	b.WriteString(table(seriesRows(s)))
	if len(s.Busiest) > 0 {
		b.WriteString("\n" + table(busyRows("BUSIEST KEYS", s.Busiest)))
	}
	if slices.ContainsFunc(s.Refused, func(k limits.KeyStat) bool { return !slices.Contains(s.Busiest, k) }) {
		b.WriteString("\n" + table(busyRows("MOST REFUSED KEYS", s.Refused)))
	}
	fmt.Fprintf(&b, "\nas of %s; %s\n%s", moment(s.AsOf), heardText(s), statsAdvice(l, s))
	return b.String()
}

func seriesRows(s *limits.Stats) [][]string {
	span := s.AsOf.Sub(s.From)
	rows := [][]string{{"PER SECOND", "LAST MINUTE", "LAST " + strings.ToUpper(store.Period(span).String()), "PEAK", fmt.Sprintf("%s A COLUMN", store.Period(time.Duration(s.Resolution)*time.Second))}}
	for _, one := range []struct {
		name         string
		minute, span int64
		peak         int64
		points       []float64
	}{
		{"allowed", s.LastMinute.Allowed, s.Total.Allowed, s.Peak.Allowed, s.Series.Allowed},
		{"refused", s.LastMinute.Refused, s.Total.Refused, s.Peak.Refused, s.Series.Refused},
		{"would_refuse (shadow)", s.LastMinute.Would, s.Total.Would, s.Peak.Would, s.Series.Would},
		{"trial_refuse (trial)", s.LastMinute.Trial, s.Total.Trial, s.Peak.Trial, s.Series.Trial},
	} {
		minute := min(60, span.Seconds())
		rows = append(rows, []string{
			one.name, perSecond(float64(one.minute) / minute), perSecond(float64(one.span) / span.Seconds()),
			perSecond(float64(one.peak)), "│" + sparkline(one.points) + "│",
		})
	}
	return rows
}

func perSecond(n float64) string { return fmt.Sprintf("%.1f/s", n) }

// sparkline is a column for each point, as high as it is among them; a point of zero is empty and any other is not.
func sparkline(points []float64) string {
	columns := []rune("▁▂▃▄▅▆▇█")
	top := slices.Max(points)
	var b strings.Builder
	for _, p := range points {
		if p == 0 {
			b.WriteRune(' ')
			continue
		}
		b.WriteRune(columns[min(int(p/top*float64(len(columns))), len(columns)-1)])
	}
	return b.String()
}

func busyRows(title string, keys []limits.KeyStat) [][]string {
	rows := [][]string{{title, "REQUESTS", "SHARE", "REFUSED", "SHARE"}}
	for _, k := range keys {
		rows = append(rows, []string{k.Key, fmt.Sprint(k.Requests), percent(k.Share), fmt.Sprint(k.Refused), percent(k.RefusedShare)})
	}
	return rows
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

// heardText says which replicas the counts are of.
func heardText(s *limits.Stats) string {
	running, quiet := 0, []string{}
	for _, r := range s.Replicas {
		if !r.Runs {
			continue
		}
		running++
		if r.Heard == nil {
			quiet = append(quiet, r.ID.String())
		}
	}
	text := fmt.Sprintf("%d of %d running replicas counted requests in this time", running-len(quiet), running)
	if len(quiet) > 0 {
		text += "; those without traffic, or cut off from the database: " + strings.Join(quiet, ", ")
	}
	return text
}

// statsAdvice says what the last minute means, and what can be done.
func statsAdvice(l *store.Limit, s *limits.Stats) string {
	m := s.LastMinute
	requests := m.Allowed + m.Refused
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	part := func(n int64) string { return percent(float64(n) / float64(max(requests, 1))) }
	switch {
	case l.Mode == store.LimitOff:
		say("The limit is off: nothing is counted.")
	case l.Mode == store.LimitBlock:
		say("The mode is block: every request is refused. Back: oauth2-server limits rollback %s", l.Name)
	case requests == 0:
		say("In the last minute there was no request.")
	case l.Mode == store.LimitShadow:
		say("In the last minute enforce would have refused %d of %d requests (%s); in shadow nothing is refused.", m.Would, requests, part(m.Would))
	default:
		say("In the last minute %d of %d requests were refused (%s).", m.Refused, requests, part(m.Refused))
	}
	if l.Trial != nil && requests > 0 {
		say("The trial would have refused %d (%s). Make it the value: oauth2-server limits promote %s", m.Trial, part(m.Trial), l.Name)
	}
	return strings.Join(lines, "\n")
}
