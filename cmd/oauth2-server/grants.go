package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

func newGrantsCommand(environ []string) *cobra.Command {
	return newGroup("grants", "Look at what users have allowed clients; \"revoke --grant\" ends one", newGrantsList(environ))
}

func newGrantsList(environ []string) *cobra.Command {
	var user string
	query := store.GrantQuery{}
	command := &cobra.Command{
		Use:   "list --subject USER | --client ID",
		Short: "List the grants of a user, or to a client, the newest first",
		Args:  cobra.NoArgs,
		RunE: withStore(environ, func(ctx context.Context, j *job, _ []string) error {
			return listGrants(ctx, j, user, query)
		}),
	}
	flags := command.Flags()
	flags.StringVar(&user, "subject", "", "name or id of a user")
	flags.StringVar(&query.Client, "client", "", "id of a client")
	flags.BoolVar(&query.Live, "live", false, "only those that are neither revoked nor expired")
	flags.IntVar(&query.Limit, "limit", 100, "at most so many")
	command.MarkFlagsOneRequired("subject", "client")
	return command
}

func listGrants(ctx context.Context, j *job, user string, query store.GrantQuery) error {
	if query.Limit < 1 {
		return errors.New("--limit: must be 1 or more")
	}
	if user != "" {
		found, err := j.user(ctx, user)
		if err != nil {
			return err
		}
		query.Subject = found.ID.String()
	}
	if query.Client != "" {
		if _, err := j.db.Client(ctx, query.Client); err != nil {
			return about(query.Client, err)
		}
	}
	all, next, err := explain.Grants(ctx, j.db, query, time.Now())
	if err != nil {
		return fmt.Errorf("list the grants: %w", err)
	}
	return j.show(all, func() string {
		text := list("There is no such grant.", []string{"ID", "CLIENT", "SUBJECT", "SCOPE", "STATE", "USED", "EXPIRES"}, grantRows(all))
		if !next.IsZero() {
			text += "There are more: --limit shows them."
		}
		return text
	})
}

func grantRows(all []explain.Grant) (rows [][]string) {
	for _, g := range all {
		rows = append(rows, []string{g.ID.String(), g.Client, g.Subject, g.Scope, g.State, moment(g.Used), moment(g.Expires)})
	}
	return rows
}

// revokeGrant ends what a user has allowed a client. It must be there and alive, so that a mistake is noticed.
func revokeGrant(ctx context.Context, j *job, text string) error {
	id, err := store.ParseID(text)
	if err != nil {
		return errors.New("--grant: must be the id of a grant, a UUID")
	}
	grant, err := j.db.Grant(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no grant %s", id)
	}
	if err != nil {
		return err
	}
	n, err := j.db.RevokeGrants(ctx, j.actor, store.GrantQuery{ID: id})
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("nothing to revoke: grant %s is expired or revoked already", id)
	}
	answer := struct {
		ID      store.ID `json:"id"`
		Client  string   `json:"client_id"`
		Subject string   `json:"subject"`
	}{id, grant.Client, grant.Subject}
	return j.show(answer, func() string {
		return fmt.Sprintf("Grant %s of subject %q to client %q is revoked, and its tokens with it; every replica follows within a second.",
			id, grant.Subject, grant.Client)
	})
}
