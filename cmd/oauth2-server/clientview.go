package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// clientView is a client as it is shown: of its secrets the number only.
type clientView struct {
	store.Client
	Secrets int `json:"secrets"` // in the place of the hashes
}

func view(c store.Client) clientView { return clientView{c.Masked(), oauth.SecretCount(&c)} }

func listClients(ctx context.Context, j *job, _ []string) error {
	all, err := j.db.Clients(ctx)
	if err != nil {
		return err
	}
	views, rows := []clientView{}, [][]string{}
	for _, c := range all {
		v := view(c)
		views = append(views, v)
		rows = append(rows, []string{c.ID, c.Name, v.state(), strings.Join(c.Grants, " "), v.format(), moment(c.Updated)})
	}
	return j.show(views, func() string {
		return list("There is no client: \"oauth2-server client create\" makes one.",
			[]string{"ID", "NAME", "STATE", "GRANTS", "FORMAT", "CHANGED"}, rows)
	})
}

func showClient(ctx context.Context, j *job, args []string) error {
	c, err := j.db.Client(ctx, args[0])
	if err != nil {
		return about(args[0], err)
	}
	return j.show(view(c), func() string { return view(c).text() })
}

func (v clientView) state() string {
	if v.Disabled {
		return "disabled"
	}
	return "enabled"
}

// format is the server's to decide where the client has none.
func (v clientView) format() string { return cmp.Or(v.TokenFormat, "default") }

// text is all of a client, a line each.
func (v clientView) text() string {
	rows := [][]string{
		{"id", v.ID},
		{"name", v.Name},
		{"state", v.state()},
		{"auth method", cmp.Or(v.AuthMethod, "any with a secret")},
		{"auth alg", v.AuthAlg},
		{"keys", cmp.Or(v.JWKSURI, string(v.JWKS))},
		{"secrets", strconv.Itoa(v.Secrets)},
		{"grants", strings.Join(v.Grants, " ")},
		{"scopes", v.ScopeText()},
		{"audiences", strings.Join(v.Audiences, " ")},
		{"resources", strings.Join(v.Resources, " ")},
		{"token format", v.format()},
		{"introspect", cmp.Or(v.Introspect, store.IntrospectOwn)},
		{"access ttl", life(v.AccessTTL)},
		{"redirect uris", strings.Join(v.RedirectURIs, " ")},
		{"origins", strings.Join(v.Origins, " ")},
		{"post-logout uris", strings.Join(v.PostLogoutURIs, " ")},
		{"back-channel logout", v.BackchannelLogout},
		{"id token alg", cmp.Or(v.IDTokenAlg, "RS256")},
		{"refresh", cmp.Or(v.Refresh, store.RefreshRotate)},
		{"refresh ttl", life(v.RefreshTTL)},
		{"trusted", yesNo(&v.Trusted)},
		{"version", strconv.FormatInt(v.Version, 10)},
		{"created", moment(v.Created)},
		{"updated", moment(v.Updated)},
	}
	for _, row := range rows {
		row[1] = cmp.Or(row[1], "-")
	}
	return table(rows)
}

// life is a number of seconds for people; 0 is the server's to decide.
func life(seconds int64) string {
	if seconds == 0 {
		return "default"
	}
	return (time.Duration(seconds) * time.Second).String()
}

// clientOutcome is what was done to a client, and to its tokens.
type clientOutcome struct {
	ID     string        `json:"client_id"`
	Done   string        `json:"done"`
	Cutoff *store.Cutoff `json:"cutoff,omitempty"`
}

// switchClient disables or enables a client. Doing it again changes nothing and is no error.
func switchClient(ctx context.Context, j *job, id string, disabled bool) error {
	done := "enabled"
	if disabled {
		done = "disabled"
	}
	_, err := j.db.UpdateClient(ctx, j.actor, id, func(c *store.Client) error { return oauth.Switch(c, disabled) })
	if errors.Is(err, oauth.ErrUnchanged) {
		return j.show(clientOutcome{ID: id, Done: "nothing"}, func() string {
			return fmt.Sprintf("Client %q is %s already.", id, done)
		})
	}
	if err != nil {
		return about(id, err)
	}
	if !disabled {
		return j.show(clientOutcome{ID: id, Done: done}, func() string {
			return fmt.Sprintf("Client %q is enabled. The tokens it had when it was disabled stay revoked.", id)
		})
	}
	return j.showCut(ctx, id, done)
}

func deleteClient(ctx context.Context, j *job, args []string) error {
	if err := j.db.DeleteClient(ctx, j.actor, args[0], nil); err != nil {
		return about(args[0], err)
	}
	return j.showCut(ctx, args[0], "deleted")
}

// showCut tells what disabling or deleting did to the tokens.
func (j *job) showCut(ctx context.Context, id, done string) error {
	cut, err := j.cutoff(ctx, store.CutClient, id)
	if err != nil {
		return fmt.Errorf("client %q is %s; its cut-off cannot be told: %w", id, done, err)
	}
	return j.show(clientOutcome{id, done, &cut}, func() string {
		return fmt.Sprintf("Client %q is %s. Its tokens are revoked (change %d); every replica follows within a second.", id, done, cut.Number)
	})
}
