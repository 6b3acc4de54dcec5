package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// clockSlack is by how much the clock of the database that was lost may have been ahead of this one's: the feed's numbers follow clocks.
const clockSlack = time.Minute

func newDatabaseRestored(environ []string) *cobra.Command {
	yes := false
	command := &cobra.Command{
		Use:   "restored",
		Short: "Take a database into use that was restored from a backup: revokes everything",
		Long: "Take a database into use that was restored from a backup. What was revoked after the backup it does not know, and a refresh\n" +
			"token that was used since is good in it once more. So all that was ever issued is revoked, and everybody signs in again;\n" +
			"what is issued afterwards is not concerned. The feed's numbers move past those that were drawn in the history that was lost:\n" +
			"replicas that followed it load everything anew, and write back the revocations they know.\n" +
			"Run it after every restore, before a server is pointed at the database. It may be repeated.",
		Args: cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		if err := j.confirm(yes, "Every token of every client will be revoked, and everybody signed out.", command.ErrOrStderr()); err != nil {
			return err
		}
		return takeRestored(ctx, j)
	})
	command.Flags().BoolVar(&yes, "yes", false, "confirm beforehand")
	return command
}

// takeRestored moves the numbers on first: the cut-off, which is drawn after it, is then above all that any replica has handed out. If
// it ends between the two, what is done is no harm, and it is done again.
func takeRestored(ctx context.Context, j *job) error {
	seen, err := j.db.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	past := store.Position(seen.Now.Add(clockSlack).UnixMilli())
	if err := j.db.Rewrite(ctx, j.actor, past, nil, nil); err != nil {
		return fmt.Errorf("move the feed's numbers on: %w", err)
	}
	cut, err := j.db.CutOff(ctx, j.actor, store.CutAll, "")
	if err != nil {
		return fmt.Errorf("cut off everything: %w", err)
	}
	reuse := time.Duration(oauth.PushedLife) * time.Second
	return j.show(map[string]any{"cutoff": cut}, func() string {
		return fmt.Sprintf("All %s issued up to now are revoked, and everybody is signed out (change %d).\n", "tokens, grants and codes", cut.Number) +
			"Client assertions and pushed requests that were used after the backup are not known here: for up to 10 minutes after they\n" +
			fmt.Sprintf("were made (%v for pushed requests) they would be taken once more. If the backup is younger than that, wait so long.", reuse)
	})
}
