package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

func newUserCommand(environ []string) *cobra.Command {
	return newGroup("user", "Create and change the people who may sign in; a user is given by name or id",
		newUserCreate(environ), newUserUpdate(environ), newUserSetPassword(environ),
		&cobra.Command{Use: "list", Short: "List the users", Args: cobra.NoArgs, RunE: withStore(environ, listUsers)},
		&cobra.Command{Use: "show USER", Short: "Show a user", Args: oneUser, RunE: withStore(environ, showUser)},
		&cobra.Command{
			Use: "export USER", Short: "Print all that is kept of a user, but the password, as JSON", Args: oneUser,
			RunE: withStore(environ, exportUser),
		},
		&cobra.Command{
			Use: "disable USER", Short: "Refuse a user, end the sessions and revoke the tokens", Args: oneUser,
			RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error { return switchUser(ctx, j, args[0], true) }),
		},
		&cobra.Command{
			Use: "enable USER", Short: "Admit a disabled user again", Args: oneUser,
			RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error { return switchUser(ctx, j, args[0], false) }),
		},
		&cobra.Command{Use: "delete USER", Short: "Delete a user, end the sessions and revoke the tokens", Args: oneUser, RunE: withStore(environ, deleteUser)},
	)
}

// oneUser wants the name or the id of a user.
func oneUser(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give the name or the id of one user, not %d arguments", len(args))
	}
	return nil
}

const passwordUsage = "password of 12 characters or more, - reads it from standard input; default: asked for"

func newUserCreate(environ []string) *cobra.Command {
	var u store.User
	var password string
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a user",
		Long:  "Create a user. Only a hash of the password is kept. A password on the command line can be seen by others on this machine.",
		Args:  cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		chosen, err := readPassword(password, j.in, command.ErrOrStderr())
		if err != nil {
			return err
		}
		return createUser(ctx, j, u, chosen)
	})
	command.Flags().StringVar(&u.Username, "username", "", "name to sign in with, in lower case (required)")
	command.Flags().StringVar(&password, "password", "", passwordUsage)
	command.Flags().StringVar(&u.Email, "email", "", "mail address")
	command.Flags().StringVar(&u.Role, "role", store.RoleUser, "admin: may use the listener for operators; user: may not")
	return command
}

func createUser(ctx context.Context, j *job, u store.User, password string) error {
	if err := login.NewHasher().Enrol(ctx, &u, password); err != nil {
		return userRefused(err)
	}
	u.ID = store.NewID(time.Now())
	made, err := j.db.ChangeUser(ctx, j.actor, "user.create", u.ID, func(*store.User) (*store.User, error) { return &u, nil })
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("there is a user %q already", u.Username)
	}
	if err != nil {
		return err
	}
	return j.show(made.Masked(), func() string { return userText(&made) })
}

func newUserUpdate(environ []string) *cobra.Command {
	var to store.User
	command := &cobra.Command{
		Use:   "update USER",
		Short: "Change what flags are given for; another role ends the sessions and revokes the tokens",
		Args:  oneUser,
	}
	flags := command.Flags()
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		return updateUser(ctx, j, args[0], func(u *store.User) {
			for flag, set := range map[string]func(){
				"username": func() { u.Username = store.FoldUsername(to.Username) },
				"email":    func() { u.Email = to.Email },
				"role":     func() { u.Role = to.Role },
			} {
				if flags.Changed(flag) {
					set()
				}
			}
		})
	})
	flags.StringVar(&to.Username, "username", "", "name to sign in with, in lower case; tokens stay valid: their subject is the id")
	flags.StringVar(&to.Email, "email", "", "mail address; \"\" removes it")
	flags.StringVar(&to.Role, "role", "", "admin: may use the listener for operators; user: may not")
	return command
}

func updateUser(ctx context.Context, j *job, who string, change func(*store.User)) error {
	var before store.User
	changed, err := j.changeUser(ctx, "user.update", who, func(u *store.User) error {
		before = *u
		if change(u); *u == before {
			return login.ErrUnchanged
		}
		return u.Validate()
	})
	switch {
	case errors.Is(err, login.ErrUnchanged):
		return errors.New("nothing to do: the user is like that already; give a flag for each thing to change")
	case errors.Is(err, store.ErrConflict):
		return errors.New("there is a user of that name already")
	case err != nil:
		return userRefused(err)
	case changed.EndsSessions(&before):
		return j.showEnd(ctx, &changed, "given the role "+changed.Role)
	}
	return j.show(changed.Masked(), func() string { return userText(&changed) })
}

// userRefused says all that is wrong with a user, by the names of the flags; an error of another kind stays as it is.
func userRefused(err error) error {
	if _, wrong := errors.AsType[*store.FieldError](err); !wrong {
		return err
	}
	var text strings.Builder
	text.WriteString("the user is refused:")
	for line := range strings.SplitSeq(err.Error(), "\n") {
		text.WriteString("\n  --" + line)
	}
	return errors.New(text.String())
}

func newUserSetPassword(environ []string) *cobra.Command {
	var password string
	command := &cobra.Command{
		Use:   "set-password USER",
		Short: "Give a user a new password; the sessions end and the tokens are revoked",
		Long: "Give a user a new password; the sessions end and the tokens are revoked. This is the way back in when a password is lost.\n\n" +
			"Who was locked out by too many attempts stays so until the limit has room again, or is exempted from it: " +
			"oauth2-server limits override login.username NAME --exempt, for the listener for operators admin:NAME",
		Args: oneUser,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, args []string) error {
		chosen, err := readPassword(password, j.in, command.ErrOrStderr())
		if err != nil {
			return err
		}
		return setPassword(ctx, j, args[0], chosen)
	})
	command.Flags().StringVar(&password, "password", "", passwordUsage)
	return command
}

func setPassword(ctx context.Context, j *job, who, password string) error {
	kept, err := login.NewHasher().Choose(ctx, password)
	if err != nil {
		return userRefused(err)
	}
	changed, err := j.changeUser(ctx, "user.password", who, func(u *store.User) error {
		u.Password = kept
		return nil
	})
	if err != nil {
		return err
	}
	return j.showEnd(ctx, &changed, "given a new password")
}

// readPassword is the password as it was given, or for "-" what standard input holds; one that was not given is
// asked for, twice and without being shown.
func readPassword(given string, in io.Reader, w io.Writer) (string, error) {
	if given != "" {
		return readInput(given, in)
	}
	terminal, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", errors.New("give the password: --password - reads it from standard input")
	}
	var typed [2]string
	for i, prompt := range [2]string{"Password: ", "Once more: "} {
		fmt.Fprint(w, prompt)
		text, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(w)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", errors.New("nothing was done: the two passwords differ")
	}
	return typed[0], nil
}
