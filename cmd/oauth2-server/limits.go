package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

func newLimitsCommand(environ []string) *cobra.Command {
	return newGroup("limits", "Tune rate limits; running replicas follow within a second",
		&cobra.Command{Use: "list", Short: "List the rate limits", Args: cobra.NoArgs, RunE: withStore(environ, listLimits)},
		&cobra.Command{Use: "show NAME", Short: "Show a rate limit", Args: limitArgs(1), RunE: withStore(environ, showLimit)},
		limitsSet().command(environ), limitsDelete().command(environ), limitsOverride().command(environ), limitsTrial().command(environ),
		limitsPromote().command(environ), limitsRollback().command(environ),
		newLimitsHistory(environ), newLimitsStats(environ))
}

// limitArgs wants the name of a limit, and of its keys one where n is 2.
func limitArgs(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		if n == 2 {
			return fmt.Errorf("give the name of a limit and a key, not %d arguments", len(args))
		}
		return fmt.Errorf("give the name of one limit, not %d arguments", len(args))
	}
}

// A limitChange is a command that changes a limit.
type limitChange struct {
	use, short, long string
	flags            *pflag.FlagSet // nil: none but --if-version
	oneOf            []string       // flags of which one is needed
	apart            [][]string     // flags that exclude each other
	do               func(ctx context.Context, o limits.Operations, order limits.Order, args []string) (limits.Change, error)
	args             int                             // 0: the name alone
	note             func(done limits.Change) string // for people, of a change that was made; nil: there is none
}

func (l limitChange) command(environ []string) *cobra.Command {
	command := &cobra.Command{Use: l.use, Short: l.short, Long: l.long, Args: limitArgs(max(l.args, 1))}
	if l.flags != nil {
		command.Flags().AddFlagSet(l.flags)
	}
	if l.oneOf != nil {
		command.MarkFlagsOneRequired(l.oneOf...)
	}
	for _, flags := range l.apart {
		command.MarkFlagsMutuallyExclusive(flags...)
	}
	version := command.Flags().Int64("if-version", 0, "refuse unless the limit still has this version; 0: whatever it has")
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		done, err := l.do(ctx, j.limits(), limits.Order{Actor: j.actor, Name: args[0], Version: *version}, args)
		if err != nil {
			return aboutLimit(args[0], err)
		}
		note := ""
		if l.note != nil && !done.Same {
			note = l.note(done)
		}
		return j.showLimitChange(args[0], done, note)
	})
	return command
}

func (j *job) limits() limits.Operations { return limits.Operations{Store: j.db} }

func limitsSet() limitChange {
	s := newLimitFlags("set")
	return limitChange{
		use:   "set NAME",
		short: "Change what flags are given for, or make a new limit",
		long: "Change what flags are given for. A new limit needs --endpoint, --key and --rate; it begins in shadow, where it refuses\n" +
			"nothing, unless --mode says otherwise.",
		flags: s.FlagSet, do: s.set,
	}
}

// set changes a limit, or makes it where there is none.
func (f *limitFlags) set(ctx context.Context, o limits.Operations, order limits.Order, _ []string) (limits.Change, error) {
	p := f.patch()
	if p == (limits.Patch{}) {
		return limits.Change{}, errors.New("nothing to do: give a flag for each thing to change")
	}
	done, err := o.Patch(ctx, order, p)
	if !errors.Is(err, store.ErrNotFound) || order.Version != 0 {
		return done, err
	}
	if p.Endpoint == nil || p.Key == nil || p.Rate == nil {
		return limits.Change{}, fmt.Errorf("there is no limit %q: a new one needs --endpoint, --key and --rate (\"limits list\" shows those there are)", order.Name)
	}
	l := store.Limit{Quota: f.quota(), Endpoint: *p.Endpoint, Key: *p.Key, Mode: store.LimitShadow, Guard: p.Guard}
	if p.Mode != nil {
		l.Mode = *p.Mode
	}
	return o.Create(ctx, order, l)
}

