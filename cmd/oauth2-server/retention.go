package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/store"
)

// prunePatience bounds a run by hand. What is left then, the servers go on with.
const prunePatience = 10 * time.Minute

func newRetentionCommand(environ []string) *cobra.Command {
	return newGroup("retention", "See and set how long what is past is kept; running replicas remove it every minute",
		&cobra.Command{
			Use: "status", Short: "Show how long what is kept, how much there is of it, and what the last run removed", Args: cobra.NoArgs,
			RunE: withStore(environ, showRetention),
		},
		newRetentionRun(environ), newRetentionSet(environ))
}

func showRetention(ctx context.Context, j *job, _ []string) error {
	all, err := j.db.Kept(ctx)
	if err != nil {
		return err
	}
	return j.show(all, func() string { return j.unit().statusText(all) })
}

func newRetentionRun(environ []string) *cobra.Command {
	command := &cobra.Command{
		Use:   "run [KIND…]",
		Short: "Remove what is past now, of all kinds or of those named",
		Long:  "Remove what is past now, as running replicas do every minute. Kinds:\n\n" + kindsText(),
		Args:  keptKinds,
	}
	dry := command.Flags().Bool("dry-run", false, "remove nothing, and say what would be removed")
	command.RunE = withStore(environ, func(ctx context.Context, j *job, kinds []string) error {
		if *dry {
			return j.dryRun(ctx, kinds)
		}
		return j.prune(ctx, kinds)
	})
	return command
}

// keptKinds wants arguments that are kinds.
func keptKinds(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if !slices.ContainsFunc(store.KeptKinds[:], func(k store.KeptKind) bool { return k.Name == arg }) {
			return fmt.Errorf("there is no kind %q: it is one of %s", arg, strings.Join(kindNames(), ", "))
		}
	}
	return nil
}

func (j *job) dryRun(ctx context.Context, kinds []string) error {
	all, err := j.db.Kept(ctx)
	if err != nil {
		return err
	}
	if len(kinds) > 0 {
		all = slices.DeleteFunc(all, func(k store.Kept) bool { return !slices.Contains(kinds, k.Kind) })
	}
	return j.show(all, func() string { return j.unit().dueText(all) })
}

func (j *job) prune(ctx context.Context, kinds []string) error {
	ctx, cancel := context.WithTimeout(ctx, prunePatience)
	defer cancel()
	done, err := j.db.Prune(ctx, kinds...)
	if errors.Is(err, store.ErrConflict) || len(done) == 0 {
		return err
	}
	return errors.Join(j.show(done, func() string { return j.unit().removedText(done) }), err)
}

func newRetentionSet(environ []string) *cobra.Command {
	command := &cobra.Command{
		Use:   "set KIND DURATION|default",
		Short: "Set how long a kind is kept, from the next run on",
		Long: "Set how long a kind is kept, like 90d or 36h, or let the default hold again. Below the least a promise would break, so it is\n" +
			"refused. Kinds:\n\n" + kindsText(),
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give a kind and a time, not %d arguments", len(args))
			}
			return keptKinds(command, args[:1])
		},
	}
	version := command.Flags().Int64("if-version", 0, "refuse unless the setting still has this version; 0: whatever it has")
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		return j.setKept(ctx, args[0], args[1], *version)
	})
	return command
}

// keptOutcome is what a command did to a setting.
type keptOutcome struct {
	Kind   string     `json:"kind"`
	Before keptLength `json:"before"`
	After  keptLength `json:"after"`
}

type keptLength struct {
	Keep    store.Period `json:"keep"`
	Own     bool         `json:"own"`
	Version int64        `json:"version"`
}

func (j *job) setKept(ctx context.Context, kind, length string, version int64) error {
	done := keptOutcome{Kind: kind}
	err := j.db.SetKept(ctx, j.actor, kind, func(k *store.Kept) (err error) {
		if version != 0 && version != k.Version {
			return fmt.Errorf("the setting of %s has version %d by now, not %d", kind, k.Version, version)
		}
		done.Before = keptLength{k.Keep, k.Own, k.Version}
		if k.Own = length != "default"; !k.Own {
			done.After = keptLength{k.Default, false, k.Version + 1}
			return nil
		}
		if k.Keep, err = parseLength(length); err != nil {
			return err
		}
		done.After = keptLength{k.Keep, true, k.Version + 1}
		return nil
	})
	if faults := store.FieldErrors(err); faults != nil {
		return fmt.Errorf("%s: %s", length, faults[0].Problem)
	}
	if err != nil {
		return err
	}
	return j.show(done, func() string {
		return fmt.Sprintf("%s: kept for %s now, before it was %s. It holds from the next run on, within a minute.\n"+
			"\"oauth2-server retention run %s --dry-run\" says what that will remove.", kind, lengthText(done.After.Keep), lengthText(done.Before.Keep), kind)
	})
}

// parseLength reads a duration, or whole days.
func parseLength(text string) (store.Period, error) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return store.Period(days) * store.Period(24*time.Hour), nil
		}
	}
	var length store.Period
	if err := length.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("%q is no duration like 90d, 36h or 15m", text)
	}
	return length, nil
}
