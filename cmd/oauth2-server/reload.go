package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

const (
	lookEvery  = time.Second     // between two looks at the files
	retryEvery = 5 * time.Second // between two attempts at what was refused: the fault may be elsewhere than in the files
)

// A reload keeps the running server in step with the files that its environment names: the environment of a process cannot
// change, they can. It looks when told to by SIGHUP, and every second, at what they hold: Kubernetes changes a mounted
// secret by swapping a link two folders above, which watching the file would miss. Either all that has changed is good
// and is taken over, or all of the old stays in force; only what the others are judged by comes before them, see [part].
type reload struct {
	source
	log   *slog.Logger
	parts []part
	now   atomic.Pointer[Config] // in effect
	state atomic.Pointer[standing]

	applied digests // in force
	seen    digests // at the last look
	judged  digests
	tried   time.Time       // last judgement
	owed    map[int]*Config // by part: of what something is left to do in the store

	outcomes map[string]*metrics.Counter
}

// A standing is how what lies in the files stands to what is in force.
type standing struct {
	refused    string   // why it is not in force; "": it is
	unfinished string   // why it is in force, but not finished in the store; "": it is finished
	restart    []string // variables of it that only a restart puts in force, until the files hold again what is
}

// ok reports whether nothing is refused or unfinished, which is tried again.
func (s *standing) ok() bool { return s.refused == "" && s.unfinished == "" }

// A source is where the configuration comes from, and what asks to read it again. Without one nothing is read again.
type source struct {
	files  files
	start  digests // what the files held before they were read for the start
	hangup chan os.Signal
	level  *slog.LevelVar // of the log
}

// newSource also keeps SIGHUP from ending the process, for good: one that comes in its first or last moments does no harm.
func newSource(environ []string) source {
	s := source{files: namedFiles(readPipes(environ)), hangup: make(chan os.Signal, 1), level: new(slog.LevelVar)}
	signal.Notify(s.hangup, syscall.SIGHUP)
	s.start = s.files.digests()
	return s
}

// A part is what can change while the server runs.
type part struct {
	names []string // variables
	// first: it proves itself, and is taken before the others are judged, which may need it. The store by an old password may be
	// out of reach.
	first bool
	// try sees whether the new configuration will do, and take puts it in force; nil: that needs a restart.
	try func(ctx context.Context, fresh *Config) (take func(), err error)
	// settle does what is left to do in the store, and is tried until it is done. It may be nil.
	settle func(ctx context.Context, fresh *Config) error
}

const (
	reloadApplied   = "applied"
	reloadRefused   = "refused"
	reloadUnchanged = "unchanged"
)

// newReload starts from what c was read from. Its parts are for the caller to set before run.
func newReload(c *Config, from source, set *metrics.Set, log *slog.Logger) *reload {
	w := &reload{
		source: from, log: log, applied: maps.Clone(from.start), seen: from.start, judged: from.start,
		owed: map[int]*Config{}, outcomes: map[string]*metrics.Counter{},
	}
	w.now.Store(c)
	w.state.Store(new(standing))
	for _, outcome := range []string{reloadApplied, reloadRefused, reloadUnchanged} {
		w.outcomes[outcome] = set.NewCounter(fmt.Sprintf("oauth2_server_config_reloads_total{outcome=%q}", outcome))
	}
	set.NewGauge("oauth2_server_config_reload_ok", func() float64 {
		if !w.standing().ok() {
			return 0
		}
		return 1
	})
	return w
}

// standing is how what lay in the files stood at the last judgement.
func (w *reload) standing() *standing { return w.state.Load() }

// config is the configuration in effect.
func (w *reload) config() *Config { return w.now.Load() }

// run looks until ctx is done.
func (w *reload) run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.hangup:
			w.judge(ctx, w.files.digests(), true)
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

// look judges what has changed once it was the same at two looks: a file that is being written is not read half.
func (w *reload) look(ctx context.Context) {
	now := w.files.digests()
	stands := maps.Equal(now, w.seen)
	w.seen = now
	switch {
	case stands && !maps.Equal(now, w.judged):
		w.judge(ctx, now, true)
	case !w.standing().ok() && time.Since(w.tried) > retryEvery:
		w.judge(ctx, now, false)
	}
}

