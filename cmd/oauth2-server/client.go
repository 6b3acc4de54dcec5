package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

func newClientCommand(environ []string) *cobra.Command {
	return newGroup("client", "Register and change clients; running replicas follow within a second",
		newClientCreate(environ), newClientUpdate(environ), newClientRotate(environ),
		&cobra.Command{Use: "list", Short: "List the clients", Args: cobra.NoArgs, RunE: withStore(environ, listClients)},
		&cobra.Command{Use: "show ID", Short: "Show a client", Args: oneID, RunE: withStore(environ, showClient)},
		&cobra.Command{
			Use: "disable ID", Short: "Refuse a client and revoke its tokens", Args: oneID,
			RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error { return switchClient(ctx, j, args[0], true) }),
		},
		&cobra.Command{
			Use: "enable ID", Short: "Admit a disabled client again", Args: oneID,
			RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error { return switchClient(ctx, j, args[0], false) }),
		},
		&cobra.Command{Use: "delete ID", Short: "Delete a client and revoke its tokens", Args: oneID, RunE: withStore(environ, deleteClient)},
	)
}

// oneID wants the id of a client.
func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give the id of one client, not %d arguments", len(args))
	}
	return nil
}

func newClientCreate(environ []string) *cobra.Command {
	var id, secret string
	flags := new(clientFlags)
	command := &cobra.Command{
		Use:   "create",
		Short: "Register a client, and print its id and secret",
		Long: "Register a client, and print its id and, this once, its secret. Only a hash of the secret is kept; one of\n" +
			"client_secret_jwt is kept sealed, as its check needs the text.\n" +
			"With a --redirect-uri and no --grant the client signs people in: authorization_code and refresh_token, and, without\n" +
			"--scope, openid profile email offline_access. Without either it is a service: client_credentials.\n" +
			"Lists may be repeated or separated by commas, scopes by spaces too.",
		Args: cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		c := store.Client{ID: cmp.Or(id, store.NewID(time.Now()).String())}
		if err := flags.read(j.in); err != nil {
			return err
		}
		flags.apply(command, &c)
		if command.Flags().Changed("grant") && c.Grants == nil {
			c.Grants = []string{} // none, and not the default
		}
		if command.Flags().Changed("scope") && c.Scopes == nil {
			c.Scopes = []string{}
		}
		return createClient(ctx, j, flags, c, secret)
	})
	command.Flags().StringVar(&id, "id", "", "id; default: a UUID")
	command.Flags().StringVar(&secret, "secret", "", "secret of 32 characters or more, - reads it from standard input; default: 256 random bits")
	flags.register(command)
	return command
}

func createClient(ctx context.Context, j *job, flags *clientFlags, c store.Client, chosen string) error {
	chosen, err := j.readSecret(chosen)
	if err != nil {
		return err
	}
	secret, err := oauth.Enrol(&c, chosen, j.secrets())
	if err != nil {
		return flags.refused(err)
	}
	made, err := j.db.CreateClient(ctx, j.actor, c)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("there is a client %q already", c.ID)
	}
	if err != nil {
		return err
	}
	return j.showSecret(made, secret)
}

// secrets are the server's, empty where this command does not have them: only a secret of client_secret_jwt needs them, and
// is refused without.
func (j *job) secrets() keys.Secrets {
	if j.needSecrets() != nil {
		return keys.Secrets{}
	}
	return j.config.secrets
}

// readSecret is a secret that was chosen, "" when none was: nothing on standard input is no choice, but a mistake.
func (j *job) readSecret(given string) (string, error) {
	text, err := readInput(given, j.in)
	if err == nil && text == "" && given != "" {
		return "", errors.New("--secret: standard input is empty")
	}
	return text, err
}

// showSecret prints a client's new secret: the only time that anybody sees it.
func (j *job) showSecret(c store.Client, secret string) error {
	answer := struct {
		ID     string     `json:"client_id"`
		Secret string     `json:"client_secret,omitempty"`
		Client clientView `json:"client"`
	}{c.ID, secret, view(c)}
	return j.show(answer, func() string {
		rows := [][]string{{"client_id", c.ID}}
		if secret != "" {
			rows = append(rows, []string{"client_secret", secret}, []string{"", "(shown this once)"})
		}
		return table(rows)
	})
}

