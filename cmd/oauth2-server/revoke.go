package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

// A revocation is what the flags of revoke ask for.
type revocation struct {
	token, grant, client, subject string
	all, yes                      bool
}

func newRevokeCommand(environ []string) *cobra.Command {
	var r revocation
	command := &cobra.Command{
		Use:   "revoke --token TOKEN | --grant ID | --client ID | --subject USER | --all",
		Short: "Revoke one token, or those of a grant, of a client, of a subject, or all",
		Long: "Revoke one token, or what a user has allowed a client (\"grants list\" has the ids), or all that was issued up to now\n" +
			"to a client, for a subject, or at all: access tokens, refresh tokens and codes. The answer says whom a subject hits.\n" +
			"What is issued afterwards is not concerned. Running replicas follow within a second.",
		Args: cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		return r.run(ctx, j, command.ErrOrStderr())
	})
	flags := command.Flags()
	flags.StringVar(&r.token, "token", "", "text of an access token, or of a refresh token, which ends its grant; - reads it from standard input")
	flags.StringVar(&r.grant, "grant", "", "id of a grant")
	flags.StringVar(&r.client, "client", "", "id of a client")
	flags.StringVar(&r.subject, "subject", "", "subject of tokens: id or name of a user, or id of a client")
	flags.BoolVar(&r.all, "all", false, "all tokens")
	flags.BoolVar(&r.yes, "yes", false, "confirm --all beforehand")
	command.MarkFlagsOneRequired("token", "grant", "client", "subject", "all")
	command.MarkFlagsMutuallyExclusive("token", "grant", "client", "subject", "all")
	return command
}

func (r *revocation) run(ctx context.Context, j *job, w io.Writer) error {
	switch {
	case r.token != "":
		return revokeToken(ctx, j, r.token)
	case r.grant != "":
		return revokeGrant(ctx, j, r.grant)
	case r.client != "":
		// A mistyped id would be cut off without a word.
		if _, err := j.db.Client(ctx, r.client); err != nil {
			return about(r.client, err)
		}
		return cutOff(ctx, j, store.CutClient, r.client, "")
	case r.subject != "":
		found, err := explain.FindSubject(ctx, j.db, r.subject)
		if err != nil {
			return err
		}
		return cutOff(ctx, j, store.CutSubject, found.ID, found.Whom)
	case r.all:
		if err := j.confirm(r.yes, "Every token of every client will be revoked.", w); err != nil {
			return err
		}
		return cutOff(ctx, j, store.CutAll, "", "")
	}
	return errors.New("nothing to revoke: the flag has no value")
}

// cutOff ends all tokens of the name; whom says who that is, where it is not told by the name.
func cutOff(ctx context.Context, j *job, kind store.CutoffKind, name, whom string) error {
	cut, err := j.db.CutOff(ctx, j.actor, kind, name)
	if err != nil {
		return err
	}
	answer := struct {
		store.Cutoff
		Whom string `json:"whom,omitempty"`
	}{cut, whom}
	return j.show(answer, func() string {
		text := fmt.Sprintf("All %s issued up to now are revoked (change %d); every replica follows within a second.", explain.Target(&cut), cut.Number)
		if whom != "" {
			text += "\nIt hits " + whom + "."
		}
		return text
	})
}

// revoked is what was done to one token.
type revoked struct {
	ID      store.ID  `json:"id"`
	Client  string    `json:"client_id"`
	Expires time.Time `json:"expires"`
}

// revokeToken ends one token. It must be authentic and alive, so that a mistake is noticed.
func revokeToken(ctx context.Context, j *job, given string) error {
	text, err := readInput(given, j.in)
	if err != nil {
		return err
	}
	if _, err := store.ParseID(text); err == nil {
		return errors.New("give the text of the token: its id alone does not say when it expires, without which replicas do not find the denial (--client and --subject need no token)")
	}
	told, err := j.explain(ctx, text)
	if err != nil {
		return err
	}
	if !told.Active {
		return fmt.Errorf("nothing to revoke: the token is not active: %s", told.Cause)
	}
	if told.Kind == "refresh" {
		return revokeGrant(ctx, j, told.Grant.String()) // RFC 7009 §2.1: the grant, and its access tokens
	}
	denial := store.Denial{Kind: store.DenyToken, ID: told.ID, Expires: told.Expires.Unix(), Actor: j.actor.String()}
	if err := j.db.Deny(ctx, []store.Denial{denial}); err != nil {
		return err
	}
	return j.show(revoked{told.ID, told.Client, *told.Expires}, func() string {
		return fmt.Sprintf("Token %s of client %q is revoked; every replica follows within a second.", told.ID, told.Client)
	})
}
