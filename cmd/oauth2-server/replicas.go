package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/store"
)

func newReplicasCommand(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:   "replicas",
		Short: "List the running replicas, as they register themselves",
		Args:  cobra.NoArgs,
		RunE:  withStore(environ, listReplicas),
	}
}

func listReplicas(ctx context.Context, j *job, _ []string) error {
	all, err := j.db.Replicas(ctx)
	if err != nil {
		return fmt.Errorf("list replicas: %w", err)
	}
	if all == nil {
		all = []store.Replica{}
	}
	var rows [][]string
	for _, r := range all {
		fence := time.Duration(r.Fence) * time.Millisecond
		rows = append(rows, []string{r.ID.String(), r.Version, r.Public, fence.String(), strconv.FormatInt(int64(r.Position), 10), moment(r.Seen)})
	}
	return j.show(all, func() string {
		return list("No replica is running.", []string{"ID", "VERSION", "ADDRESS", "FENCE AGE", "POSITION", "SEEN"}, rows)
	})
}