// judge takes over what is new in the files, or refuses it. What is news is counted, and told if it was not told before.
func (w *reload) judge(ctx context.Context, now digests, news bool) {
	changed := now.differ(w.applied)
	applied, err := w.apply(ctx, now, changed)
	for _, name := range applied {
		w.applied[name] = now[name]
	}
	w.judged, w.tried = now, time.Now()
	outcome := reloadUnchanged
	switch {
	case err != nil:
		outcome = reloadRefused
	case len(applied) > 0:
		outcome = reloadApplied
	}
	late := w.settle(ctx)
	if ctx.Err() != nil {
		return // the server ends: no fault
	}
	if news || outcome == reloadApplied {
		w.outcomes[outcome].Inc()
	}
	restart := now.differ(w.applied)
	if err != nil { // what else is in the files is refused with the rest
		restart = intersection(w.standing().restart, restart)
	}
	w.tell(news, applied, err, &standing{text(err), text(late), restart})
}

// text is what an error says, nothing of none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// apply takes over the parts that come first, then the others; it returns what is in force now, also beside an error.
func (w *reload) apply(ctx context.Context, now digests, changed []string) (applied []string, err error) {
	applied = []string{}
	fresh, err := loadConfig(w.files.environ)
	if err != nil {
		return applied, err
	}
	for _, first := range []bool{true, false} {
		taken, err := w.take(ctx, fresh, now, func(p *part) []string {
			if p.first != first {
				return nil
			}
			return intersection(changed, p.names)
		})
		applied = append(applied, taken...)
		if err != nil {
			return applied, err
		}
	}
	slices.Sort(applied)
	return slices.Compact(applied), nil
}

// take tries all parts of which something has changed, and takes over all of them or none.
func (w *reload) take(ctx context.Context, fresh *Config, now digests, changed func(*part) []string) (applied []string, err error) {
	var takes []func()
	var faults []error
	settling := map[int]*Config{}
	for i, p := range w.parts {
		mine := changed(&p)
		if len(mine) == 0 {
			continue
		}
		take, err := p.try(ctx, fresh)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", mine[0], err))
		case take != nil:
			takes, applied = append(takes, take), append(applied, mine...)
			settling[i] = fresh
		}
	}
	if !maps.Equal(now, w.files.digests()) {
		faults = append(faults, errors.New("the files change while they are read"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, take := range takes {
		take()
	}
	maps.Copy(w.owed, settling)
	w.now.Store(w.config().with(fresh, applied))
	return applied, nil
}

// settle does what parts have left to do in the store.
func (w *reload) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	var faults []error
	for i, fresh := range w.owed {
		if p := w.parts[i]; p.settle != nil {
			if err := p.settle(ctx, fresh); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", p.names[0], err))
				continue
			}
		}
		delete(w.owed, i)
	}
	return errors.Join(faults...)
}

// tell keeps how it stands for whoever asks, and logs what is new: names, never values.
func (w *reload) tell(news bool, applied []string, err error, now *standing) {
	before := w.state.Swap(now)
	if now.unfinished != "" && (news || now.unfinished != before.unfinished) {
		w.log.Error("what the files hold now is in force, but not finished in the store; that is tried again", "fault", now.unfinished)
	}
	switch {
	case err != nil:
		if news || now.refused != before.refused || len(applied) > 0 {
			w.log.Error("what the files hold now is refused; what was before stays in force", "applied", applied, "faults", lines(err))
		}
	case len(now.restart) > 0 && (news || len(applied) > 0 || before.refused != ""):
		w.log.Warn("the configuration was read again; a part of what changed needs a restart", "applied", applied, "restart", now.restart)
	case len(applied) > 0:
		w.log.Info("the configuration was read again", "applied", applied)
	case now.unfinished != "": // told above
	case before.unfinished != "":
		w.log.Info("what the files hold is finished in the store")
	case before.refused != "" || len(before.restart) > 0 && len(now.restart) == 0:
		w.log.Info("the files hold again what is in force")
	case news:
		w.log.Info("the configuration was read again: nothing has changed")
	}
}

// intersection is those of a that are in b.
func intersection(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}
