package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/store"
)

func newReplicasCommand(environ []string) *cobra.Command {
	all := false
	command := &cobra.Command{
		Use:   "replicas",
		Short: "List the running replicas, as they register themselves",
		Long: "List the running replicas, as they register themselves every five seconds. --json has all that they say of themselves.\n" +
			"With --all those that are gone are listed too, as long as they are kept (oauth2-server retention status).",
		Args: cobra.NoArgs,
		RunE: withStore(environ, func(ctx context.Context, j *job, _ []string) error { return listReplicas(ctx, j, all) }),
	}
	command.Flags().BoolVar(&all, "all", false, "list those that are gone, too; the newest start comes first")
	return command
}

func listReplicas(ctx context.Context, j *job, withGone bool) error {
	alive, err := j.db.Replicas(ctx)
	if err != nil {
		return fmt.Errorf("list replicas: %w", err)
	}
	all := alive
	if withGone {
		if all, err = j.db.ReplicasSince(ctx, time.Time{}); err != nil {
			return fmt.Errorf("list replicas that are gone: %w", err)
		}
	}
	isAlive := map[store.ID]bool{} // as the store's clock has it
	for _, r := range alive {
		isAlive[r.ID] = true
	}
	return j.show(append([]store.Replica{}, all...), func() string { return replicaTable(all, isAlive) })
}

func replicaTable(all []store.Replica, isAlive map[store.ID]bool) string {
	var rows [][]string
	for _, r := range all {
		fence := time.Duration(r.Fence) * time.Millisecond
		rows = append(rows, []string{
			cmp.Or(r.Vitals.Host, "-"), r.Public, versionOf(r), moment(r.Started), stateOf(r, isAlive[r.ID]), fence.String(),
			strconv.FormatInt(int64(r.Position), 10), mebibytes(r.Vitals.Memory), r.ID.String(),
		})
	}
	return list("No replica is running.", []string{"HOST", "ADDRESS", "VERSION", "UP SINCE", "STATE", "FENCE AGE", "POSITION", "MEMORY", "ID"}, rows)
}

// stateOf says how a replica is. One that ended in good order has said so; of one that was killed only its silence tells.
func stateOf(r store.Replica, alive bool) string {
	switch v := r.Vitals; {
	case !v.Ended.IsZero():
		return "ended " + moment(v.Ended)
	case v.Fault != "":
		return "ended by itself: " + v.Fault
	case !alive:
		return "gone, last seen " + moment(r.Seen)
	case v.Ready:
		return "ready"
	case len(v.Failing) > 0:
		return "not ready: " + strings.Join(v.Failing, "; ")
	}
	return "-" // it says nothing of itself: an older version
}

// shownRevision is how much of a revision tells it from others.
const shownRevision = 12

func versionOf(r store.Replica) string {
	revision := r.Vitals.Revision
	if len(revision) > shownRevision && !strings.Contains(revision, " ") {
		revision = revision[:shownRevision]
	}
	return strings.TrimSpace(r.Version + " " + revision)
}

func mebibytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