func limitsDelete() limitChange {
	return limitChange{
		use: "delete NAME", short: "Delete a limit; \"limits rollback\" brings it back",
		do: func(ctx context.Context, o limits.Operations, order limits.Order, _ []string) (limits.Change, error) {
			return o.Delete(ctx, order)
		},
	}
}

func limitsOverride() limitChange {
	f := newLimitFlags("override")
	exempt := f.Bool("exempt", false, "never refuse this key, and do not count it")
	block := f.Bool("block", false, "refuse every request of this key")
	drop := f.Bool("drop", false, "let the limit's own value hold again")
	ways := []string{"rate", "exempt", "block", "drop"}
	return limitChange{
		use:   "override NAME KEY",
		short: "Let another value hold for one key: a client, an address, CLIENT@ADDRESS or a user name",
		args:  2, flags: f.FlagSet, oneOf: ways, apart: [][]string{ways, {"burst", "exempt"}, {"burst", "block"}, {"burst", "drop"}},
		do: func(ctx context.Context, o limits.Operations, order limits.Order, args []string) (limits.Change, error) {
			switch {
			case *drop:
				return o.DropOverride(ctx, order, args[1])
			case *exempt:
				return o.SetOverride(ctx, order, args[1], store.Override{Mode: store.OverrideExempt})
			case *block:
				return o.SetOverride(ctx, order, args[1], store.Override{Mode: store.OverrideBlock})
			}
			q := f.quota()
			return o.SetOverride(ctx, order, args[1], store.Override{Quota: &q})
		},
	}
}

func limitsTrial() limitChange {
	f := newLimitFlags("trial")
	drop := f.Bool("drop", false, "end the trial")
	ways := []string{"rate", "drop"}
	return limitChange{
		use: "trial NAME", short: "Evaluate a value beside the live one on real traffic; it refuses nothing",
		flags: f.FlagSet, oneOf: ways, apart: [][]string{ways, {"burst", "drop"}},
		do: func(ctx context.Context, o limits.Operations, order limits.Order, _ []string) (limits.Change, error) {
			if *drop {
				return o.DropTrial(ctx, order)
			}
			return o.SetTrial(ctx, order, f.quota())
		},
	}
}

func limitsPromote() limitChange {
	return limitChange{
		use: "promote NAME", short: "Make the trial's value the live one, and end the trial; the mode stays",
		do: func(ctx context.Context, o limits.Operations, order limits.Order, _ []string) (limits.Change, error) {
			return o.Promote(ctx, order)
		},
	}
}

func limitsRollback() limitChange {
	flags := pflag.NewFlagSet("rollback", pflag.ContinueOnError)
	version := flags.Int64("version", 0, "go back to this version of the history; 0: to the one before the newest change")
	return limitChange{
		use: "rollback NAME", short: "Make a limit again what it was before the newest change, or at a version",
		long: "Make a limit again what it was before the newest change, or at a version. A rollback is a change, too: a second one takes the\n" +
			"first one back, and says so; --version goes further back.",
		flags: flags, note: rollbackNote,
		do: func(ctx context.Context, o limits.Operations, order limits.Order, _ []string) (limits.Change, error) {
			return o.Rollback(ctx, order, *version)
		},
	}
}

// rollbackNote says what is in force: who rolls back a second time, to be safe, has the bad value again.
func rollbackNote(done limits.Change) string {
	again := "delete it again"
	if done.Before != nil {
		again = "bring back " + inForce(done.Before)
	}
	text := fmt.Sprintf("In force now: %s. A second rollback would %s.\n", inForce(done.After), again)
	if done.Undone == limits.ActionRollback {
		text = "The newest change was a rollback, and THAT is taken back.\n" + text
	}
	return text
}

func inForce(l *store.Limit) string {
	return fmt.Sprintf("%s, mode %s (version %d)", quotaText(l.Quota), l.Mode, l.Version)
}