func newClientUpdate(environ []string) *cobra.Command {
	u := new(clientUpdate)
	command := &cobra.Command{
		Use:   "update ID",
		Short: "Change what flags are given for; a list is replaced whole, and emptied by \"\"",
		Args:  oneID,
		RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error {
			return u.run(ctx, j, args[0])
		}),
	}
	u.command = command
	u.flags.register(command)
	command.Flags().Int64Var(&u.version, "if-version", 0, "refuse unless the client still has this version; 0: whatever it has")
	return command
}

// A clientUpdate changes a client to what flags say.
type clientUpdate struct {
	command *cobra.Command
	flags   clientFlags
	version int64        // the client must have it; 0: any
	secrets keys.Secrets // of the server
	secret  string       // of a client that begins to authenticate
}

func (u *clientUpdate) run(ctx context.Context, j *job, id string) error {
	if !u.flags.apply(u.command, new(store.Client)) {
		return errors.New("nothing to do: give a flag for each thing to change")
	}
	if err := u.flags.read(j.in); err != nil {
		return err
	}
	u.secrets = j.secrets()
	changed, err := j.db.UpdateClient(ctx, j.actor, id, u.change)
	if err != nil {
		return about(id, err)
	}
	if u.secret != "" {
		return j.showSecret(changed, u.secret)
	}
	return j.show(view(changed), func() string { return view(changed).text() })
}

// change applies the flags.
func (u *clientUpdate) change(c *store.Client) (err error) {
	if u.version != 0 && c.Version != u.version {
		return fmt.Errorf("client %q has version %d now, not %d: look at it again", c.ID, c.Version, u.version)
	}
	u.secret, err = oauth.Amend(c, u.secrets, func(c *store.Client) { u.flags.apply(u.command, c) })
	if _, wrong := errors.AsType[*store.FieldError](err); wrong {
		return u.flags.refused(err)
	}
	return err
}

func newClientRotate(environ []string) *cobra.Command {
	var secret string
	var drop bool
	command := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Give a client a new secret, and print it",
		Long: "Give a client a new secret, and print it, this once. The previous one stays valid beside it until the next\n" +
			"rotation, or until --drop-old, which makes no new one; but a client of client_secret_jwt has one secret.\n" +
			"Tokens stay valid: \"revoke --client\" ends them.",
		Args: oneID,
		RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error {
			if drop {
				return dropSecret(ctx, j, args[0])
			}
			return rotateSecret(ctx, j, args[0], secret)
		}),
	}
	command.Flags().StringVar(&secret, "secret", "", "secret of 32 characters or more, - reads it from standard input; default: 256 random bits")
	command.Flags().BoolVar(&drop, "drop-old", false, "end the previous secret now; the newest stays")
	command.MarkFlagsMutuallyExclusive("secret", "drop-old")
	return command
}

func rotateSecret(ctx context.Context, j *job, id, chosen string) error {
	chosen, err := j.readSecret(chosen)
	if err != nil {
		return err
	}
	secret, err := oauth.NewSecret(chosen)
	if err != nil {
		return errors.New(new(clientFlags).inFlags(err))
	}
	secrets := j.secrets()
	changed, err := j.db.UpdateClient(ctx, j.actor, id, func(c *store.Client) error { return oauth.Rotate(c, secret, secrets) })
	if errors.Is(err, oauth.ErrSameSecret) {
		return errors.New(new(clientFlags).inFlags(err))
	}
	if err != nil {
		return about(id, err)
	}
	return j.showSecret(changed, secret)
}

func dropSecret(ctx context.Context, j *job, id string) error {
	changed, err := j.db.UpdateClient(ctx, j.actor, id, oauth.Retire)
	if err != nil {
		return about(id, err)
	}
	return j.show(view(changed), func() string {
		return fmt.Sprintf("The previous secret of client %q is no longer valid. Its tokens still are.", id)
	})
}

// about says which client is not there; other errors are told already.
func about(id string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no client %q", id)
	}
	return err
}
