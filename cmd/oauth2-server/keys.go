package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

func newKeysCommand(environ []string) *cobra.Command {
	return newGroup("keys", "Look at the key ring, rotate it, or make a new one",
		&cobra.Command{Use: "list", Short: "List the keys of the ring", Args: cobra.NoArgs, RunE: withStore(environ, listKeys)},
		newKeysRotate(environ), newKeysShared(environ), newKeysReset(environ))
}

func listKeys(ctx context.Context, j *job, _ []string) error {
	stored, err := j.db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	_ = j.needSecrets() // without them no key opens, and the list says so
	ring := keys.NewRing(j.config.secrets, keys.Alg(j.config.JWTAlg))
	_ = ring.Replace(stored)
	all := ring.List()
	if all == nil {
		all = []keys.Listed{}
	}
	clients, err := j.db.Clients(ctx)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	if shut := oauth.Shut(clients, j.config.secrets); len(shut) > 0 {
		fmt.Fprintf(j.notes, "%s: %s\n", shutSecrets, strings.Join(shut, ", "))
	}
	return j.show(all, func() string {
		return list("There is no key yet: \"oauth2-server serve\" makes them.", keyHead, keyRows(all))
	})
}

var keyHead = []string{"ID", "USE", "ALG", "NUMBER", "STATE", "CREATED", "SINCE", "UNTIL", "SECRETS", "OPENS"}

func keyRows(all []keys.Listed) (rows [][]string) {
	for _, k := range all {
		number := ""
		if k.Number > 0 {
			number = strconv.Itoa(k.Number)
		}
		rows = append(rows, []string{
			k.ID.String(), k.Use, k.Alg, number, k.State, moment(k.Created), moment(k.Since), maybe(k.Until),
			strings.Join(k.Secrets, " "), yesNo(&k.Open),
		})
	}
	return rows
}

func newKeysShared(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:   "hs256",
		Short: "Print the keys of HS256 tokens, which are secret",
		Long: "Print the keys of HS256 tokens as JWKs, the one that signs first, for resource servers that verify such tokens\n" +
			"themselves. They are derived from OAUTH2_JWT_SECRET, which cannot be found out from them, and they are\n" +
			"secret: who has one can make tokens.",
		Args: cobra.NoArgs,
		RunE: withStore(environ, func(_ context.Context, j *job, _ []string) error {
			if err := j.needSecrets(); err != nil {
				return err
			}
			return j.showShared(j.config.secrets.HS256())
		}),
	}
}

// showShared prints secrets: the only place beside a client's creation.
func (j *job) showShared(shared []keys.SharedKey) error {
	set, rows := []json.RawMessage{}, [][]string{}
	for _, key := range shared {
		set = append(set, key.JWK())
		rows = append(rows, []string{key.KID, key.Base64()})
	}
	return j.show(map[string]any{"keys": set}, func() string {
		text := list("There is none.", []string{"KID", "KEY (BASE64URL)"}, rows)
		if j.config.JWTAlg != string(keys.HS256) {
			text += "OAUTH2_JWT_ALG is " + j.config.JWTAlg + ": the server neither signs with these keys nor accepts them.\n"
		}
		return text
	})
}

func newKeysReset(environ []string) *cobra.Command {
	yes := false
	command := &cobra.Command{
		Use:   "reset",
		Short: "Put a new ring in the place of the old one, which revokes everything",
		Long: "Put a new ring in the place of the old one. Every token is revoked. It is the way out when the secret that\n" +
			"opens the ring is lost, or known to somebody else (change OAUTH2_JWT_SECRET first).",
		Args: cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		if err := j.needSecrets(); err != nil {
			return err
		}
		if err := j.confirm(yes, "Every token of every client will be revoked, and the keys replaced.", command.ErrOrStderr()); err != nil {
			return err
		}
		return resetKeys(ctx, j)
	})
	command.Flags().BoolVar(&yes, "yes", false, "confirm beforehand")
	return command
}

func resetKeys(ctx context.Context, j *job) error {
	alg, err := keys.ParseAlg(j.config.JWTAlg)
	if err != nil {
		return err
	}
	old, err := j.db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	// As retired keys the old ones keep their numbers: a token of an old key must not meet a new one.
	retired := slices.Clone(old)
	for i := range retired {
		retired[i].State = store.KeyRetired
	}
	fresh, err := keys.Generate(j.config.secrets, alg, time.Now(), retired)
	if err != nil {
		return fmt.Errorf("make a ring: %w", err)
	}
	signing, err := keys.GenerateIDTokens(j.config.secrets, time.Now(), slices.Concat(retired, fresh))
	if err != nil {
		return fmt.Errorf("make a ring: %w", err)
	}
	fresh = append(fresh, signing...)
	if err := j.db.ResetKeys(ctx, j.actor, fresh); err != nil {
		return fmt.Errorf("reset the ring: %w", err)
	}
	cut, err := j.cutoff(ctx, store.CutAll, "")
	if err != nil {
		return err
	}
	ring := keys.NewRing(j.config.secrets, alg)
	if err := ring.Replace(fresh); err != nil {
		return err
	}
	answer := map[string]any{"keys": ring.List(), "cutoff": cut}
	return j.show(answer, func() string {
		return fmt.Sprintf("The ring is new, and all tokens are revoked (change %d); every replica follows within a second.\n\n", cut.Number) +
			list("", keyHead, keyRows(ring.List()))
	})
}
